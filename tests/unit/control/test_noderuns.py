"""Node runs folded from events."""

from __future__ import annotations

from typing import Any

from linkflow.domain.steps import Spent
from linkflow.http.shapes import step, usage
from linkflow.services.noderuns import NodeRuns

START = {"type": "ExecutionStarted", "event_id": 1, "at": 10, "trigger_node": "start", "trigger": {"n": 1}}


def _fold(*events: dict[str, Any]) -> NodeRuns:
    runs = NodeRuns()
    runs.feed([START])
    runs.feed({"event_id": number, "at": 10 + number, **event} for number, event in enumerate(events, 2))
    return runs


def test_several_sources_give_outputs_by_id():
    runs = _fold(
        {"type": "NodeScheduled", "node": "a", "sources": ["start"]},
        {"type": "NodeCompleted", "node": "a", "attempt": 1, "output": 1},
        {"type": "NodeScheduled", "node": "b", "sources": ["start", "a"]},
    )
    assert runs.input_of(runs.views["b"]) == {"start": {"n": 1}, "a": 1}
    assert runs.input_of(runs.views["start"]) == {"n": 1}
    assert list(runs.views) == ["start", "a", "b"]
    assert runs.views["b"].status == "scheduled"


def test_iterations_get_their_items():
    runs = _fold(
        {"type": "NodeScheduled", "node": "loop", "sources": ["start"]},
        {"type": "LoopStarted", "node": "loop", "attempt": 1, "items": ["x", "y"]},
        {"type": "LoopItemsStarted", "node": "loop", "first": 0, "count": 2},
        {"type": "NodeScheduled", "node": "send[0]", "sources": ["loop"]},
        {"type": "NodeScheduled", "node": "send[1]", "sources": ["loop"]},
        {"type": "NodeCompleted", "node": "send[1]", "attempt": 1, "output": "sent"},
        {"type": "LoopItemCompleted", "node": "loop", "index": 1, "sources": ["send[1]"]},
        {"type": "NodeCompleted", "node": "loop", "attempt": 1, "output": ["sent", "sent"], "ports": ["done"]},
        {"type": "NodeScheduled", "node": "after", "sources": ["loop"]},
    )
    assert [runs.input_of(runs.views[f"send[{index}]"]) for index in (0, 1)] == ["x", "y"]
    assert runs.input_of(runs.views["after"]) == ["sent", "sent"]
    assert runs.views["loop"].status == "completed"


def test_attempts_waits_and_ends():
    error = {"code": "x", "message": "y"}
    runs = _fold(
        {"type": "NodeScheduled", "node": "a", "sources": ["start"]},
        {"type": "NodeStarted", "node": "a", "attempt": 1},
        {"type": "NodeFailed", "node": "a", "attempt": 1, "error": error, "final": False},
        {"type": "NodeRetryScheduled", "node": "a", "attempt": 1, "due_at": 99},
    )
    assert (runs.views["a"].status, runs.views["a"].error) == ("retrying", error)
    runs.feed([{"type": "NodeScheduled", "event_id": 9, "at": 30, "node": "a", "attempt": 2, "sources": ["start"]}])
    assert (runs.views["a"].status, runs.views["a"].attempt) == ("scheduled", 2)
    runs.feed([{"type": "TimerStarted", "event_id": 10, "at": 31, "node": "a", "attempt": 2, "due_at": 50}])
    assert runs.views["a"].status == "waiting"
    runs.feed(
        [
            {
                "type": "NodeTimedOut",
                "event_id": 11,
                "at": 40,
                "node": "a",
                "attempt": 2,
                "timeout": "start_to_close",
                "error": {"code": "timeout"},
            }
        ]
    )
    assert (runs.views["a"].status, runs.views["a"].error["code"]) == ("failed", "timeout")
    assert runs.views["a"].duration_us == 9000
    runs.feed([{"type": "NodeSkipped", "event_id": 12, "at": 41, "node": "b"}])
    assert (runs.views["b"].status, runs.input_of(runs.views["b"])) == ("skipped", None)
    runs.feed([{"type": "ChildStarted", "event_id": 13, "at": 42, "node": "c", "attempt": 1, "execution_id": "child"}])
    runs.feed(
        [{"type": "ChildCompleted", "event_id": 14, "at": 43, "node": "c", "attempt": 1, "execution_id": "child"}]
    )
    assert (runs.views["c"].status, runs.views["c"].child) == ("waiting", "child")


def test_events_of_the_run_itself_are_passed_by():
    runs = _fold({"type": "ExecutionFailed", "node": "a", "error": {}}, {"type": "ExecutionCancelled"})
    assert list(runs.views) == ["start"]


def test_turns_of_a_while_loop_get_what_the_one_before_came_to():
    runs = _fold(
        {"type": "NodeScheduled", "node": "again", "sources": ["start"]},
        {"type": "WhileStarted", "node": "again", "attempt": 1, "body": ["step"]},
        {"type": "LoopItemsStarted", "node": "again", "first": 0},
        {"type": "NodeScheduled", "node": "step[0]", "sources": ["again"]},
        {"type": "NodeCompleted", "node": "step[0]", "attempt": 1, "output": "one"},
        {"type": "LoopItemCompleted", "node": "again", "index": 0, "sources": ["step[0]"]},
        {"type": "NodeScheduled", "node": "again", "attempt": 2, "sources": ["start"]},
        {"type": "LoopItemsStarted", "node": "again", "first": 1},
        {"type": "NodeScheduled", "node": "step[1]", "sources": ["again"]},
    )
    assert [runs.input_of(runs.views[f"step[{index}]"]) for index in (0, 1)] == [{"n": 1}, "one"]
    assert (runs.views["again"].status, runs.views["again"].scheduled_at) == ("waiting", 12)
    runs.feed([{"type": "NodeCompleted", "event_id": 12, "at": 40, "node": "again", "attempt": 3, "output": "end"}])
    assert (runs.views["again"].status, runs.views["again"].duration_us) == ("completed", 26_000)


def test_a_turn_that_failed_hands_its_error_on():
    runs = _fold(
        {"type": "NodeScheduled", "node": "again", "sources": ["start"]},
        {"type": "WhileStarted", "node": "again", "attempt": 1, "body": ["step"]},
        {"type": "LoopItemsStarted", "node": "again", "first": 0},
        {"type": "LoopItemCompleted", "node": "again", "index": 0, "error": {"code": "boom", "message": "boom!"}},
        {"type": "LoopItemsStarted", "node": "again", "first": 1},
        {"type": "NodeScheduled", "node": "step[1]", "sources": ["again"]},
    )
    assert runs.input_of(runs.views["step[1]"]) == {"error": {"code": "boom", "message": "boom!"}}


def test_steps_stay_with_their_node_run_over_attempts():
    used = {"model": "m", "provider": "p", "input_tokens": 10, "output_tokens": 2, "cost": 3_000}
    runs = NodeRuns()
    runs.feed([
        {"type": "ExecutionStarted", "event_id": 1, "at": 1, "trigger_node": "t"},
        {"type": "NodeScheduled", "event_id": 2, "at": 2, "node": "a", "attempt": 1, "sources": ["t"]},
        {"type": "StepCompleted", "event_id": 3, "at": 3, "node": "a", "attempt": 1, "step": "model/1", "kind": "model",
         "usage": used, "output": "x", "duration_us": 1500},
        {"type": "NodeFailed", "event_id": 4, "at": 4, "node": "a", "attempt": 1, "error": {}, "final": False},
        {"type": "NodeScheduled", "event_id": 5, "at": 5, "node": "a", "attempt": 2, "sources": ["t"]},
        {"type": "StepCompleted", "event_id": 6, "at": 6, "node": "a", "attempt": 2, "step": "tool/1", "error": {"code": "c"}},
    ])  # fmt: skip
    first, second = [step(event, "w") for event in runs.views["a"].steps]
    assert (first["id"], first["output"], first["duration_ms"]) == ("model/1", "x", 1.5)
    assert first["usage"] == {
        "calls": 1, "input_tokens": 10, "output_tokens": 2, "cached_tokens": 0, "cost_usd": 3e-06, "unpriced_calls": 0,
        "model": "m",
    }  # fmt: skip
    assert (second["attempt"], second["error"], second["usage"]) == (2, {"code": "c"}, None)
    assert usage(Spent(2, 1, 1, 0, 0, 2))["cost_usd"] is None

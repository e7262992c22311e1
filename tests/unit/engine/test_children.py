"""Sub-workflows: waiting for a child or not, how a child's end reaches its parent, and what a parent's end does to it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import Retry
from linkflow.domain.effects import orphans
from linkflow.domain.ids import is_uuid, shard_of_execution, shard_of_workflow
from linkflow.domain.outcomes import NodeError
from linkflow.services.history.plans import Plan
from linkflow.services.history.transition import transition
from tests.unit.engine.support import ID, WORKFLOW, Run, calls, done, fails, flow, iterates, start

OTHER = "5b0f7e0e-0000-4000-8000-00000000000f"


def child_of(run: Run, key: str = "call") -> str:
    return run.state.runs[key].child


def closes(run: Run, status: str = "completed", key: str = "call", attempt: int = 1, **more: Any) -> c.CloseChild:
    return c.CloseChild(key, attempt, child_of(run, key), status, **more)


def messages(run: Run) -> list[tuple[str, dict[str, Any]]]:
    """What the latest transition tells other executions."""
    assert run.decision is not None
    row = transition(run.decision, Plan(run.definition, run.graph), run.state.version - len(run.decision.events))
    return [(message.kind, msgspec.json.decode(message.body)) for message in row.messages]


def test_a_child_is_started_and_waited_for():
    run = Run.given(flow("t > call > b"))
    assert run.when(calls("call", OTHER)) == ["ChildStarted call"]
    assert run.tasks == {}
    child = child_of(run)
    assert is_uuid(child)
    assert shard_of_execution(child) == shard_of_workflow(OTHER)
    ((kind, body),) = messages(run)
    assert (kind, body["execution_id"], body["workflow_id"], body["input"]) == (
        "start_child",
        child,
        OTHER,
        {"for": "call"},
    )
    assert body["parent"] == {"execution_id": ID, "node_key": "call", "attempt": 1, "depth": 1}
    assert run.when(closes(run, result=7)) == ["ChildCompleted call", "NodeCompleted call", "NodeScheduled b"]
    assert run.output("call") == 7


def test_depth_counts_on():
    run = Run(flow("t > call"))
    run.when(start(parent=e.Parent("p", "n", 1, 3)))
    run.when(calls("call"))
    assert messages(run)[0][1]["parent"]["depth"] == 4


def test_a_child_that_is_not_waited_for_completes_the_node_at_once():
    run = Run.given(flow("t > call > b"))
    assert run.when(calls("call", wait=False)) == ["ChildStarted call", "NodeCompleted call", "NodeScheduled b"]
    assert run.output("call") == {"execution_id": child_of(run)}
    assert run.when(closes(run)) == []


@pytest.mark.parametrize("status", ["failed", "cancelled", "timed_out", "terminated", "rejected"])
def test_a_child_that_did_not_complete_fails_the_node(status: str):
    run = Run.given(flow("t > call"), calls("call"))
    child = child_of(run)
    assert run.when(closes(run, status)) == ["ChildFailed call", "NodeFailed call", "ExecutionFailed call"]
    assert run.state.error is not None
    assert run.state.error.code == f"child_{status}"
    assert run.state.error.details == {"execution_id": child}


def test_the_child_s_error_is_told():
    run = Run.given(flow("t > call"), calls("call"))
    run.when(closes(run, "failed", error=NodeError("boom", "It broke.")))
    assert run.state.error is not None
    assert run.state.error.message == "The sub-workflow did not complete: It broke."


def test_a_failed_child_is_tried_again_as_another_run_and_a_rejected_one_is_not():
    definition = flow("t > call", call={"retry": Retry(max_attempts=2)})
    run = Run.given(definition, calls("call"))
    first = child_of(run)
    run.when(closes(run, "failed"))
    run.fire("retry/2/call")
    run.when(calls("call", attempt=2))
    assert child_of(run) != first
    assert run.when(c.CloseChild("call", 1, first, "completed")) == []
    assert run.when(c.CloseChild("call", 2, first, "completed")) == []
    run.when(closes(run, attempt=2, result=1))
    assert run.state.result == 1
    run = Run.given(definition, calls("call"))
    assert run.when(closes(run, "rejected"))[-1] == "ExecutionFailed call"


def test_a_child_that_closes_twice_counts_once():
    run = Run.given(flow("t > call > b"), calls("call"))
    close = closes(run)
    assert run.when(close, close)
    assert run.decision is not None
    assert run.decision.accepted == (True, False)
    assert run.when(close) == []


def test_starting_a_child_twice_starts_one():
    one = Run.given(flow("t > call"), calls("call"))
    two = Run.given(flow("t > call"), calls("call"))
    assert child_of(one) == child_of(two)


def test_children_of_a_loop_are_told_apart():
    run = Run.given(flow("t > loop", "loop:each > call"), iterates("loop", 1, 2, concurrency=2))
    run.when(calls("call[0]"), calls("call[1]"))
    assert child_of(run, "call[0]") != child_of(run, "call[1]")
    run.when(closes(run, key="call[1]", result="one"), closes(run, key="call[0]", result="zero"))
    assert run.state.result["results"] == ["zero", "one"]


# A parent that closes first


@pytest.mark.parametrize(("policy", "verbs"), [("terminate", ["terminate"]), ("cancel", ["cancel"]), ("abandon", [])])
@pytest.mark.parametrize("wait", [True, False])
def test_the_close_policy_says_what_becomes_of_a_child(policy: str, verbs: list[str], wait: bool):
    run = Run.given(flow("t > call", "t > b"), calls("call", wait=wait, close=policy))
    child = child_of(run)
    run.when(c.Cancel())
    assert messages(run) == [("close_child", {"execution_id": child, "verb": verb}) for verb in verbs]


def test_a_child_that_closed_is_left_alone():
    run = Run.given(flow("t > call > b"), calls("call"))
    run.when(closes(run))
    run.when(done("b"))
    assert messages(run) == []


def test_a_child_that_fails_its_parent_is_left_alone():
    run = Run.given(flow("t > call"), calls("call"))
    run.when(closes(run, "failed"))
    assert messages(run) == []


def test_a_child_started_in_the_transition_that_fails_its_parent_is_closed_too():
    run = Run.given(flow("t > call", "t > b"))
    run.when(calls("call", close="cancel"), fails("b"))
    kinds = [(kind, body.get("verb")) for kind, body in messages(run)]
    assert kinds == [("start_child", None), ("close_child", "cancel")]


def left(run: Run) -> list[tuple[str, str]]:
    """Children that the latest transition left alone, with what they are to be told."""
    assert run.decision is not None
    return list(orphans(run.decision))


def test_a_child_whose_node_was_cancelled_is_an_orphan_though_the_run_goes_on():
    run = Run.given(
        flow("t > loop", "loop:each > call", "loop:each > b"),
        iterates("loop", 1, 2, on_item_error="collect"), calls("call[0]", close="cancel"),
    )  # fmt: skip
    child = child_of(run, "call[0]")
    assert left(run) == []
    run.when(fails("b[0]"))
    assert run.state.status == "running"
    assert left(run) == [(child, "cancel")]
    run.when(c.Terminate())
    assert left(run) == []


@pytest.mark.parametrize("wait", [True, False])
@pytest.mark.parametrize(("policy", "told"), [("terminate", True), ("cancel", True), ("abandon", False)])
def test_a_closed_run_leaves_orphans(wait: bool, policy: str, told: bool):
    run = Run.given(flow("t > call", "t > b"), calls("call", wait=wait, close=policy))
    child = child_of(run)
    run.when(c.Cancel())
    assert left(run) == ([(child, policy)] if told else [])


def test_a_child_that_closed_or_never_was_waited_for_is_no_orphan_of_a_run_that_goes_on():
    run = Run.given(flow("t > call > b"), calls("call"))
    run.when(closes(run))
    assert left(run) == []
    run = Run.given(flow("t > call > b"), calls("call", wait=False))
    assert left(run) == []


def test_a_child_started_and_left_in_one_transition_is_an_orphan():
    run = Run.given(flow("t > call", "t > b"))
    run.when(calls("call", close="cancel"), fails("b"))
    assert left(run) == [(child_of(run), "cancel")]


def test_a_closed_run_tells_its_own_parent():
    run = Run(flow("t > a"))
    parent = e.Parent("p", "n", 1, 1)
    run.when(start(parent=parent))
    run.when(done("a", 5))
    ((kind, body),) = messages(run)
    assert kind == "child_closed"
    assert (body["status"], body["result"], body["parent"]["node_key"]) == ("completed", 5, "n")
    assert body["execution_id"] == ID
    assert WORKFLOW not in body


def told(run: Run) -> list[tuple[str, str]]:
    assert run.decision is not None
    return sorted(orphans(run.decision))


@pytest.mark.parametrize("policy", ["terminate", "cancel", "abandon"])
def test_a_child_that_an_iteration_left_behind_is_told_when_the_run_closes(policy: str):
    run = Run.given(flow("t > loop", "loop:each > call", "loop:done > after"), iterates("loop", 1, 2))
    run.when(calls("call[0]", wait=False, close=policy))
    first = run.last(e.ChildStarted).execution_id
    run.when(calls("call[1]", wait=False, close=policy))
    second = run.last(e.ChildStarted).execution_id
    assert "call[1]" not in run.state.runs
    assert told(run) == []
    run.when(done("after"))
    assert run.state.status == "completed"
    assert told(run) == ([] if policy == "abandon" else sorted([(first, policy), (second, policy)]))


def test_one_that_a_failed_loop_left_behind_is_told_too_and_once():
    run = Run.given(flow("t > loop", "loop:each > call > send", "loop:done > after"), iterates("loop", 1, 2))
    run.when(calls("call[0]", wait=False))
    child = run.last(e.ChildStarted).execution_id
    run.when(fails("send[0]"))
    assert told(run) == [(child, "terminate")]
    run.when(c.RetryFailed())
    run.when(iterates("loop", attempt=2))
    run.when(done("after"))
    assert run.state.status == "completed"
    assert told(run) == []


def test_a_nested_iteration_s_child_is_not_forgotten():
    run = Run.given(flow("t > loop1", "loop1:each > loop2", "loop2:each > call"), iterates("loop1", 1))
    run.when(iterates("loop2[0]", 1))
    run.when(calls("call[0,0]", wait=False))
    assert run.state.status == "completed"
    assert told(run) == [(run.last(e.ChildStarted).execution_id, "terminate")]

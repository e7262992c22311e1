"""Which failures an error workflow is called for, and what it is told."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.answering import Call, error_calls
from linkflow.domain.definition import Settings
from linkflow.domain.outcomes import NodeError
from tests.unit.engine.support import AT, ID, SECOND, WORKFLOW, Run, done, fails, flow, start

OTHER = "5b0f7e0e-0000-4000-8000-00000000000e"
SETTINGS = Settings(error_workflow=OTHER, timeout=60)


def _run(**more: Any) -> Run:
    run = Run(flow("t > a", settings=SETTINGS))
    run.when(c.Start(ID, "", WORKFLOW, 3, "t", {"order": 7}, more.pop("mode", "webhook"), **more))
    return run


def _calls(run: Run, *commands: c.Command, at: int | None = None) -> list[Call]:
    run.when(*commands, at=at)
    assert run.decision is not None
    return list(error_calls(run.decision, run.definition))


def test_a_failed_run_calls_for_it_and_says_what_happened():
    [call] = _calls(_run(), fails("a"), at=AT + SECOND)
    assert call.trigger == {
        "execution": {
            "id": ID,
            "status": "failed",
            "mode": "webhook",
            "started_at": "2025-11-24T16:00:00.000Z",
            "closed_at": "2025-11-24T16:00:01.000Z",
            "error": {"code": "boom", "message": "boom!", "retryable": True},
            "failed_node": "a",
            "trigger_node": "t",
            "trigger": {"order": 7},
        },
        "workflow": {"id": WORKFLOW, "name": "under test", "version": 3},
    }


def test_a_run_that_timed_out_calls_too():
    run = _run()
    (timer,) = run.timers
    [call] = _calls(run, c.Fire(timer), at=run.timers[timer])
    told = call.trigger["execution"]
    assert (told["status"], told["error"]["code"], told["failed_node"]) == ("timed_out", "execution_timeout", None)


def test_so_does_one_that_the_engine_ended():
    [call] = _calls(_run(), c.Abort(NodeError("history_limit", "Too long.", False)))
    assert call.trigger["execution"]["error"]["code"] == "history_limit"


@pytest.mark.parametrize("command", [done("a"), c.Cancel("ada"), c.Terminate("ada"), c.Pause("ada")])
def test_other_ends_call_for_nothing(command: c.Command):
    assert _calls(_run(), command) == []


def test_every_failure_calls_by_itself_and_always_for_the_same_run():
    run = _run()
    [first] = _calls(run, fails("a"))
    assert [first] == list(error_calls(run.decision, run.definition))  # type: ignore[arg-type]
    assert _calls(run, c.RetryFailed("ada")) == []
    [second] = _calls(run, fails("a", attempt=2))
    assert second.execution_id != first.execution_id
    run.when(c.RetryFailed("ada"))
    assert len(_calls(run, fails("a", attempt=3), c.RetryFailed("ada"), fails("a", attempt=4))) == 2


def test_an_error_workflow_s_run_and_all_below_it_call_for_nothing():
    assert _calls(_run(mode="error"), fails("a")) == []
    below = e.Parent("019aac8b-7c00-7abc-8000-00000000000f", "x", 1, 2, in_error=True)
    assert _calls(_run(mode="sub_workflow", parent=below), fails("a")) == []
    above = e.Parent("019aac8b-7c00-7abc-8000-00000000000f", "x", 1, 2)
    assert len(_calls(_run(mode="sub_workflow", parent=above), fails("a"))) == 1


def test_without_the_setting_nothing_is_called_for():
    run = Run.given(flow("t > a"), fails("a"))
    assert run.decision is not None
    assert list(error_calls(run.decision, run.definition)) == []


def test_a_refusal_is_said_once_for_each_failure():
    run = Run(flow("t > a", settings=SETTINGS))
    run.when(start())
    run.when(fails("a"))
    note = c.RefuseErrorWorkflow(run.last(e.ExecutionFailed).event_id, OTHER, NodeError("not_found", "Gone.", False))
    assert run.when(note) == ["ErrorWorkflowRefused"]
    assert run.when(note) == []
    assert run.state.status == "failed"
    assert run.state.error == NodeError("boom", "boom!")
    run.when(c.RetryFailed("ada"))
    run.when(fails("a", attempt=2))
    failure = run.last(e.ExecutionFailed).event_id
    assert run.when(c.RefuseErrorWorkflow(failure, OTHER, note.error)) == ["ErrorWorkflowRefused"]

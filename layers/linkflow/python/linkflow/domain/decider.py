"""`decide`: the rules of an execution. Pure: a graph, a state, commands and a time go in; events come out.

A command that no longer fits (a result of an overtaken attempt, a timer that was cancelled) is *refused*: it leads to
no events, and that is no error. So every command may be sent twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Struct

from . import commands as c
from . import events as e
from .cancelling import cancel
from .definition import Definition, Settings
from .draft import DEFAULTS, Draft
from .entering import admit, collect, deadline, hold
from .failing import fail
from .firing import current, delay_over, fire
from .flow import (
    advance,
    begin_items,
    close_cancelled,
    close_if_done,
    emit_scheduled,
    let_in_all,
    resume_scan,
    schedule,
)
from .graph import Graph
from .ids import derived_id, shard_of_workflow
from .keeping import take_over
from .limits import Limits
from .outcomes import CallWorkflow, Completed, Failed, Iterate, NodeError, Repeat, RequestApproval, Sleep, WaitEvent
from .payloads import Stowage
from .standing_in import stand_in
from .state import (
    BACKOFF,
    CALLING,
    CANCELLED,
    CANCELLING,
    FAILED,
    PAUSED,
    RUNNING,
    SCHEDULED,
    Entry,
    NodeRun,
    State,
    new,
)
from .stepping import go_on, record
from .stopwatch import keep_time
from .timing import limit_ms
from .turning import repeat
from .waiting import decide_approval, request_approval, signal, wait_for


class Decision(Struct, frozen=True):
    """What a batch of commands led to. `accepted[i]` tells whether command i led to events.

    `before` holds each touched node run as it was: with `state` it says which tasks and timers come and go.
    `deadline` (ms) is the execution timer that stood before, 0 where there was none, `entry` what it waited for to be
    let in.
    """

    state: State
    events: tuple[e.Event, ...]
    accepted: tuple[bool, ...]
    before: dict[str, NodeRun | None]
    was_closed: bool
    deadline: int = 0
    entry: Entry | None = None


def decide(
    graph: Graph, settings: Settings, state: State, commands: Sequence[c.Command], at: int, chance: float = 0.0,
    stow: Stowage | None = None, limits: Limits = DEFAULTS,
) -> Decision:  # fmt: skip
    """Apply commands in order. `state` stays as it is; `at` is ms since the epoch; `chance` in [0, 1) is for jitter.

    What is put together here and is large goes into `stow`, where there is one. Raises `LimitReached` where a command
    leads far over a limit.
    """
    draft = Draft(graph, settings, state.copy(), at, chance, stow, limits)
    accepted = []
    for command in commands:
        count = len(draft.events)
        _HANDLERS[type(command)](draft, command)
        if len(draft.events) > count:
            _settle(draft)
        accepted.append(len(draft.events) > count)
    stood = 0 if state.closed else state.timeout_at
    return Decision(draft.state, tuple(draft.events), tuple(accepted), draft.before, state.closed, stood, state.entry)


def _settle(draft: Draft) -> None:
    """What follows from any command that led to events."""
    resume_scan(draft)
    if draft.stand_ins:
        stand_in(draft)
    close_if_done(draft)
    keep_time(draft)


def start(graph: Graph, definition: Definition, command: c.Start, at: int) -> Decision:
    """The first transition of a run."""
    return decide(graph, definition.settings, new(command.execution_id), (command,), at)


def _start(draft: Draft, command: c.Start) -> None:
    if draft.state.version:
        return
    draft.emit(
        e.ExecutionStarted,
        workspace_id=command.workspace_id,
        workflow_id=command.workflow_id,
        workflow_version=command.workflow_version,
        trigger_node=command.trigger_node,
        trigger=command.trigger,
        mode=command.mode,
        actor=command.actor,
        idempotency_key=command.idempotency_key,
        parent=command.parent,
        reply_to=command.reply_to,
        caused_by=command.caused_by,
        timeout_at=deadline(draft),
        slot=command.slot,
        fairness=command.fairness,
        source_id=command.source_id,
        trial=command.trial,
        pins=command.pins,
        vars=command.vars,
        environment=command.environment,
    )
    draft.take_up()
    if command.fork is not None:
        take_over(draft, command, command.fork)
    else:
        advance(draft, command.trigger_node)


def _complete(draft: Draft, command: c.Complete) -> None:
    run = current(draft, command.node, command.attempt, SCHEDULED)
    if run is None:
        return
    node, outcome = {"node": command.node, "attempt": command.attempt}, command.outcome
    how = {"started_at": command.started_at, "duration_us": command.duration_us, "worker": command.worker}
    if isinstance(outcome, Completed):
        draft.emit(
            e.NodeCompleted, **node, **how, output=outcome.output, ports=outcome.ports, respond=outcome.respond,
            answers=outcome.answers, logs=outcome.logs,
        )  # fmt: skip
        advance(draft, command.node)
    elif isinstance(outcome, Failed):
        fail(draft, command.node, outcome, how)
    elif isinstance(outcome, Sleep):
        draft.emit(e.TimerStarted, **node, due_at=max(outcome.until, draft.at), output=outcome.output)
        if draft.state.trial is not None and draft.state.trial.skip_delays:
            delay_over(draft, command.node, draft.state.runs[command.node], skipped=True)
    elif isinstance(outcome, Iterate):
        body = draft.graph.body.get(draft.node_of(command.node)[0].id, ())
        draft.emit(
            e.LoopStarted, **node, items=outcome.items, body=body, concurrency=outcome.concurrency,
            on_item_error=outcome.on_item_error, parts=outcome.parts,
        )  # fmt: skip
        begin_items(draft, command.node)
    elif isinstance(outcome, Repeat):
        repeat(draft, command.node, outcome, how)
    elif isinstance(outcome, WaitEvent):
        wait_for(draft, command.node, command.attempt, outcome)
    elif isinstance(outcome, RequestApproval):
        request_approval(draft, command.node, command.attempt, outcome)
    else:
        _call(draft, command, outcome)


def _call(draft: Draft, command: c.Complete, outcome: CallWorkflow) -> None:
    child = child_id(draft.state, command.node, command.attempt, outcome.workflow_id)
    draft.emit(
        e.ChildStarted, node=command.node, attempt=command.attempt, execution_id=child,
        workflow_id=outcome.workflow_id, wait=outcome.wait, close_policy=outcome.parent_close, input=outcome.input,
        close_by=draft.state.runs[command.node].close_by if outcome.wait else 0,
        step=outcome.step if outcome.wait else "", name=outcome.name,
    )  # fmt: skip
    if not outcome.wait:
        draft.emit(e.NodeCompleted, node=command.node, attempt=command.attempt, output={"execution_id": child})
        advance(draft, command.node)


def child_id(state: State, key: str, attempt: int, workflow_id: str) -> str:
    """A child's id follows from its parent's, so that starting it twice is starting it once."""
    return derived_id(f"{state.execution_id}/{key}/{attempt}", state.at, shard_of_workflow(workflow_id))


def _begin(draft: Draft, command: c.Begin) -> None:
    run = current(draft, command.node, command.attempt, SCHEDULED)
    if run is None or run.started:  # a second delivery of the attempt gets no more time than the first
        return
    timeout = draft.node_of(command.node)[0].node.timeout
    if timeout and (timeout.start_to_close > 0 or timeout.heartbeat > 0 or run.due_at):
        due = draft.at + limit_ms(timeout.start_to_close) if timeout.start_to_close > 0 else 0
        beat = draft.at + limit_ms(timeout.heartbeat) if timeout.heartbeat > 0 else 0
        draft.emit(
            e.NodeStarted, node=command.node, attempt=command.attempt, worker=command.worker, timeout_at=due,
            beat_by=beat,
        )  # fmt: skip


def _close_child(draft: Draft, command: c.CloseChild) -> None:
    run = current(draft, command.node, command.attempt, CALLING)
    if run is None or run.child != command.execution_id:
        return
    node = {"node": command.node, "attempt": command.attempt}
    step = run.progress.calling if run.progress else None
    if command.status == "completed":
        draft.emit(e.ChildCompleted, **node, execution_id=command.execution_id, result=command.result)
        if step is not None:
            go_on(draft, command, step, None)
            return
        draft.emit(e.NodeCompleted, **node, output=command.result)
        advance(draft, command.node)
        return
    draft.emit(e.ChildFailed, **node, execution_id=command.execution_id, status=command.status, error=command.error)
    cause = command.error.message if command.error else f"it was {command.status}"
    error = NodeError(
        f"child_{command.status}", f"The sub-workflow did not complete: {cause}", command.status != "rejected",
        {"execution_id": command.execution_id},
    )  # fmt: skip
    if step is not None:
        go_on(draft, command, step, error)
        return
    fail(draft, command.node, Failed(error), {})


def _terminate(draft: Draft, command: c.Terminate) -> None:
    if not draft.state.closed:
        draft.cancel_all()
        draft.emit(e.ExecutionTerminated, actor=command.actor, reason=command.reason)


def _abort(draft: Draft, command: c.Abort) -> None:
    if draft.state.closed:
        return
    draft.cancel_all()
    if draft.state.status == CANCELLING:
        close_cancelled(draft, command.error)
    else:
        draft.emit(e.ExecutionFailed, error=command.error)


def _warn(draft: Draft, command: c.Warn) -> None:
    state = draft.state
    if state.version and not state.closed and all(said.limit != command.limit for said in state.warnings):
        draft.emit(e.LimitApproached, limit=command.limit, value=command.value, max=command.max)


def _refuse_error_workflow(draft: Draft, command: c.RefuseErrorWorkflow) -> None:
    if draft.state.unanswered < command.failure <= draft.state.version:
        draft.emit(
            e.ErrorWorkflowRefused, failure=command.failure, workflow_id=command.workflow_id, error=command.error
        )


def _pause(draft: Draft, command: c.Pause) -> None:
    if draft.state.status == RUNNING:
        draft.emit(e.ExecutionPaused, actor=command.actor, reason=command.reason)


def _resume(draft: Draft, command: c.Resume) -> None:
    """Retries whose time came meanwhile found nobody and start now; the others go on backing off."""
    if draft.state.status != PAUSED:
        return
    draft.emit(e.ExecutionResumed, actor=command.actor)
    for key, run in list(draft.state.runs.items()):
        if run.status == BACKOFF and run.due_at <= draft.at:
            emit_scheduled(draft, key, run.sources, run.attempt, run.close_by)
    let_in_all(draft)


def _retry_failed(draft: Draft, command: c.RetryFailed) -> None:
    if draft.state.status != "failed" or not draft.state.started_at:
        return
    again = [key for key, run in draft.state.runs.items() if run.status in (FAILED, CANCELLED)]
    draft.emit(
        e.ExecutionRetried, nodes=tuple(again), actor=command.actor, timeout_at=deadline(draft),
        floor=draft.state.highest if draft.graph.entries else 0,
    )  # fmt: skip
    for key in again:
        run = draft.state.runs[key]
        if draft.has_room():
            schedule(draft, key, run.sources, run.attempt + 1)
        else:
            draft.emit(e.NodeHeld, node=key, attempt=run.attempt + 1)
    let_in_all(draft)  # what a pause had held back when the run failed


_HANDLERS: dict[type, Callable[[Draft, Any], None]] = {
    c.Start: _start,
    c.Hold: hold,
    c.Collect: collect,
    c.Admit: admit,
    c.Complete: _complete,
    c.Begin: _begin,
    c.Record: record,
    c.Fire: fire,
    c.CloseChild: _close_child,
    c.Abort: _abort,
    c.RefuseErrorWorkflow: _refuse_error_workflow,
    c.Warn: _warn,
    c.Signal: signal,
    c.Decide: decide_approval,
    c.Pause: _pause,
    c.Resume: _resume,
    c.Cancel: cancel,
    c.Terminate: _terminate,
    c.RetryFailed: _retry_failed,
}


class Session:
    """A run of decisions on one private copy of a state: how a worker goes through a chain of pure nodes.

    What it decides is a forecast: History decides again, on the true state, when the results are reported.
    """

    def __init__(self, graph: Graph, settings: Settings, state: State, at: int, chance: float = 0.0) -> None:
        self._draft = Draft(graph, settings, state.copy(), at, chance)

    @classmethod
    def of_start(cls, graph: Graph, settings: Settings, command: c.Start, at: int, chance: float) -> Session:
        """A new run. Nobody else can know of it, so what is decided here is no forecast: see `decision`."""
        session = cls(graph, settings, new(command.execution_id), at, chance)
        _start(session._draft, command)
        _settle(session._draft)
        return session

    def decision(self) -> Decision:
        """All of a new run so far, as one transition."""
        draft = self._draft
        return Decision(draft.state, tuple(draft.events), (True,), draft.before, False)

    def due(self) -> list[tuple[str, int]]:
        """Node runs that wait for a worker, as (node_key, attempt)."""
        if self.state.closed:
            return []
        return [(key, run.attempt) for key, run in self.state.runs.items() if run.status == SCHEDULED]

    @property
    def state(self) -> State:
        return self._draft.state

    def complete(self, command: c.Complete, at: int) -> list[tuple[str, int]]:
        """Fold a result; returns what it made due, as (node_key, attempt)."""
        draft = self._draft
        draft.at = max(draft.at, at)
        count = len(draft.events)
        _complete(draft, command)
        if len(draft.events) > count:
            _settle(draft)
        if draft.state.closed:
            return []
        runs, due = draft.state.runs, []
        for event in draft.events[count:]:
            if isinstance(event, e.NodeScheduled):
                run = runs.get(event.node)
                if run is not None and run.status == SCHEDULED and run.attempt == event.attempt:
                    due.append((event.node, event.attempt))
        return due

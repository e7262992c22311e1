"""From a decision to the rows of one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts.history import NO_STATE, Task
from linkflow.domain import events as e
from linkflow.domain.answering import Call, error_calls, in_error
from linkflow.domain.decider import Decision
from linkflow.domain.effects import effects, orphans
from linkflow.domain.ids import shard_of_execution
from linkflow.domain.outcomes import NodeError
from linkflow.domain.searching import Facts
from linkflow.domain.snapshots import Stored
from linkflow.domain.state import State, Wait, encode, split_key
from linkflow.domain.timing import HEARTBEAT
from linkflow.domain.trial import Trial
from linkflow.ports import AiUse, Entrance, Message, Slot, Transition, WaitRow

from .plans import Plan

ERROR_TEXT = 2000
"""Characters of an error's message that are shown in lists."""

TRAVELS = 32_768
"""A state up to this many bytes goes along with its tasks; of a larger one the worker asks for it."""

THOUSAND = 1000

START_CHILD, CLOSE_CHILD, CHILD_CLOSED = "start_child", "close_child", "child_closed"
START_ERROR, STOP_RUN = "start_error", "stop_run"
END_SOURCE = "end_source"


class StartChild(msgspec.Struct, frozen=True, omit_defaults=True):
    execution_id: str
    workspace_id: str
    workflow_id: str
    input: object
    parent: e.Parent
    trial: Trial | None = None
    environment: str = ""


class StartError(msgspec.Struct, frozen=True):
    """Start the error workflow for a failure of the run `caused_by`."""

    execution_id: str
    workspace_id: str
    workflow_id: str
    trigger: object
    caused_by: str
    failure: int
    environment: str = ""


class CloseChild(msgspec.Struct, frozen=True):
    execution_id: str
    verb: str


class EndSource(msgspec.Struct, frozen=True):
    """A reset run goes on in another one."""

    execution_id: str
    actor: str
    reason: str


class ChildClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    parent: e.Parent
    execution_id: str
    status: str
    result: object = None
    error: NodeError | None = None


class StopRun(msgspec.Struct, frozen=True):
    """A run has to make room for another: ``cancel`` or ``terminate``."""

    execution_id: str
    verb: str
    actor: str
    reason: str


_encode = msgspec.json.Encoder().encode


def transition(
    decision: Decision, plan: Plan, expected: int, fires: bool = False, stored: Stored | None = None
) -> Transition:
    """All that the decision writes. `expected` is the version it was decided on; `fires`: it is about timers, too;
    `stored` is the big snapshot that the row has."""
    state = decision.state
    diff = effects(decision)
    events = e.encode(decision.events)
    keep = stored is not None and not state.closed and stored.followed_by(len(events)) is not None
    data = b"" if keep else encode(state)
    start = decision.events[0] if expected == 0 else None
    nodes, compute = _work(decision.events)
    return Transition(
        execution_id=state.execution_id,
        shard=shard_of_execution(state.execution_id),
        workspace_id=state.workspace_id,
        workflow_id=state.workflow_id,
        workflow_version=state.workflow_version,
        mode=state.mode,
        parent_id=state.parent.execution_id if state.parent else state.caused_by,
        status=state.status,
        started_at=state.started_at,
        closed_at=state.closed_at,
        expected=expected,
        version=state.version,
        state=data,
        events=events,
        at=state.at,
        idempotency_key=getattr(start, "idempotency_key", ""),
        new_tasks=_tasks(state, plan, diff.new_tasks, data),
        done_tasks=diff.done_tasks,
        new_timers=diff.new_timers,
        done_timers=diff.done_timers,
        messages=_messages(decision, plan),
        new_waits=tuple(_wait(state, key, attempt) for key, attempt in diff.new_waits),
        done_waits=diff.done_waits,
        done_beats=diff.done_beats,
        unbeaten=_unbeaten(decision) if fires and diff.done_beats else (),
        snapshot=stored.version if stored is not None and keep else 0,
        entrance=_entrance(decision, plan) if state.slot is not None or state.fairness or decision.entry else None,
        source_id=start.source_id if isinstance(start, e.ExecutionStarted | e.ExecutionQueued) else "",
        nodes=nodes,
        compute_us=compute,
        ended=state.closed and not decision.was_closed,
        ai=_used(decision) if state.spent is not None else None,
        facts=_facts(decision, plan),
    )


def _facts(decision: Decision, plan: Plan) -> Facts | None:
    """What the run is found by from now on; None where that stays as it was."""
    state = decision.state
    attributes: dict[str, Any] = {}
    environment = getattr(state, "environment", "") if state.version == len(decision.events) else ""
    if plan.attributes:
        for event in decision.events:
            if isinstance(event, e.NodeCompleted) and split_key(event.node)[0] in plan.attributes:
                given = event.output.get("attributes") if isinstance(event.output, dict) else None
                attributes.update(given if isinstance(given, dict) else {})
    if state.closed and state.error is not None and not decision.was_closed:
        error = {"code": state.error.code, "message": state.error.message[:ERROR_TEXT], "node": state.failed_node}
        return Facts(attributes, True, error, environment)
    settled = decision.was_closed and not state.closed  # it goes on: what it failed with is no more
    return Facts(attributes, settled, environment=environment) if attributes or settled or environment else None


def _used(decision: Decision) -> AiUse | None:
    """What calls of models used. A run's millionths add up to its billionths."""
    found = (event.usage for event in decision.events if isinstance(event, e.StepCompleted))
    usages = [usage for usage in found if usage is not None]
    spent = decision.state.spent
    if not usages or spent is None:
        return None
    before = spent.cost - sum(usage.cost or 0 for usage in usages)
    return AiUse(
        sum(usage.input_tokens for usage in usages), sum(usage.output_tokens for usage in usages),
        spent.cost // THOUSAND - before // THOUSAND,
    )  # fmt: skip


def _work(events: Sequence[e.Event]) -> tuple[int, int]:
    """Attempts that ended with these events, and how long they ran, in µs. What a fork took over was counted."""
    nodes = compute = 0
    for event in events:
        kind = type(event)  # on the way of every transition: far cheaper than `isinstance`
        if (kind is e.NodeCompleted or kind is e.NodeFailed) and not event.kept_at:
            nodes += 1
            compute += event.duration_us  # type: ignore[union-attr]
        elif kind is e.NodeTimedOut:
            nodes += 1
    return nodes, compute


def _unbeaten(decision: Decision) -> tuple[tuple[str, int, int], ...]:
    """Attempts that timed out for want of a heartbeat, and the last one that the decision knew of."""
    return tuple(
        (event.node, event.attempt, event.beat_at)
        for event in decision.events
        if isinstance(event, e.NodeTimedOut) and event.timeout == HEARTBEAT
    )


def _entrance(decision: Decision, plan: Plan) -> Entrance | None:
    """What a run with limits has at the door: nothing more when it closes, its slot again when it is reopened. What
    it gets when it comes is decided there."""
    state = decision.state
    if state.closed:
        return None if decision.was_closed else Entrance(leaves=True)
    limits = plan.definition.settings.concurrency
    if decision.was_closed:
        slot = Slot(state.slot, limits.limit) if state.slot is not None and limits else None
        return Entrance(slot=slot, reopens=slot is not None, fairness=state.fairness)
    if state.version > len(decision.events):
        return None
    if state.slot is not None and limits:  # a fork: it cannot wait for its turn, as it does not begin at the beginning
        reset = reset_of(decision)
        return Entrance(
            slot=Slot(state.slot, limits.limit), reopens=True, fairness=state.fairness,
            replaces=reset.execution_id if reset else "",
        )  # fmt: skip
    return Entrance(fairness=state.fairness) if state.fairness else None


def _tasks(state: State, plan: Plan, new: tuple[tuple[str, int], ...], data: bytes) -> tuple[Task, ...]:
    if not new:
        return ()
    carried = msgspec.Raw(data) if 0 < len(data) <= TRAVELS else NO_STATE
    tasks = []
    for key, attempt in new:
        node = plan.graph.nodes.get(key) or plan.graph.nodes[split_key(key)[0]]
        tasks.append(
            Task(
                state.execution_id, state.workspace_id, state.workflow_id, state.workflow_version, key, attempt,
                node.node.queue, node.node.priority, state.at, carried, state.fairness, "", state.version,
            )
        )  # fmt: skip
    return tuple(tasks)


def _wait(state: State, key: str, attempt: int) -> WaitRow:
    run = state.runs[key]
    wait = run.wait or Wait()
    kind = "approval" if wait.approval else "event"
    return WaitRow(key, attempt, kind, wait.name, wait.key, run.due_at, _encode(wait))


def _messages(decision: Decision, plan: Plan) -> tuple[Message, ...]:
    state = decision.state
    found = [_start_child(state, event) for event in decision.events if isinstance(event, e.ChildStarted)]
    for child, verb in orphans(decision):
        found.append(Message(f"{CLOSE_CHILD}/{child}", CLOSE_CHILD, _encode(CloseChild(child, verb))))
    if state.source_id and (reset := reset_of(decision)) is not None:
        found.append(Message(END_SOURCE, END_SOURCE, _encode(reset)))
    if state.parent is not None and state.closed and not decision.was_closed:
        body = ChildClosed(state.parent, state.execution_id, state.status, state.result, state.error)
        found.append(Message(f"{CHILD_CLOSED}/{state.version}", CHILD_CLOSED, _encode(body)))
    if state.closed and plan.definition.settings.error_workflow and (state.trial is None or state.trial.error_workflow):
        found += [_start_error(state, plan, call) for call in error_calls(decision, plan.definition)]
    return tuple(found)


def _start_error(state: State, plan: Plan, call: Call) -> Message:
    workflow = plan.definition.settings.error_workflow
    body = StartError(
        call.execution_id, state.workspace_id, workflow, call.trigger, state.execution_id, call.failure,
        state.environment,
    )  # fmt: skip
    return Message(f"{START_ERROR}/{call.failure}", START_ERROR, _encode(body))


def reset_of(decision: Decision) -> EndSource | None:
    """What a fork that replaces its source has to tell that one."""
    for event in decision.events[:2]:
        if isinstance(event, e.ExecutionForked) and event.reset:
            reason = f"Reset from {event.node}: {decision.state.execution_id} goes on in its place."
            reason = f"{reason} {event.reason}" if event.reason else reason
            return EndSource(event.source_id, event.actor, reason)
    return None


def _start_child(state: State, event: e.ChildStarted) -> Message:
    depth = state.parent.depth + 1 if state.parent else 1
    parent = e.Parent(state.execution_id, event.node, event.attempt, depth, event.close_policy, in_error(state))
    trial = state.trial.for_child() if state.trial is not None else None
    body = StartChild(
        event.execution_id, state.workspace_id, event.workflow_id, event.input, parent, trial, state.environment
    )
    return Message(f"{START_CHILD}/{event.node}/{event.attempt}", START_CHILD, _encode(body))

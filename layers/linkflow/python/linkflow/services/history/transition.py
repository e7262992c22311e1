"""From a decision to the rows of one transaction."""

from __future__ import annotations

import msgspec

from linkflow.contracts.history import NO_STATE, Task
from linkflow.domain import events as e
from linkflow.domain.decider import Decision
from linkflow.domain.effects import effects
from linkflow.domain.ids import shard_of_execution
from linkflow.domain.outcomes import NodeError
from linkflow.domain.state import RUNNING, State, encode, split_key
from linkflow.ports import Message, Transition

from .plans import Plan

TRAVELS = 32_768
"""A state up to this many bytes goes along with its tasks; of a larger one the worker asks for it."""

START_CHILD, CLOSE_CHILD, CHILD_CLOSED = "start_child", "close_child", "child_closed"


class StartChild(msgspec.Struct, frozen=True, omit_defaults=True):
    execution_id: str
    workspace_id: str
    workflow_id: str
    input: object
    parent: e.Parent


class CloseChild(msgspec.Struct, frozen=True):
    execution_id: str
    verb: str


class ChildClosed(msgspec.Struct, frozen=True, omit_defaults=True):
    parent: e.Parent
    execution_id: str
    status: str
    result: object = None
    error: NodeError | None = None


_encode = msgspec.json.Encoder().encode


def transition(decision: Decision, plan: Plan, expected: int) -> Transition:
    """All that the decision writes. `expected` is the version it was decided on."""
    state = decision.state
    diff = effects(decision)
    data = encode(state)
    start = decision.events[0] if expected == 0 else None
    return Transition(
        execution_id=state.execution_id,
        shard=shard_of_execution(state.execution_id),
        workspace_id=state.workspace_id,
        workflow_id=state.workflow_id,
        workflow_version=state.workflow_version,
        mode=state.mode,
        parent_id=state.parent.execution_id if state.parent else "",
        status=state.status,
        started_at=state.started_at,
        closed_at=state.closed_at,
        expected=expected,
        version=state.version,
        state=data,
        events=e.encode(decision.events),
        at=state.at,
        idempotency_key=start.idempotency_key if isinstance(start, e.ExecutionStarted) else "",
        new_tasks=_tasks(state, plan, diff.new_tasks, data),
        done_tasks=diff.done_tasks,
        new_timers=diff.new_timers,
        done_timers=diff.done_timers,
        messages=_messages(decision),
    )


def _tasks(state: State, plan: Plan, new: tuple[tuple[str, int], ...], data: bytes) -> tuple[Task, ...]:
    if not new:
        return ()
    carried = msgspec.Raw(data) if len(data) <= TRAVELS else NO_STATE
    tasks = []
    for key, attempt in new:
        node = plan.graph.nodes.get(key) or plan.graph.nodes[split_key(key)[0]]
        tasks.append(
            Task(
                state.execution_id, state.workspace_id, state.workflow_id, state.workflow_version, key, attempt,
                node.node.queue, node.node.priority, state.at, carried,
            )
        )  # fmt: skip
    return tuple(tasks)


def _messages(decision: Decision) -> tuple[Message, ...]:
    state = decision.state
    found = [_start_child(state, event) for event in decision.events if isinstance(event, e.ChildStarted)]
    if state.status != RUNNING and not decision.was_closed:
        found += _close_children(decision)
        if state.parent is not None:
            body = ChildClosed(state.parent, state.execution_id, state.status, state.result, state.error)
            found.append(Message(f"{CHILD_CLOSED}/{state.version}", CHILD_CLOSED, _encode(body)))
    return tuple(found)


def _start_child(state: State, event: e.ChildStarted) -> Message:
    depth = state.parent.depth + 1 if state.parent else 1
    parent = e.Parent(state.execution_id, event.node, event.attempt, depth, event.close_policy)
    body = StartChild(event.execution_id, state.workspace_id, event.workflow_id, event.input, parent)
    return Message(f"{START_CHILD}/{event.node}/{event.attempt}", START_CHILD, _encode(body))


def _close_children(decision: Decision) -> list[Message]:
    """Children that are still under way when their parent closes, by their close policy."""
    found = []
    verbs = {"terminate": "terminate", "cancel": "cancel"}
    children = {was.child: was for was in decision.before.values() if was is not None and was.child}
    for run in decision.state.runs.values():
        if run.child:
            children.setdefault(run.child, run)
    done = {event.execution_id for event in decision.events if isinstance(event, e.ChildCompleted | e.ChildFailed)}
    for child, run in children.items():
        verb = verbs.get(run.close_policy)
        if verb and child not in done:
            found.append(Message(f"{CLOSE_CHILD}/{child}", CLOSE_CHILD, _encode(CloseChild(child, verb))))
    return found

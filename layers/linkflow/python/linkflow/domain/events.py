"""Events: what happened, in the past tense, never edited. A changed meaning is a new `version` with an upcaster.

Stored flat: ``{"event_id": 3, "at": 1764000000000, "type": "NodeCompleted", …attributes}``; `at` is ms since the epoch.
Outside (API, export) the attributes stand under ``attributes``; see `public`.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Annotated, Any, get_args

import msgspec
from msgspec import Meta, Struct

from .comparing import Report
from .errors import Unavailable
from .outcomes import NodeError
from .payloads import Part
from .steps import Usage
from .trial import Trial
from .upcasting import current


def _version(number: int) -> Any:
    """The version of a type that has changed: unlike the first one it is always written."""
    return msgspec.field(default_factory=lambda: number)


class Base(Struct, frozen=True, omit_defaults=True, kw_only=True, tag_field="type"):
    """`event_id` counts 1, 2, 3 … in each execution, without gaps. A later version is refused, not guessed at.

    `kept_at` (ms) marks an event that a fork took over from its source: when it happened there.
    """

    event_id: int
    at: int
    version: Annotated[int, Meta(ge=1, le=1)] = 1
    kept_at: int = 0


class Parent(Struct, frozen=True, omit_defaults=True):
    """The run that started this one, and the node run there that waits for it."""

    execution_id: str
    node_key: str
    attempt: int
    depth: int
    close_policy: str = "terminate"
    in_error: bool = False
    """It belongs to an error workflow's run: what fails in it starts no further one."""


class ExecutionStarted(Base, frozen=True, tag="ExecutionStarted"):
    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger: Any = None
    mode: str = "manual"
    actor: str = ""
    idempotency_key: str = ""
    parent: Parent | None = None
    reply_to: str = ""
    timeout_at: int = 0
    caused_by: str = ""
    """The failed run that an error workflow was started for."""
    slot: str | None = None
    """The concurrency key of which the run is one, if there is a limit."""
    fairness: str = ""

    source_id: str = ""
    """The run that this one repeats, in whole (``rerun``) or from a node on (``fork``)."""
    trial: Trial | None = None
    """Of a test run: what stands in for nodes, and how far it goes."""
    pins: bool = False
    """What is pinned holds in this run, as it did in its source; in manual and test runs it always does."""
    vars: dict[str, str] = {}
    """The workspace's plain variables that the definition speaks of, as they were. Of a run that had to wait, its first
    event has them."""
    environment: str = ""
    """Where it runs (`domain.environments`); empty is production."""


class ExecutionForked(Base, frozen=True, tag="ExecutionForked"):
    """The run goes on from `node` of its source. What it keeps of that one stands in the next events (`kept_at`).

    `edited`: the node is given `input` in place of its own. `reset`: the source was to be terminated. `report` says
    what is different where the versions are.
    """

    source_id: str
    node: str
    from_version: int
    to_version: int
    kept: int = 0
    edited: bool = False
    input: Any = None
    reset: bool = False
    reason: str = ""
    actor: str = ""
    report: Report | None = None


class ExecutionQueued(Base, frozen=True, tag="ExecutionQueued"):
    """A first event: the start was accepted, and a limit lets it wait. `line` is ``concurrency`` or ``rate``, `key`
    the limit's, `due_at` (ms) its turn by the rate."""

    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    line: str
    key: str = ""
    due_at: int = 0
    trigger: Any = None
    mode: str = "manual"
    actor: str = ""
    idempotency_key: str = ""
    parent: Parent | None = None
    reply_to: str = ""
    caused_by: str = ""
    source_id: str = ""
    fairness: str = ""
    trial: Trial | None = None
    pins: bool = False
    vars: dict[str, str] = {}
    environment: str = ""


class ExecutionCollecting(Base, frozen=True, tag="ExecutionCollecting"):
    """A first event: the run collects further starts with this `key`. `line` is ``debounce`` or ``batch``; it goes on
    at `due_at`, never after `last_at` (ms, 0: no bound), or when it holds `size` starts."""

    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    line: str
    due_at: int
    key: str = ""
    last_at: int = 0
    size: int = 0
    trigger: Any = None
    bytes: int = 0
    mode: str = "manual"
    actor: str = ""
    idempotency_key: str = ""
    reply_to: str = ""
    caused_by: str = ""
    vars: dict[str, str] = {}
    environment: str = ""


class StartCollected(Base, frozen=True, tag="StartCollected"):
    """Another start became part of this run, which now goes on at `due_at`. `bytes` is the size of its data. `parts`
    is where a batch's data up to this start is kept from now on, as far as it was not before."""

    start_id: str
    due_at: int
    trigger: Any = None
    bytes: int = 0
    actor: str = ""
    idempotency_key: str = ""
    parts: tuple[Part, ...] = ()


class ExecutionHeld(Base, frozen=True, tag="ExecutionHeld"):
    """The run's time came, but another limit lets it wait further. Fields as in `ExecutionQueued`."""

    line: str
    key: str = ""
    due_at: int = 0
    fairness: str = ""


class ExecutionCompleted(Base, frozen=True, tag="ExecutionCompleted"):
    result: Any = None


class ExecutionFailed(Base, frozen=True, tag="ExecutionFailed"):
    error: NodeError
    node: str = ""


class ExecutionTimedOut(Base, frozen=True, tag="ExecutionTimedOut"):
    pass


class ExecutionCancelRequested(Base, frozen=True, tag="ExecutionCancelRequested"):
    """What was active is cancelled; the clean-up branches run, and then the run is cancelled."""

    actor: str = ""
    reason: str = ""


class ExecutionCancelled(Base, frozen=True, tag="ExecutionCancelled"):
    """`error` is what the first clean-up `node` that failed met with."""

    actor: str = ""
    reason: str = ""
    error: NodeError | None = None
    node: str = ""


class CleanupFailed(Base, frozen=True, tag="CleanupFailed"):
    """A node of a clean-up branch failed for good: its branch ends, the others go on."""

    node: str
    error: NodeError


class ExecutionTerminated(Base, frozen=True, tag="ExecutionTerminated"):
    actor: str = ""
    reason: str = ""


class ExecutionPaused(Base, frozen=True, tag="ExecutionPaused"):
    """What is running ends; nothing further starts until the run is resumed."""

    actor: str = ""
    reason: str = ""


class ExecutionResumed(Base, frozen=True, tag="ExecutionResumed"):
    actor: str = ""


class TimeoutStopped(Base, frozen=True, tag="TimeoutStopped"):
    """The run only waits, or is paused: of its timeout `left` ms are kept."""

    left: int


class TimeoutResumed(Base, frozen=True, tag="TimeoutResumed"):
    """The run's clock goes again, and runs out at `timeout_at` (ms)."""

    timeout_at: int


class ExecutionRetried(Base, frozen=True, tag="ExecutionRetried"):
    """A failed run goes on: these node runs get another attempt, and its timeout starts anew.

    Inside loops attempts go on from `floor`, so that no result of before passes for one of now.
    """

    nodes: tuple[str, ...]
    actor: str = ""
    timeout_at: int = 0
    floor: int = 0


class NodeHeld(Base, frozen=True, tag="NodeHeld"):
    """The run was retried by hand, but `max_parallel` leaves no room for this attempt yet."""

    node: str
    attempt: int


class LimitApproached(Base, frozen=True, tag="LimitApproached"):
    """The run is near a limit (see `limits`): said once for each."""

    limit: str
    value: int
    max: int


class ErrorWorkflowRefused(Base, frozen=True, tag="ErrorWorkflowRefused"):
    """The error workflow could not be started for the failure that event `failure` tells of."""

    failure: int
    workflow_id: str
    error: NodeError


class NodeScheduled(Base, frozen=True, tag="NodeScheduled"):
    """`sources` are the node runs whose edges were taken: their outputs are the input.

    `start_by` and `close_by` (ms) are when its schedule-to-start and schedule-to-close timeouts pass.
    `edited`: its input is `input`, whatever the sources say.
    """

    node: str
    attempt: int = 1
    sources: tuple[str, ...] = ()
    start_by: int = 0
    close_by: int = 0
    edited: bool = False
    input: Any = None


class NodeStarted(Base, frozen=True, tag="NodeStarted"):
    """Recorded only where a timeout depends on it. `beat_by` (ms) is when the first heartbeat is due."""

    node: str
    attempt: int
    worker: str = ""
    timeout_at: int = 0
    beat_by: int = 0


class NodeCompleted(Base, frozen=True, tag="NodeCompleted"):
    """`pinned` where the output was given in the definition, or the node is disabled; `mocked` where a test run's mock
    gave it. `started_at` is the worker's clock."""

    node: str
    attempt: int
    output: Any = None
    ports: tuple[str, ...] = ("main",)
    started_at: int = 0
    duration_us: int = 0
    worker: str = ""
    respond: Any = None
    answers: bool = False
    pinned: bool = False
    signal_id: str = ""
    logs: tuple[str, ...] = ()
    mocked: bool = False


class NodeFailed(Base, frozen=True, tag="NodeFailed"):
    """One attempt failed. `final`: it was the last; then the node's `on_error` says what follows.

    `heartbeat` is what its last heartbeat told, for the next attempt. `pinned` and `mocked` as in `NodeCompleted`.
    """

    node: str
    attempt: int
    error: NodeError
    final: bool = True
    started_at: int = 0
    duration_us: int = 0
    worker: str = ""
    logs: tuple[str, ...] = ()
    heartbeat: Any = None
    pinned: bool = False
    mocked: bool = False
    fresh: bool = False
    """The next attempt is to do all steps anew."""


class NodeTimedOut(Base, frozen=True, tag="NodeTimedOut", kw_only=True):
    """One attempt ran into a timeout: ``start_to_close``, ``schedule_to_start``, … and failed with `error`.

    `heartbeat` is what its last heartbeat told, and `beat_at` (ms) when that came.
    """

    version: Annotated[int, Meta(ge=2, le=2)] = _version(2)
    node: str
    attempt: int
    timeout: str
    error: NodeError
    final: bool = True
    worker: str = ""
    heartbeat: Any = None
    beat_at: int = 0


class NodeRetryScheduled(Base, frozen=True, tag="NodeRetryScheduled"):
    """The next attempt starts at `due_at` (ms); at once where a test run has `skipped` the time until then."""

    node: str
    attempt: int
    due_at: int
    skipped: bool = False


class StepCompleted(Base, frozen=True, tag="StepCompleted"):
    """A step inside a node run was done; no later attempt does it again. See `steps.Stepped`."""

    node: str
    attempt: int
    step: str
    kind: str = ""
    name: str = ""
    input: Any = None
    output: Any = None
    error: NodeError | None = None
    usage: Usage | None = None
    started_at: int = 0
    duration_us: int = 0
    worker: str = ""


class NodeCancelled(Base, frozen=True, tag="NodeCancelled"):
    node: str
    attempt: int


class NodeSkipped(Base, frozen=True, tag="NodeSkipped"):
    """No incoming edge was taken."""

    node: str


class TimerStarted(Base, frozen=True, tag="TimerStarted"):
    """The node waits until `due_at` (ms) and then completes with `output`."""

    node: str
    attempt: int
    due_at: int
    output: Any = None


class TimerFired(Base, frozen=True, tag="TimerFired"):
    """A delay is over; or, in a pause, a backoff: then the next attempt starts when the run is resumed.

    `skipped`: a test run did not wait for it.
    """

    node: str
    attempt: int
    skipped: bool = False


class TimerCancelled(Base, frozen=True, tag="TimerCancelled"):
    node: str
    attempt: int


class WaitStarted(Base, frozen=True, tag="WaitStarted"):
    """The node waits for an event `name` (with this `key`, if it has one) until `due_at` (ms, 0: for ever)."""

    node: str
    attempt: int
    name: str
    key: str = ""
    due_at: int = 0


class SignalReceived(Base, frozen=True, tag="SignalReceived"):
    """An event from outside. `signal_id` makes a second delivery the same one."""

    signal_id: str
    name: str
    key: str = ""
    payload: Any = None
    actor: str = ""


class ApprovalRequested(Base, frozen=True, tag="ApprovalRequested"):
    node: str
    attempt: int
    title: str
    description: str = ""
    payload: Any = None
    assignees: tuple[str, ...] = ()
    due_at: int = 0
    escalate_at: int = 0
    escalate_to: tuple[str, ...] = ()
    only_assignees: bool = False


class ApprovalEscalated(Base, frozen=True, tag="ApprovalEscalated"):
    """Nobody had decided in time: now all of these are asked."""

    node: str
    attempt: int
    assignees: tuple[str, ...]


class ApprovalDecided(Base, frozen=True, tag="ApprovalDecided"):
    node: str
    attempt: int
    decision: str
    payload: Any = None
    actor: str = ""
    comment: str = ""


class LoopStarted(Base, frozen=True, tag="LoopStarted"):
    """Large items are kept outside, in `parts`; then `items` is empty."""

    node: str
    attempt: int
    items: tuple[Any, ...]
    body: tuple[str, ...] = ()
    concurrency: int = 1
    on_item_error: str = "stop"
    parts: tuple[Part, ...] = ()


class WhileStarted(Base, frozen=True, tag="WhileStarted"):
    """A while loop's condition held for the first time. Its turns are iterations like a loop's."""

    node: str
    attempt: int
    body: tuple[str, ...] = ()
    on_item_error: str = "stop"


class LoopItemsStarted(Base, frozen=True, tag="LoopItemsStarted"):
    """`count` iterations of the loop began, from index `first` on."""

    node: str
    first: int
    count: int = 1


class LoopItemCompleted(Base, frozen=True, tag="LoopItemCompleted"):
    """Iteration `index` ended. Its result is the output of `sources` (one: as it is; several: by node id)."""

    node: str
    index: int
    sources: tuple[str, ...] = ()
    error: NodeError | None = None


class ChildStarted(Base, frozen=True, tag="ChildStarted"):
    node: str
    attempt: int
    execution_id: str
    workflow_id: str
    wait: bool = True
    close_policy: str = "terminate"
    input: Any = None
    close_by: int = 0
    """When the node's schedule-to-close timeout passes (ms), which goes on."""
    step: str = ""
    """The step of the node run that this call is: when the child has closed, the node goes on."""
    name: str = ""
    """What that step is called."""


class ChildCompleted(Base, frozen=True, tag="ChildCompleted"):
    node: str
    attempt: int
    execution_id: str
    result: Any = None


class ChildFailed(Base, frozen=True, tag="ChildFailed"):
    """The child ended in another way than completed, or could not be started."""

    node: str
    attempt: int
    execution_id: str
    status: str
    error: NodeError | None = None


Event = (
    ExecutionStarted
    | ExecutionForked
    | ExecutionQueued
    | ExecutionCollecting
    | StartCollected
    | ExecutionHeld
    | ExecutionCompleted
    | ExecutionFailed
    | ExecutionTimedOut
    | ExecutionCancelRequested
    | ExecutionCancelled
    | CleanupFailed
    | ExecutionTerminated
    | ExecutionPaused
    | ExecutionResumed
    | TimeoutStopped
    | TimeoutResumed
    | ExecutionRetried
    | ErrorWorkflowRefused
    | LimitApproached
    | NodeHeld
    | NodeScheduled
    | NodeStarted
    | NodeCompleted
    | NodeFailed
    | NodeTimedOut
    | NodeRetryScheduled
    | StepCompleted
    | NodeCancelled
    | NodeSkipped
    | TimerStarted
    | TimerFired
    | TimerCancelled
    | WaitStarted
    | SignalReceived
    | ApprovalRequested
    | ApprovalEscalated
    | ApprovalDecided
    | LoopStarted
    | WhileStarted
    | LoopItemsStarted
    | LoopItemCompleted
    | ChildStarted
    | ChildCompleted
    | ChildFailed
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(tuple[Event, ...])


def encode(events: tuple[Event, ...] | list[Event]) -> bytes:
    """The stored JSON array of a transition's events."""
    return _encoder.encode(events)


def decode(data: bytes | msgspec.Raw) -> tuple[Event, ...]:
    """Events from their stored JSON array, older versions in today's form. Raises `ValueError` where they are none,
    `Unavailable` for what a newer LinkFlow has written: in an upgrade it is beside us, and will answer."""
    try:
        return _decoder.decode(current(data))
    except ValueError:
        if _newer(data):
            raise Unavailable("A newer version of LinkFlow has written to this run: it has to go on there.") from None
        raise


class _Head(Struct):
    type: str
    version: int = 1


_heads = msgspec.json.Decoder(tuple[_Head, ...])


def _newer(data: bytes | msgspec.Raw) -> bool:
    """Is there a type or a version among them that is not known yet? Only asked of what cannot be read."""
    try:
        return any(head.version > _known().get(head.type, 0) for head in _heads.decode(data))
    except ValueError:
        return False


@cache
def _known() -> dict[str, int]:
    """The types of today and their versions."""
    found = {}
    for kind in get_args(Event):
        field = next(one for one in msgspec.structs.fields(kind) if one.name == "version")
        found[kind.__name__] = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return found


_ENVELOPE = ("event_id", "at", "type", "version", "kept_at")
_INSIDE = (*_ENVELOPE, "reply_to")
"""What does not stand among the attributes outside: the envelope, and where a process is rung back."""


def iso(at_ms: int) -> str:
    """ISO 8601 in UTC with milliseconds."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public(stored: dict[str, Any]) -> dict[str, Any]:
    """The outside form of one stored event: envelope, and the rest under ``attributes``."""
    kept_at = stored.get("kept_at")
    return {
        "event_id": stored["event_id"],
        "at": iso(stored["at"]),
        "type": stored["type"],
        "version": stored.get("version", 1),
        **({"kept_at": iso(kept_at)} if kept_at else {}),
        "attributes": {key: value for key, value in stored.items() if key not in _INSIDE},
    }

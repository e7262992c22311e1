"""The state of an execution: a fold of its events. Byte for byte the same however often it is folded."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct

from .events import Parent
from .outcomes import NodeError
from .payloads import Part, item_of, whole
from .steps import Progress, Spent
from .trial import PINNING, Trial

FORMAT = 3
"""Of the stored state. A new number has every stored state folded anew from its events when it is loaded: it is due
when a fold of old events would give other bytes than a state that was stored before, and with every new field: in an
upgrade the release before would drop it."""

RUNNING, PAUSED, CANCELLING = "running", "paused", "cancelling"
QUEUED, COLLECTING = "queued", "collecting"
"""A run that exists and was not let in yet."""
HELD = frozenset((PAUSED, QUEUED, COLLECTING))
"""Nothing starts in such a run, and it does not end by itself."""
CLOSED = ("completed", "failed", "cancelled", "timed_out", "terminated")

SCHEDULED, WAITING, BACKOFF, LOOPING, CALLING = "scheduled", "waiting", "backoff", "looping", "calling"
PUT_OFF = "held"
"""It is to be tried again by hand, as soon as `max_parallel` leaves room."""
ACTIVE = frozenset((SCHEDULED, WAITING, BACKOFF, LOOPING, CALLING, PUT_OFF))
"""Node run states in which something is still to come."""
DONE, FAILED, SKIPPED, CANCELLED = "completed", "failed", "skipped", "cancelled"


class Wait(Struct, frozen=True, omit_defaults=True):
    """What a waiting node waits for: an event, or people's decision (`approval`)."""

    name: str = ""
    key: str = ""
    approval: bool = False
    title: str = ""
    description: str = ""
    payload: Any = None
    assignees: tuple[str, ...] = ()
    escalate_at: int = 0
    escalate_to: tuple[str, ...] = ()
    since: int = 0
    """The id of the event with which it began: the oldest wait gets an event that fits several."""
    only_assignees: bool = False


class Signal(Struct, frozen=True, omit_defaults=True):
    """An event that came before anybody waited for it."""

    id: str
    name: str
    key: str = ""
    payload: Any = None


class Warning(Struct, frozen=True, omit_defaults=True):
    """A limit that the run came near to. `at` is ms since the epoch."""

    limit: str
    value: int
    max: int
    at: int


class NodeRun(Struct, frozen=True, omit_defaults=True):
    """One node in one scope. `due_at` is its timer (ms): the delay's, the backoff's, or the timeout's."""

    status: str
    attempt: int = 1
    sources: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    output: Any = None
    error: NodeError | None = None
    due_at: int = 0
    close_by: int = 0
    """When its schedule-to-close timeout passes, over all attempts."""
    started: bool = False
    """A worker took it up; until then `due_at` is the schedule-to-start timeout."""
    beat_by: int = 0
    """When the first heartbeat was due; later ones move the timer and leave no trace here."""
    beat: Any = None
    """What the last heartbeat of an earlier attempt told."""
    wait: Wait | None = None
    child: str = ""
    detached: bool = False
    """The child is not waited for."""
    close_policy: str = ""
    progress: Progress | None = None
    """Steps that were recorded, until the node run is over."""


CONCURRENCY, RATE, DEBOUNCE, BATCH = "concurrency", "rate", "debounce", "batch"


class Entry(Struct, frozen=True, omit_defaults=True):
    """What a run that was not let in yet waits for, and what of its start has no place in the state.

    `line` is ``concurrency``, ``rate``, ``debounce`` or ``batch``; `due_at` (ms) its timer: the turn by the rate, or
    the end of the collecting. `items` are a batch's data in the order of their coming, behind what was set aside in
    `parts`; `count` and `bytes` how many starts were collected and how large.
    """

    line: str
    at: int
    key: str = ""
    due_at: int = 0
    actor: str = ""
    idempotency_key: str = ""
    last_at: int = 0
    size: int = 0
    items: tuple[Any, ...] = ()
    count: int = 0
    bytes: int = 0
    parts: tuple[Part, ...] = ()


class Loop(Struct, omit_defaults=True):
    """A loop under way: results are kept by index until all are there. `body` names the nodes of one iteration.

    A while loop (`turns`) has no items: each iteration is handed what the one before came to. Of its results the
    latest are kept, and `dropped` counts the others.
    """

    items: list[Any]
    body: tuple[str, ...] = ()
    concurrency: int = 1
    on_item_error: str = "stop"
    started: int = 0
    results: dict[int, Any] = {}
    errors: int = 0
    turns: bool = False
    dropped: int = 0
    attempts: int = 0
    """A while loop's attempts that answered: the retries of the next evaluation count from there."""
    parts: tuple[Part, ...] = ()
    """Where large items are kept; then `items` is empty."""

    @property
    def total(self) -> int:
        return sum(part.count for part in self.parts) if self.parts else len(self.items)

    def item(self, index: int) -> Any:
        """An item, or the reference to it."""
        return self.items[index] if self.items else item_of(self.parts, index)

    def all_items(self) -> Any:
        """The items, or the reference to them."""
        return self.items if self.items or not self.parts else whole(self.parts)

    @property
    def ended(self) -> int:
        return self.dropped + len(self.results)

    def has_ended(self, index: int) -> bool:
        """Is iteration `index` over?"""
        return index in self.results or index < self.dropped

    def under_way(self) -> list[int]:
        """Iterations that began and are not over."""
        if self.started == self.ended:
            return []
        return [index for index in range(self.dropped, self.started) if index not in self.results]

    def copy(self) -> Loop:
        other = msgspec.structs.replace(self)
        other.results = dict(self.results)
        return other


class CancelRequest(Struct, frozen=True, omit_defaults=True):
    """Who cancelled the run, and why, while its clean-up branches run."""

    actor: str = ""
    reason: str = ""


class State(Struct, omit_defaults=True, kw_only=True):
    """`version` is the id of the last event: the fence. `runs` are node runs by key, in the order they came up.

    A key is the node's id, with the iteration path behind it inside loops: ``send[3]``, ``row[3,0]``.
    """

    execution_id: str
    status: str
    version: int = 0
    at: int = 0
    workspace_id: str = ""
    workflow_id: str = ""
    workflow_version: int = 0
    mode: str = ""
    trigger_node: str = ""
    trigger: Any = None
    started_at: int = 0
    closed_at: int = 0
    timeout_at: int = 0
    runs: dict[str, NodeRun] = {}
    loops: dict[str, Loop] = {}
    signals: tuple[Signal, ...] = ()
    """Kept events, oldest first."""
    seen: tuple[str, ...] = ()
    """Ids of the latest events, so that a second delivery is refused."""
    earlier: dict[str, int] = {}
    """Attempts that node runs had before the run was retried by hand: they do not count against the policy."""
    result: Any = None
    answered: bool = False
    error: NodeError | None = None
    failed_node: str = ""
    parent: Parent | None = None
    caused_by: str = ""
    warnings: tuple[Warning, ...] = ()
    unanswered: int = 0
    """The latest failure whose error workflow could not be started, by its event."""
    reply_to: str = ""
    cancelling: CancelRequest | None = None
    children: dict[str, str] = {}
    """Children that iterations left behind and nobody waits for: id and what becomes of them when the run closes."""
    highest: int = 1
    """The highest attempt of any node run inside a loop."""
    floor: int = 0
    """Attempts inside loops count from here: those before belong to the time before a retry by hand."""
    timeout_left: int = 0
    """What is left of the timeout (ms) while the run's clock stands; then `timeout_at` is 0."""
    entry: Entry | None = None
    """Until the run is let in."""
    slot: str | None = None
    """The concurrency key of which this run is one."""
    fairness: str = ""
    source_id: str = ""
    spent: Spent | None = None
    """What its calls of models used."""
    environment: str = ""
    """Where it runs; empty is production."""
    edited: dict[str, Any] = {}
    """Inputs that somebody gave to node runs in place of their own, by key."""
    trial: Trial | None = None
    """Of a test run."""
    pins: bool = False
    """Goes by what is pinned, although its mode is none that does."""
    vars: dict[str, str] = {}
    """Variables as the run found them when it came."""

    @property
    def closed(self) -> bool:
        return self.status in CLOSED

    @property
    def goes_by_pins(self) -> bool:
        """Do pinned outputs stand in for their nodes?"""
        return self.mode in PINNING or self.pins

    def copy(self) -> State:
        """A draft to fold further events into; values inside are immutable and shared."""
        other = msgspec.structs.replace(self)
        other.runs = dict(self.runs)
        other.children = dict(self.children)
        other.loops = {key: loop.copy() for key, loop in self.loops.items()}
        return other


def new(execution_id: str) -> State:
    """The state before the first event."""
    return State(execution_id=execution_id, status=RUNNING)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(State)


def encode(state: State) -> bytes:
    """The stored JSON of a state."""
    return _encoder.encode(state)


def decode(data: bytes | msgspec.Raw) -> State:
    return _decoder.decode(data)


def key_of(node: str, path: tuple[int, ...] = ()) -> str:
    """The key of a node run: id and iteration path."""
    return f"{node}[{','.join(map(str, path))}]" if path else node


@lru_cache(maxsize=65_536)
def split_key(key: str) -> tuple[str, tuple[int, ...]]:
    """Node id and iteration path of a key. Only a bracket of integers at the end is a path."""
    if key.endswith("]"):
        node, _, inside = key[:-1].rpartition("[")
        if inside.isascii() and all(part.isdigit() for part in inside.split(",")):
            return node, tuple(map(int, inside.split(",")))
    return key, ()

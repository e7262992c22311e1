"""What the services need from outside, as Protocols. Adapters implement them; `bootstrap` hands them in.

Fakes exist only in contract suites that run the same tests against the real thing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from msgspec import Struct

from linkflow.contracts.controlling import Bulk, BulkError, BulkOptions, BulkRequest
from linkflow.contracts.history import Beat, DueTimer, Execution, HistoryReply, LastBeat, ListRequest, Task, TaskRef
from linkflow.contracts.matching import (
    ConfigureRequest,
    DeadLetter,
    Lease,
    QueueRule,
    QueueSettings,
    QueueStats,
    WorkerSeen,
)
from linkflow.contracts.usage import UsageRequest, UsageSpan
from linkflow.domain.admission import Line
from linkflow.domain.commands import Start
from linkflow.domain.decider import Session
from linkflow.domain.definition import Definition
from linkflow.domain.drawers import FileInfo, Room
from linkflow.domain.firings import YEAR_MS, Firing
from linkflow.domain.notices import Rule
from linkflow.domain.policy import Policy
from linkflow.domain.reach import Reach
from linkflow.domain.searching import Facts


class Clock(Protocol):
    """Time and chance, so that tests can own both."""

    def now_ms(self) -> int: ...
    def random(self) -> float: ...
    def rand_bits(self, bits: int) -> int: ...
    async def sleep(self, seconds: float) -> None: ...


class Slot(Struct, frozen=True):
    """A run's place at a concurrency key: it has a slot, or waits (`queued`) behind those with a lower `position`."""

    key: str
    limit: int
    queued: bool = False
    position: int = 0


class Entrance(Struct, frozen=True):
    """What a transition writes about how its run is let in. Only runs with such settings have one.

    `leaves`: it gives up what it had at the door. `reopens`: it needs a slot again, and nothing is written without.
    `lets_in` (ms) is when a waiting run began. `collects` is (trigger node, key) of a run that begins to collect;
    `keys` are idempotency keys of collected starts; `takes` one that passes to this run from another. `ends` are runs
    that were asked to end. `replaces` is the run whose slot passes to this one where there is no other.
    """

    slot: Slot | None = None
    leaves: bool = False
    reopens: bool = False
    lets_in: int = 0
    fairness: str = ""
    collects: tuple[str, str] | None = None
    keys: tuple[str, ...] = ()
    takes: str = ""
    ends: tuple[str, ...] = ()
    replaces: str = ""


class Transition(Struct, frozen=True):
    """All that one transition writes, in one transaction. `expected` 0 inserts the execution."""

    execution_id: str
    shard: int
    workspace_id: str
    workflow_id: str
    workflow_version: int
    mode: str
    parent_id: str
    status: str
    started_at: int
    closed_at: int
    expected: int
    version: int
    state: bytes
    """Empty where the row keeps its snapshot (`snapshot`)."""
    events: bytes
    at: int
    idempotency_key: str = ""
    new_tasks: tuple[Task, ...] = ()
    done_tasks: tuple[tuple[str, int], ...] = ()
    new_timers: tuple[tuple[str, int], ...] = ()
    done_timers: tuple[str, ...] = ()
    messages: tuple[Message, ...] = ()
    new_waits: tuple[WaitRow, ...] = ()
    done_waits: tuple[tuple[str, int], ...] = ()
    done_beats: tuple[tuple[str, int], ...] = ()
    """Attempts with heartbeats that ended: their rows go."""
    unbeaten: tuple[tuple[str, int, int], ...] = ()
    """Attempts that timed out for want of a heartbeat after this time (ms): with a later one all this is a conflict."""
    snapshot: int = 0
    """The event up to which the row's state is folded, where that is not rewritten."""
    entrance: Entrance | None = None
    source_id: str = ""
    nodes: int = 0
    """Attempts of node runs that ended; `compute_us` is how long they ran."""
    compute_us: int = 0
    ended: bool = False
    """The run ended with this."""
    ai: AiUse | None = None
    facts: Facts | None = None
    """What the run is found by from now on."""


class AiUse(Struct, frozen=True):
    """Tokens of model calls, and millionths of a dollar."""

    input: int
    output: int
    cost: int = 0


class WaitRow(Struct, frozen=True):
    """A node run that waits for an event or for people: how the world finds it. `detail` is the state's `Wait`."""

    node_key: str
    attempt: int
    kind: str
    name: str
    key: str
    due_at: int
    detail: bytes


class StoredWait(Struct, frozen=True):
    execution_id: str
    workspace_id: str
    workflow_id: str
    at: int
    row: WaitRow


class Message(Struct, frozen=True):
    """Something an execution has to tell another one (start a child, report to the parent), kept until it was done."""

    id: str
    kind: str
    body: bytes


class StoredMessage(Struct, frozen=True):
    id: str
    execution_id: str
    kind: str
    body: bytes


class KeptEvent(Struct, frozen=True):
    """An event from outside, before a run waits for it. `payload` is JSON."""

    id: str
    name: str
    key: str
    payload: bytes
    actor: str = ""


FORGET_BLOBS = "forget_blobs"
"""The message that a deleted run leaves behind: its body is the workspace's id."""


class Snapshot(Struct, frozen=True):
    """A run as it is stored, at event `version`: a state and rows of events since (see `domain.snapshots.restore`).
    `state` is empty where it has to be folded from all events."""

    version: int
    state: bytes
    tail: tuple[bytes, ...] = ()
    history_bytes: int = 0


class Look(Struct, frozen=True):
    """What a door is asked about one workflow: runs by id, idempotency keys, concurrency keys (with those who may be
    asked to end, if `staying`), rates, and what collects, by (trigger node, key)."""

    workflow_id: str
    ids: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    staying: bool = False
    rates: tuple[str, ...] = ()
    collectors: tuple[tuple[str, str], ...] = ()


class Seen(Struct, frozen=True):
    """The answers; what is not there is absent. `holders` are runs by idempotency key, `rates` µs (see
    `domain.admission`), `collectors` execution ids with their states."""

    ids: set[str]
    holders: dict[str, str]
    lines: dict[str, Line]
    rates: dict[str, int]
    collectors: dict[tuple[str, str], tuple[str, Snapshot]]


class Door(Protocol):
    """A transaction in which it is decided who is let in."""

    async def lock(self, names: Sequence[str]) -> None:
        """Wait for these; they are free again when the transaction ends. Once, before anything is read."""
        ...

    async def look(self, asked: Look) -> Seen: ...
    async def next(self, workflow_id: str, key: str, limit: int) -> list[tuple[str, Slot]]:
        """Who waits for a slot, in order."""
        ...

    async def write(self, transitions: Sequence[Transition], rates: Mapping[tuple[str, str], int]) -> list[str]:
        """Verdicts as `EventStore.commit` has them. `rates` are by workflow and key."""
        ...


class BulkPage(Struct, frozen=True):
    """The next runs of a bulk operation, behind `cursor`. `errors` are those so far."""

    id: str
    workspace_id: str
    verb: str
    options: BulkOptions
    actor: str
    cursor: int
    errors: tuple[BulkError, ...]
    created_at: int
    targets: tuple[str, ...]


class BulkStore(Protocol):
    """Verbs upon many runs. `owner` names who is at an operation; until `until_ms` others leave it alone."""

    async def count_runs(self, request: BulkRequest) -> int:
        """How many runs fit, up to one more than the limit."""
        ...

    async def begin_bulk(
        self, id: str, request: BulkRequest, now_ms: int, until_ms: int, owner: str,
        chosen: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        """Choose the runs, once for all; or take those that were `chosen`, one more than the limit. Beginning twice is
        beginning once."""
        ...

    async def bulks(self, workspace_id: str, id: str, before: str, limit: int) -> list[Bulk]: ...
    async def cancel_bulk(self, workspace_id: str, id: str, now_ms: int) -> bool:
        """False where it is not under way."""
        ...

    async def claim_bulk(self, owner: str, now_ms: int, until_ms: int, page: int) -> BulkPage | None: ...
    async def advance_bulk(
        self, page: BulkPage, done: int, skipped: int, errors: tuple[BulkError, ...], now_ms: int, until_ms: int
    ) -> None:
        """A page was seen to; nothing changes where somebody else had seen to it."""
        ...

    async def release_bulks(self, owner: str, now_ms: int) -> None: ...


class RunFacts(Struct, frozen=True):
    """What a run is found by: its attributes, and the error (``code``, ``message``, ``node``) that it ended with."""

    attributes: dict[str, Any] = {}
    error: dict[str, Any] | None = None
    environment: str = ""


class Found(Struct, frozen=True):
    """Runs that fit, newest first. `next` is below which id the search goes on; empty where there are no further."""

    runs: list[Execution]
    next: str


class SearchStore(Protocol):
    """Finding runs."""

    async def search(self, request: ListRequest) -> Found:
        """At most `limit` runs that fit. A search looks at so many runs and no more: it may come back with fewer, or
        with none, and yet with a `next`."""
        ...

    async def facts(self, execution_ids: Sequence[str]) -> dict[str, RunFacts]:
        """Of runs that have any."""
        ...


class UsageStore(Protocol):
    """Statistics of runs. Every transition has told its part of them in its own transaction."""

    async def gather(self, limit: int) -> int:
        """Sum up what transitions have told, at most about `limit` of their tallies; returns how many."""
        ...

    async def usage(self, request: UsageRequest) -> list[UsageSpan]:
        """In the order of time."""
        ...

    async def open_runs(self, workspace_id: str, workflow_id: str, most: int) -> dict[str, int]:
        """Open runs by status, each counted up to `most`."""
        ...


class EventStore(BulkStore, UsageStore, SearchStore, Protocol):
    """Execution state and events. One database, or several behind a shard map."""

    async def delete(self, execution_id: str, workspace_id: str, keys: Sequence[str], offer_at: int) -> bool:
        """Delete a closed run with all that is known of it, and what it has of these idempotency keys, in one
        transaction. A message to forget its blobs stays (`FORGET_BLOBS`). False where it is open or not there."""
        ...

    async def commit(self, transitions: Sequence[Transition]) -> list[str]:
        """Write all in one transaction (a database); returns a verdict each: ``ok``, ``conflict`` (the fence: somebody
        else wrote first, nothing of this one was written), ``full`` (it needs a slot again, and there is none),
        ``duplicate:<execution id>`` (the idempotency key is taken), or ``away`` (of several databases the one of this
        run does not answer; it may have been written)."""
        ...

    def door(self, workflow_id: str) -> AbstractAsyncContextManager[Door]:
        """A transaction of one's own for starts and runs of a workflow: committed at the end, undone by any error."""
        ...

    async def queued(self, workflow_id: str, key: str, limit: int) -> list[str]:
        """Runs that wait for a slot, in order."""
        ...

    async def positions(self, execution_ids: Sequence[str]) -> dict[str, int]:
        """The places of runs that wait for a slot, 1 is next."""
        ...

    async def lost_slots(self, now_ms: int, limit: int) -> list[tuple[str, str]]:
        """Give up slots of runs that are closed; returns workflows and keys where somebody waits though there is
        room."""
        ...

    async def load(self, execution_ids: Sequence[str], afresh: bool = False) -> dict[str, Snapshot]:
        """Runs by id; unknown ones are absent. `afresh`: without their states, with all events."""
        ...

    async def describe(self, execution_ids: Sequence[str], workspace_id: str, with_state: bool) -> list[Execution]: ...
    async def page(self, request: ListRequest) -> list[Execution]: ...
    async def history(self, execution_id: str, after: int, limit: int) -> HistoryReply: ...
    async def definition(self, workflow_id: str, version: int) -> bytes | None: ...
    async def under_way(self, workspace_id: str, limit: int) -> int:
        """How many runs of a workspace are running, at most `limit`."""
        ...

    async def workflow(self, workflow_id: str, environment: str = "") -> tuple[str, int] | None:
        """Workspace of a workflow, and the version that runs in an environment; 0 where none does."""
        ...

    async def lost_tasks(self, now_ms: int, republish_after_ms: int, limit: int) -> list[Task]:
        """Tasks whose time to be offered again has come; each is put off by `republish_after_ms`."""
        ...

    async def lost_messages(self, now_ms: int, republish_after_ms: int, limit: int) -> list[StoredMessage]: ...
    async def drop_messages(self, ids: Sequence[tuple[str, str]]) -> None:
        """Forget messages (execution_id, id) that were done."""
        ...

    async def waiting(self, workspace_id: str, name: str, key: str, limit: int) -> list[StoredWait]:
        """Node runs of a workspace that wait for an event of this name, with this key or with none."""
        ...

    async def approvals(
        self, workspace_id: str, workflow_id: str, before: str, after_node: str, limit: int
    ) -> list[StoredWait]:
        """Approvals that are open, the newest runs first, from behind node `after_node` of the run `before` on."""
        ...

    async def keep_event(self, workspace_id: str, event: KeptEvent, until_ms: int) -> None:
        """Keep an event that nobody waits for yet. Keeping it twice is keeping it once."""
        ...

    async def kept_events(self, workspace_id: str, name: str, key: str, now_ms: int) -> list[KeptEvent]:
        """Events that came early, the oldest first; those with this key, or all where it is empty."""
        ...

    async def overlooked(self, now_ms: int, limit: int) -> list[StoredWait]:
        """Waits for which there is a kept event."""
        ...

    async def forget_events(self, now_ms: int, limit: int) -> int:
        """Delete kept events whose time is over; returns how many."""
        ...

    async def drop_events(self, workspace_id: str, ids: Sequence[str]) -> None: ...
    async def drop_timers(self, timers: Sequence[DueTimer]) -> None:
        """Forget timers that lead nowhere any more; not one that has been moved to a later time."""
        ...

    async def beat(self, beats: Sequence[Beat], now_ms: int) -> list[TaskRef]:
        """Keep heartbeats, the latest of each attempt, and move their timers on; returns attempts that are over."""
        ...

    async def beats(self, refs: Sequence[TaskRef]) -> list[LastBeat]:
        """The latest heartbeats of attempts under way, those that sent any."""
        ...

    async def error_runs(self, execution_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Error workflows' runs that failures of these runs have started, as (failed run, its answer), oldest first."""
        ...

    async def beats_of(self, execution_ids: Sequence[str]) -> list[LastBeat]:
        """The latest heartbeats of runs."""
        ...

    async def look_at_firings(self, workflow_ids: Sequence[str], now_ms: int) -> int:
        """Have the timer look now at schedules of these workflows that have firings waiting; returns how many."""
        ...

    async def touch(self, tasks: Sequence[TaskRef], until_ms: int) -> list[TaskRef]:
        """Put off the sweep of these tasks; returns those that exist no more."""
        ...


class TimerStore(Protocol):
    """Timers and schedules, indexed by due time."""

    async def due(self, now_ms: int, limit: int) -> list[DueTimer]: ...
    async def next_due(self) -> int | None:
        """When the earliest timer or schedule falls due, in ms."""
        ...

    async def wanted(self) -> int | None:
        """When a timer, a schedule or anything that a sweep sees to wants attention next, in ms. None: nothing does,
        until somebody writes."""
        ...

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]: ...
    async def open_firings(self, schedules: Sequence[Schedule]) -> dict[tuple[str, str], list[Firing]]:
        """Firings that wait, that are being started, or whose run may go on, by workflow and node. Where every overlap
        is allowed nobody asks which runs go on, and they are left out."""
        ...

    async def settle(self, moves: Sequence[Move]) -> list[bool]:
        """Write what was decided, in one transaction. False, with nothing written, for a schedule that somebody else
        has touched since it was read."""
        ...

    async def confirm(self, moves: Sequence[Move]) -> None:
        """Write what became of starts. The schedule sleeps until `look_at`, unless somebody has touched it since."""
        ...

    async def upkeep(self) -> int:
        """What has to be done every hour or so: make the storage of the coming months, drop old records of firings.
        Returns how much was new."""
        ...


class Schedule(Struct, frozen=True):
    """A schedule of an active workflow. `due_at` is when it wants attention, ms since the epoch.

    `next_at` is its next fire and `delay_ms` that fire's jitter; None where it is paused or over. `revision` counts
    every change. `timetable` is JSON (`domain.timetable`), empty for one by cron alone that older code wrote.
    """

    workflow_id: str
    node_id: str
    workspace_id: str
    workflow_version: int
    cron: str
    timezone: str
    due_at: int
    next_at: int | None = None
    delay_ms: int = 0
    revision: int = 0
    ends_at: int | None = None
    timetable: bytes = b""
    overlap: str = "allow"
    catch_up_window: int = YEAR_MS
    catch_up: str = "latest"


class Move(Struct, frozen=True):
    """What a pass over a schedule writes: its next fire, when to look at it again, and firings."""

    schedule: Schedule
    next_at: int | None
    delay_ms: int = 0
    look_at: int | None = None
    firings: tuple[Firing, ...] = ()


class Visit(Struct):
    """What a worker says of itself when it asks for work: for how many tasks it has places (-1: as many as it asks
    for), the invitation that it came by, and whether it goes if there is nothing for it. The queue says whether it
    `stays` for what is held back for a moment: nobody else is there."""

    places: int = -1
    invitation: str = ""
    leaving: bool = False
    stays: bool = False


class TaskQueue(Protocol):
    """Named queues with partitions, leases and dead letters."""

    async def add(self, tasks: Sequence[Task]) -> int: ...
    async def claim(
        self, queues: Sequence[str], worker: str, limit: int, wait: float, lease: float, visit: Visit | None = None
    ) -> list[Lease]:
        """Lease tasks, and note what the worker says of itself."""
        ...

    def left_behind(self) -> frozenset[str]:
        """Queues in which claims of this process have left tasks that nobody there will take. Told once."""
        ...

    def queues_of(self, tokens: Sequence[str]) -> frozenset[str]:
        """The queues whose tasks these leases are of."""
        ...

    async def dead_letters(self, queue: str, limit: int) -> list[DeadLetter]: ...
    async def letters(self, workspace_id: str, limit: int, before: str = "") -> list[DeadLetter]:
        """A workspace's dead letters in all queues, newest first, after the one whose id is `before`."""
        ...

    async def find_letters(self, workspace_id: str, ids: Sequence[str]) -> list[DeadLetter]:
        """Those of them that exist and are the workspace's."""
        ...

    async def drop_letters(self, workspace_id: str, ids: Sequence[str], execution_id: str = "") -> int:
        """Drop letters by id, and all of an execution; returns how many there were."""
        ...

    async def purge_letters(self, workspace_id: str) -> int: ...
    async def settings(self, queue: str) -> QueueSettings: ...
    async def configure(self, queue: str, partitions: int, rules: Sequence[QueueRule]) -> QueueSettings:
        """Change the number of partitions (0: leave it) and set rules."""
        ...

    async def reclaim(
        self, queues: Sequence[str], worker: str, limit: int, lease: float
    ) -> tuple[list[Lease], list[Lease]]:
        """Tasks whose lease ran out: those claimed for `worker`, and those that have become dead letters."""
        ...

    async def heartbeat(self, worker: str, tokens: Sequence[str], lease: float) -> list[str]:
        """Renew; returns the tokens whose lease was lost."""
        ...

    async def release(self, done: Sequence[str], back: Sequence[str]) -> int: ...
    async def stats(self, queues: Sequence[str]) -> list[QueueStats]: ...
    async def names(self) -> list[str]:
        """Queues that have been in use."""
        ...

    async def places(self, queues: Sequence[str]) -> dict[str, int]:
        """Workers that are there, and how many more tasks each would take."""
        ...

    async def open_of(self, workspace_id: str, queues: Sequence[str]) -> dict[str, Open]:
        """A workspace's tasks in these queues."""
        ...

    async def crowding(self, queue: str, bound: int) -> frozenset[str]:
        """Workspaces with more than their share in a partition where more than `bound` tasks wait or run."""
        ...


class Open(Struct, frozen=True):
    """Tasks that wait or are with a worker, and the age of the oldest that waits, in ms."""

    tasks: int
    oldest_ms: int = 0


class Copy(Struct, frozen=True):
    """What the queue's store has of a queue's settings. `settled` is false while they are being changed. `paced` names
    what has a rate, as (workspace, fairness key)."""

    revision: int
    max_backlog: int = 0
    settled: bool = True
    paced: frozenset[tuple[str, str]] = frozenset()


class SettingsCopies(Protocol):
    """Queues' settings as the queue's store has them: a copy of what the `QueueBook` says."""

    async def of(self, queue: str) -> Copy | None:
        """None where there is no copy, or it was lost."""
        ...

    async def unsettle(self, queue: str) -> None:
        """The settings are about to change: for a moment the copy is not to be trusted."""
        ...

    async def put(self, settings: QueueSettings, rules: Sequence[QueueRule]) -> bool:
        """Make the store go by these settings and just these rules; false where a later copy is there."""
        ...


class QueueBook(Protocol):
    """Queues' settings: the truth."""

    async def read(self, queue: str) -> QueueSettings:
        """A queue's settings; revision 0 where nobody has set any, partitions 0 where their number was left alone."""
        ...

    async def every(self, workspace_id: str = "") -> list[QueueSettings]:
        """Those of all queues; with a workspace those for which there are rules about it."""
        ...

    async def write(self, change: ConfigureRequest, at_ms: int) -> QueueSettings:
        """Make a change. Raises `LimitExceeded` where a workspace has too many rules."""
        ...


class PolicyBook(Protocol):
    """What workspaces let their workflows do. Raises `Unavailable` while it does not answer."""

    async def read(self, workspace_id: str) -> Policy:
        """An open one where nobody has said anything."""
        ...

    async def write(self, workspace_id: str, policy: Policy) -> None:
        """Replace what there was."""
        ...


class FlowBook(Protocol):
    """How much goes through task queues and who has asked for work. Raises `Unavailable` while it does not answer."""

    async def note(
        self,
        minute: int,
        counts: Mapping[tuple[str, str, str], int],
        workers: Mapping[str, tuple[int, tuple[str, ...]]],
        gone_before: int,
    ) -> None:
        """Add to what was counted in a minute (since the epoch), by kind, workspace and queue; note when (ms) workers
        were seen, with their queues, and forget those that were not since `gone_before`."""
        ...

    async def counts(self, minutes: Sequence[int], names: Sequence[tuple[str, str, str]]) -> list[int]:
        """What was counted of each name in all these minutes."""
        ...

    async def workers(self, since: int) -> list[WorkerSeen]:
        """Those seen since then (ms), the latest first."""
        ...


class RuleBook(Protocol):
    """Rules of who is told of what. Raises `Unavailable` while it does not answer."""

    async def of(self, workspace_id: str) -> Sequence[Rule]:
        """Those of a workspace that are switched on."""
        ...

    async def take_long(self, now: int, until: int, limit: int) -> Sequence[Rule]:
        """Rules about long runs that are to be looked after now; nobody else gets them before `until` (ms)."""
        ...

    async def looked(self, rule_id: str, to: int, again: int) -> None:
        """Runs that were accepted before `to` (ms) have been looked at; the next look is at `again` (ms)."""
        ...


class PurgeStore(Protocol):
    """What is kept of workspaces that were deleted, outside of their runs. Raises `Unavailable`."""

    async def take(self, now: int, before: int, until: int, limit: int) -> list[str]:
        """Ids of those that were deleted before a time (ms), to be purged; nobody else gets them before `until`. From
        now on they cannot be restored."""
        ...

    async def silence(self, workspace_id: str) -> None:
        """Nobody is told of its runs any more."""
        ...

    async def portion(self, workspace_id: str) -> int:
        """Forget some of its workflows, files and other rows; how many. 0: there are none left."""
        ...

    async def finish(self, workspace_id: str, entry: Any) -> bool:
        """Forget the workspace itself, with its people's places in it, and put `entry` (`services.audit.Entry`) on
        record. False where it is gone already."""
        ...


class ReachBook(Protocol):
    """What workspaces may reach. Raises `Unavailable` while it does not answer."""

    async def read(self, workspace_id: str) -> Reach:
        """An empty one where nobody has said anything."""
        ...

    async def write(self, workspace_id: str, reach: Reach) -> None:
        """Replace what there was."""
        ...


class Doorbell(Protocol):
    """Wakes other processes. A ring may be lost: whoever waits also looks for himself, now and then."""

    async def ring(self, topic: str, message: bytes) -> None: ...
    def listen(self, topic: str) -> AsyncIterator[bytes]:
        """Messages on `topic` from now on."""
        ...


class Words(Struct, frozen=True, omit_defaults=True):
    """What a node run said while it ran. `kind` is ``text`` for a part of an answer, which goes on where the one before
    ended; others name what happens, such as ``tool``. `at` is ms since the epoch; `cursor` tells its place."""

    node: str
    attempt: int
    kind: str
    text: str
    at: int
    cursor: str = ""


SAID = "said:"
"""The doorbell's topic, with a run's id behind it, that is rung when its nodes have said something."""


class Live(Protocol):
    """What node runs say, for whoever watches them now. Nothing depends on it: a run's words are few, are dropped from
    the front, and are gone some minutes after the last ones. Raises `Unavailable` while the store does not answer."""

    async def publish(self, execution_id: str, words: Sequence[Words]) -> None:
        """Say these, in their order, and ring."""
        ...

    async def read(self, execution_id: str, after: str = "", limit: int = 500) -> list[Words]:
        """Words behind a cursor ("" is the beginning of what is left), oldest first. Whether the asker may see the run
        is for the caller to know."""
        ...


class Notice(Struct, frozen=True):
    """Something that was told of a topic. `cursor` is its place."""

    cursor: str
    data: bytes


class Audience(Protocol):
    """Who watches what, so that nothing is told where nobody does. Nothing depends on it: what is told is few, and is
    gone some minutes later. Raises `Unavailable` while the store does not answer."""

    async def watch(self, topic: str, seconds: float) -> bool:
        """Somebody watches this from now on. False where nobody did until now."""
        ...

    async def watched(self) -> frozenset[str]: ...
    async def tell(self, topic: str, notices: Sequence[bytes]) -> None: ...
    async def read(self, topic: str, after: str, limit: int) -> list[Notice]:
        """Behind a cursor, the oldest first."""
        ...

    async def latest(self, topic: str) -> str:
        """The cursor behind all that was told."""
        ...

    async def has(self, topic: str, cursor: str) -> bool:
        """Is all that was told behind this cursor still there?"""
        ...


class RateLimiter(Protocol):
    async def take(self, key: str, per_second: float, burst: int, cost: int = 1) -> float:
        """Take `cost` from a bucket; returns 0 if it was there, else the seconds until it will be."""
        ...


class Allowances(Protocol):
    async def spend(self, key: str, per_second: float, burst: int, cost: int = 1) -> tuple[float, int]:
        """Take `cost` from a bucket; returns 0 or the seconds until it will be there, and how much is left."""
        ...


class Mail(Struct, frozen=True):
    """A mail in plain text to one person."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Sends mails on behalf of the installation."""

    @property
    def delivers(self) -> bool:
        """Do they get to people, or only into a file of the operator's?"""
        ...

    async def send(self, mail: Mail) -> None:
        """Raises `Unavailable` where it may work later, `InvalidInput` where the server refuses for good."""
        ...


class Ahead(Protocol):
    """Runs pure nodes before anything of a run is written."""

    def run(self, start: Start, definition: Definition, session: Session) -> None:
        """Complete in `session` what is pure at the front of the run. Quick and bounded; never raises."""
        ...


class Dispatcher(Protocol):
    """Starts workers where none loops by itself (Lambda)."""

    async def wake(self, queues: Collection[str]) -> None:
        """These queues may have tasks that nobody will take."""
        ...


class FileStore(Protocol):
    """Files of workspaces, by path. They stay until they are deleted."""

    async def put(self, workspace_id: str, info: FileInfo, data: bytes, room: Room, overwrite: bool) -> FileInfo:
        """Keep a file, durably. Raises `Conflict` where there is one with another content that may not be overwritten,
        `PayloadTooLarge` where there is no room."""
        ...

    async def get(self, workspace_id: str, path: str) -> tuple[FileInfo, bytes] | None: ...

    async def head(self, workspace_id: str, path: str) -> FileInfo | None: ...

    async def list(self, workspace_id: str, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        """Files whose paths begin with `prefix`, in order, behind `after`."""
        ...

    async def delete(self, workspace_id: str, paths: Sequence[str]) -> Sequence[str]:
        """Those that were there."""
        ...


class Invitations(Protocol):
    """Workers that are invoked and not there yet, as all processes know of them (Lambda), beside those that are there
    and say what they have places for. Raises `Unavailable` while the store does not answer."""

    async def invite(self, queues: Sequence[str], capacity: int, most: int, ms: int) -> list[str]:
        """Invitations for as many workers as these queues want: each is to be sent, and is worth `capacity` tasks until
        its worker comes, for `ms` at most. Nobody is invited for what those who are there, or invited, have places for.
        A partition has at most `most` of them at a time."""
        ...

    async def withdraw(self, queues: Sequence[str], invitations: Sequence[str]) -> None:
        """These were not sent."""
        ...


class Idleness(Protocol):
    """Whether the clock of a deployment on Lambda may leave the database alone.

    Whoever writes says so before he does (`busy`), and the clock rests only where it looked, found nothing to do, and
    nobody said anything meanwhile. What this store forgets is a look too many, never one too few. Every method raises
    `Unavailable` while the store does not answer.
    """

    async def busy(self) -> None:
        """Somebody works: nobody rests for the next `BUSY_MS`, and a rest that is taken is over."""
        ...

    async def resting(self) -> bool:
        """Is it known that nothing wants to be done now?"""
        ...

    async def seen(self) -> str:
        """A mark of this moment, for `rest`; to be taken before the look."""
        ...

    async def rest(self, ms: int, seen: str) -> bool:
        """Nothing wants to be done for so long. False where somebody works, or has since `seen`."""
        ...


class Blobs(Protocol):
    """Payloads that are too large for a row, under ``workspace/execution/sha256``. They never change."""

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Keep these; all are durable when it returns. Keeping one twice is keeping it once."""
        ...

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        """Those of them that exist."""
        ...

    async def drop(self, runs: Sequence[tuple[str, str]]) -> None:
        """Forget all blobs of runs, as (workspace_id, execution_id)."""
        ...


Json = Any

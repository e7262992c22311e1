"""Matching: task queues. Add, claim, heartbeat, release in batches; dead letters; a queue's settings."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct

from .history import Task


class AddRequest(Struct, frozen=True, omit_defaults=True):
    """Queue tasks. A task that is already queued or leased is left alone, so adding twice is adding once.

    `ask` names queues of which the caller wants to know who has too much in them.
    """

    tasks: tuple[Task, ...]
    ask: tuple[str, ...] = ()


class AddReply(Struct, frozen=True, omit_defaults=True):
    """How many were new. `full`: by queue asked for, the workspaces that get nothing more into it now."""

    added: int
    full: dict[str, tuple[str, ...]] = {}


class ClaimRequest(Struct, frozen=True, omit_defaults=True):
    """Take up to `limit` tasks, waiting up to `wait` seconds for the first. `lease` seconds, 0 means the default.

    With it a worker says that it is there: for `places` tasks, those that it is given now included (-1: for `limit`).
    It is believed for some seconds. `invitation` is the one that it was invoked with, in its first claim. A worker that
    is `leaving` is gone if there was nothing for it; from then on nobody counts on it.
    """

    worker: str
    queues: tuple[str, ...] = ("default",)
    limit: int = 50
    wait: float = 0.0
    lease: float = 0.0
    places: int = -1
    invitation: str = ""
    leaving: bool = False


class Lease(Struct, frozen=True, omit_defaults=True):
    """A claimed task. `token` names queue, partition and entry; `deliveries` counts from 1."""

    token: str
    task: Task
    deliveries: int = 1
    expires_at: int = 0


class ClaimReply(Struct, frozen=True, omit_defaults=True):
    """`paced` names what has a rate in the queues that were asked for, as (workspace, fairness key): only the queue
    hands such tasks out, so a worker that is given one by another way gives it back.

    A worker that was leaving `stays` where a rate holds tasks back for a moment only, and nobody else is there."""

    leases: tuple[Lease, ...]
    paced: dict[str, frozenset[tuple[str, str]]] = {}
    stays: bool = False


class HeartbeatRequest(Struct, frozen=True, omit_defaults=True):
    """Renew leases. `lease` seconds, 0 means the default."""

    worker: str
    tokens: tuple[str, ...]
    lease: float = 0.0


class HeartbeatReply(Struct, frozen=True):
    """Leases that were lost: another worker may have the task by now."""

    lost: tuple[str, ...] = ()


class ReleaseRequest(Struct, frozen=True, omit_defaults=True):
    """Give leases up: `done` are finished, `back` go to the queue again (a worker that shuts down)."""

    worker: str
    done: tuple[str, ...] = ()
    back: tuple[str, ...] = ()


class ReleaseReply(Struct, frozen=True):
    released: int


class QueueStats(Struct, frozen=True, omit_defaults=True):
    """Of one partition: waiting and leased tasks, dead letters, age of the oldest waiting one in ms, live workers, for
    how many tasks these have places, and workers that are invoked and not there yet."""

    queue: str
    partition: int
    waiting: int
    leased: int
    dead: int
    oldest_ms: int = 0
    workers: int = 0
    places: int = 0
    invited: int = 0


class StatsRequest(Struct, frozen=True):
    queues: tuple[str, ...] = ("default",)


class StatsReply(Struct, frozen=True):
    partitions: tuple[QueueStats, ...]


class DeadRequest(Struct, frozen=True, omit_defaults=True):
    queue: str = "default"
    limit: int = 100


class DeadLetter(Struct, frozen=True, omit_defaults=True):
    """A task that was delivered too often without a result. `at` is when it died, ms; `id` is this letter's."""

    task: Task
    deliveries: int
    reason: str
    at: int
    id: str = ""


class LetterFilter(Struct, frozen=True, omit_defaults=True):
    """Which dead letters; what is left out does not narrow. `node` is a node with all its iterations, `text` stands in
    the reason in any case; the task died from `after` on and before `before` (ms)."""

    workflow_id: str = ""
    execution_id: str = ""
    queue: str = ""
    node: str = ""
    text: str = ""
    after: int = 0
    before: int = 0

    def fits(self, letter: DeadLetter) -> bool:
        task = letter.task
        return (
            self.workflow_id in ("", task.workflow_id)
            and self.execution_id in ("", task.execution_id)
            and self.queue in ("", task.queue)
            and self.node in ("", task.node_key, task.node_key.partition("[")[0])
            and self.text.lower() in letter.reason.lower()
            and self.after <= letter.at
            and (not self.before or letter.at < self.before)
        )


class DeadReply(Struct, frozen=True, omit_defaults=True):
    """`next` is where a filtered page goes on; empty at the end."""

    letters: tuple[DeadLetter, ...]
    next: str = ""


class LettersRequest(Struct, frozen=True, omit_defaults=True):
    """A workspace's dead letters in all queues: those with these ids that exist, or without ids a page of the newest,
    newest first, after the letter whose id is `before`. With `match` a page may have fewer than there are, or none."""

    workspace_id: str
    ids: tuple[str, ...] = ()
    before: str = ""
    limit: int = 20
    match: LetterFilter | None = None


class DropRequest(Struct, frozen=True, omit_defaults=True):
    """Forget dead letters of a workspace: by id, those of an execution, or with `all` every one."""

    workspace_id: str
    ids: tuple[str, ...] = ()
    execution_id: str = ""
    all: bool = False


class DropReply(Struct, frozen=True):
    """How many there were."""

    dropped: int


class QueueRule(Struct, frozen=True, omit_defaults=True):
    """What holds for a queue (no workspace), a workspace in it, or one fairness key of the workspace.

    `weight` is the share beside the others of its level, 1 where nothing is said. `rate` is how many tasks are handed
    out per second, 0 for no limit; `burst` how many at once after a pause, 0 for as many as in one second. `own` rules
    are the workspace's, the others are the operator's; where both give a rate, the lower one holds.
    """

    workspace_id: str = ""
    fairness: str = ""
    weight: float = 1.0
    rate: float = 0.0
    burst: int = 0
    own: bool = False


class SettingsRequest(Struct, frozen=True):
    queue: str = "default"


class ConfigureRequest(Struct, frozen=True, omit_defaults=True):
    """Change a queue's settings. `partitions` 0 leaves their number; `rules` replace those of the same name, and one
    that says nothing (weight 1, no rate) removes it. `max_backlog` is how many tasks may wait in one partition before
    workspaces with more than their share are refused: 0 for the deployment's number, -1 leaves it.

    With a `workspace_id` these are the workspace's own rules of the queue, all of them: what is not said goes.
    """

    queue: str = "default"
    partitions: int = 0
    rules: tuple[QueueRule, ...] = ()
    max_backlog: int = -1
    workspace_id: str = ""
    actor: str = ""


class QueueSettings(Struct, frozen=True, omit_defaults=True):
    """A queue's settings. `draining` partitions are those of an earlier number that still have tasks. `revision` counts
    the changes; `changed_at` (ms) and `changed_by` tell of the latest."""

    queue: str
    partitions: int
    draining: int = 0
    rules: tuple[QueueRule, ...] = ()
    max_backlog: int = 0
    revision: int = 0
    changed_at: int = 0
    changed_by: str = ""


class QueuesRequest(Struct, frozen=True, omit_defaults=True):
    """Queues with their numbers: all of the deployment, or with a `workspace_id` those that it uses or has rules for.
    `names` asks for these alone."""

    workspace_id: str = ""
    names: tuple[str, ...] = ()
    with_workers: bool = False
    """Say also which workers there are; for operators."""


class WorkerSeen(Struct, frozen=True):
    """A worker, the queues that it serves, and when (ms) it last asked for work or said that it works. `places`: how
    many more tasks it would take now; none where it is full, or gone."""

    name: str
    queues: tuple[str, ...]
    seen_at: int
    places: int = 0


class QueueView(Struct, frozen=True, omit_defaults=True):
    """A queue over all its partitions: tasks that wait and that are with workers, dead letters, the age of the oldest
    waiting task in ms, live workers, for how many tasks these have places, and workers that are invoked and not there
    yet.

    For a workspace `waiting`, `leased`, `dead` and `places` stay unsaid: `open` and `oldest_ms` are of its own tasks,
    waiting or with a worker, and the rules are those about it.

    The rates are tasks a minute that came into the queue, and that workers took from it, over the last five minutes
    (for a workspace: its own). What a worker takes along with a result's reply does not pass the queue.
    """

    settings: QueueSettings
    waiting: int = 0
    leased: int = 0
    dead: int = 0
    oldest_ms: int = 0
    workers: int = 0
    places: int = 0
    invited: int = 0
    open: int = 0
    added_per_minute: float = 0.0
    taken_per_minute: float = 0.0


class QueuesReply(Struct, frozen=True, omit_defaults=True):
    queues: tuple[QueueView, ...]
    workers: tuple[WorkerSeen, ...] = ()


class MatchingApi(Protocol):
    """Task queues on streams: partitions, leases, dead letters."""

    async def add(self, request: AddRequest) -> AddReply: ...
    async def claim(self, request: ClaimRequest) -> ClaimReply: ...
    async def heartbeat(self, request: HeartbeatRequest) -> HeartbeatReply: ...
    async def release(self, request: ReleaseRequest) -> ReleaseReply: ...
    async def stats(self, request: StatsRequest) -> StatsReply: ...
    async def dead(self, request: DeadRequest) -> DeadReply: ...
    async def letters(self, request: LettersRequest) -> DeadReply: ...
    async def drop(self, request: DropRequest) -> DropReply: ...
    async def settings(self, request: SettingsRequest) -> QueueSettings: ...
    async def configure(self, request: ConfigureRequest) -> QueueSettings: ...
    async def queues(self, request: QueuesRequest) -> QueuesReply: ...

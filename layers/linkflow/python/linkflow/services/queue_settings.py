"""Task queues' settings: kept in the book, copied to the queues' store, and copied anew where that was lost."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Sequence

from msgspec.structs import replace

from linkflow.contracts.matching import (
    ConfigureRequest,
    QueueRule,
    QueueSettings,
    QueuesReply,
    QueuesRequest,
    QueueStats,
    QueueView,
)
from linkflow.domain.errors import InvalidInput, Problem, Unavailable
from linkflow.ports import Copy, Open, QueueBook, SettingsCopies, TaskQueue

MOST_PARTITIONS = 256
MOST_RULES = 1_000
"""Rules in one change."""
MAX_NAME = 100
MAX_BACKLOG = 100_000_000
BELIEVED_FOR = 1.0
"""Seconds for which a process goes by what it knows of a queue's settings."""
LATER = 5.0
"""Seconds until the next look where one failed."""
TRIES = 100

_log = logging.getLogger(__name__)


class QueueSettingsDesk:
    """The settings of all queues. Methods raise `Unavailable` while a store does not answer."""

    def __init__(
        self,
        queue: TaskQueue,
        copies: SettingsCopies,
        book: QueueBook,
        *,
        max_backlog: int,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`max_backlog` is the bound of queues for which nothing is said."""
        self._queue = queue
        self._copies = copies
        self._book = book
        self._max_backlog = max_backlog
        self._monotonic = monotonic
        self._known: dict[str, tuple[float, Copy]] = {}

    async def see_to(self, queues: Iterable[str]) -> None:
        """Make sure that the queues' store goes by the settings: it may have lost them. One look a second and queue."""
        now = self._monotonic()
        for queue in queues:
            until, was = self._known.get(queue, (0.0, Copy(0)))
            if until <= now:
                if len(self._known) > 1000:
                    self._known.clear()
                self._known[queue] = (now + BELIEVED_FOR, was)  # one of us looks
                try:
                    found = await self._copies.of(queue) or await self._copy(queue)
                    self._known[queue] = (now + BELIEVED_FOR, found if found.settled else was)
                except Unavailable as error:  # tasks go on by what is there
                    _log.warning("The settings of the task queue %s cannot be looked at now: %s", queue, error)
                    self._known[queue] = (now + LATER, was)

    def bound(self, queue: str) -> int:
        """How many tasks a partition of it may have."""
        return self._known.get(queue, (0.0, Copy(0)))[1].max_backlog or self._max_backlog

    def paced(self, queues: Iterable[str]) -> dict[str, frozenset[tuple[str, str]]]:
        """What has a rate in these queues, as (workspace, fairness key); those without any are absent."""
        return {queue: known[1].paced for queue in queues if (known := self._known.get(queue)) and known[1].paced}

    async def settings(self, queue: str) -> QueueSettings:
        """How a queue is set up."""
        kept = await self._book.read(queue)
        now = await self._queue.settings(queue)
        return replace(kept, partitions=kept.partitions or now.partitions, draining=now.draining)

    async def configure(self, change: ConfigureRequest, at_ms: int) -> QueueSettings:
        """Change settings: the book first, then the copy. Raises `InvalidInput` naming all that cannot be."""
        check(change)
        await self._copies.unsettle(change.queue)
        await self._book.write(_marked(change), at_ms)
        self._known.pop(change.queue, None)
        await self._copy(change.queue)
        return await self.settings(change.queue)

    async def views(self, request: QueuesRequest) -> QueuesReply:
        """Queues with their numbers."""
        kept = {settings.queue: settings for settings in await self._book.every(request.workspace_id)}
        names = list(request.names) or sorted({"default", *kept, *await self._queue.names()})
        await self.see_to(names)
        rows: dict[str, list[QueueStats]] = {}
        for row in await self._queue.stats(names):
            rows.setdefault(row.queue, []).append(row)
        if request.workspace_id:
            mine = await self._queue.open_of(request.workspace_id, names)
            if not request.names:
                names = [name for name in names if name in mine or name in kept or name == "default"]
            views = [_own(name, kept.get(name), rows.get(name, ()), mine.get(name)) for name in names]
            return QueuesReply(tuple(views))
        whole = [_whole(await self.settings(name), rows.get(name, ())) for name in names]
        return QueuesReply(tuple(whole))

    async def _copy(self, queue: str) -> Copy:
        """Write the copy anew, until it is of what the book says then: while we write, somebody else may change the
        book, or the store may lose the mark of a later copy that ours has spoilt."""
        settings = await self._book.read(queue)
        for _ in range(TRIES):
            rules = effective(settings.rules)
            written = await self._copies.put(settings, rules)
            latest = await self._book.read(queue)
            if written and latest.revision == settings.revision:
                if settings.revision:
                    _log.info("Settings of the task queue %s, revision %d, are in use", queue, settings.revision)
                return Copy(settings.revision, settings.max_backlog, paced=_paced(rules))
            settings = latest
        raise Unavailable(f"The settings of the task queue {queue} change too quickly; try again.")


def _paced(rules: Sequence[QueueRule]) -> frozenset[tuple[str, str]]:
    return frozenset((rule.workspace_id, rule.fairness) for rule in rules if rule.rate)


def effective(rules: Sequence[QueueRule]) -> list[QueueRule]:
    """What holds where the operator and a workspace say something of the same: the lower rate; the operator's weight
    for the workspace, the workspace's for its keys."""
    found: dict[tuple[str, str], QueueRule] = {}
    for rule in sorted(rules, key=lambda rule: rule.own):
        name = (rule.workspace_id, rule.fairness)
        other = found.get(name)
        if other is None:
            found[name] = replace(rule, own=False)
            continue
        slower = min((other, rule), key=lambda one: one.rate or math.inf)
        weight = rule.weight if rule.fairness else other.weight
        found[name] = replace(slower, weight=weight, own=False)
    return list(found.values())


def check(change: ConfigureRequest) -> None:
    """Raises `InvalidInput` naming every fault."""
    faults = [*_name_faults(change.queue)]
    if not 0 <= change.partitions <= MOST_PARTITIONS:
        say = f"A queue has 1 to {MOST_PARTITIONS} partitions (0 leaves the number as it is)."
        faults.append(Problem("/partitions", "out_of_range", say))
    if not -1 <= change.max_backlog <= MAX_BACKLOG:
        say = f"A backlog is bounded by up to {MAX_BACKLOG:,} tasks a partition (0: the deployment's number)."
        faults.append(Problem("/max_backlog", "out_of_range", say))
    if change.workspace_id and (change.partitions or change.max_backlog >= 0):
        faults.append(Problem("", "not_yours", "Partitions and the backlog are the operator's to set."))
    if len(change.rules) > MOST_RULES:
        faults.append(Problem("/rules", "too_many", f"One change sets up to {MOST_RULES:,} rules."))
    names: set[tuple[str, str]] = set()
    for at, rule in enumerate(change.rules[:MOST_RULES]):
        faults += _rule_faults(f"/rules/{at}", rule, change.workspace_id)
        if (rule.workspace_id, rule.fairness) in names:
            faults.append(Problem(f"/rules/{at}", "duplicate", "Another rule is about the same."))
        names.add((rule.workspace_id, rule.fairness))
    if faults:
        raise InvalidInput("These settings cannot be: " + " ".join(f.message for f in faults), problems=faults)


def _name_faults(queue: str) -> list[Problem]:
    if queue.strip() and len(queue) <= MAX_NAME and queue.isprintable():
        return []
    return [Problem("/queue", "bad_name", f"A queue's name has 1 to {MAX_NAME} printable characters.")]


def _rule_faults(path: str, rule: QueueRule, workspace_id: str) -> Iterable[Problem]:
    if rule.fairness and not rule.workspace_id:
        yield Problem(f"{path}/fairness", "bad_rule", "A fairness key is one of a workspace: name it too.")
    if workspace_id and rule.workspace_id != workspace_id:
        yield Problem(f"{path}/workspace_id", "not_yours", "A workspace sets rules about itself.")
    if workspace_id and not rule.fairness and rule.weight != 1:
        yield Problem(f"{path}/weight", "not_yours", "A workspace's share beside others is the operator's to set.")
    if not 0.001 <= rule.weight <= 1000:
        yield Problem(f"{path}/weight", "out_of_range", "A weight is between 0.001 and 1000.")
    if not 0 <= rule.rate <= 1_000_000 or 0 < rule.rate < 0.0001:
        say = "A rate is 0 for none, or between 0.0001 and 1,000,000 tasks per second."
        yield Problem(f"{path}/rate", "out_of_range", say)
    if not 0 <= rule.burst <= 1_000_000:
        yield Problem(f"{path}/burst", "out_of_range", "A burst is 0 (a second's worth) to 1,000,000 tasks.")


def _marked(change: ConfigureRequest) -> ConfigureRequest:
    """Whose word a rule is follows from who says it."""
    own = bool(change.workspace_id)
    return replace(change, rules=tuple(replace(rule, own=own) for rule in change.rules))


def _whole(settings: QueueSettings, rows: Sequence[QueueStats]) -> QueueView:
    return QueueView(
        settings,
        waiting=sum(row.waiting for row in rows),
        leased=sum(row.leased for row in rows),
        dead=sum(row.dead for row in rows),
        oldest_ms=max((row.oldest_ms for row in rows), default=0),
        workers=_workers(rows),
        places=max((row.places for row in rows), default=0),
        invited=_invited(rows),
    )


def _own(name: str, kept: QueueSettings | None, rows: Sequence[QueueStats], mine: Open | None) -> QueueView:
    """What a workspace may know: its own tasks and the rules about it."""
    rules = kept.rules if kept else ()
    found = mine or Open(0)
    settings = QueueSettings(name, 0, rules=rules)
    workers, invited = _workers(rows), _invited(rows)
    return QueueView(settings, oldest_ms=found.oldest_ms, workers=workers, invited=invited, open=found.tasks)


def _workers(rows: Sequence[QueueStats]) -> int:
    """A worker looks into every partition, so the most that one has seen is how many there are."""
    return max((row.workers for row in rows), default=0)


def _invited(rows: Sequence[QueueStats]) -> int:
    return max((row.invited for row in rows), default=0)

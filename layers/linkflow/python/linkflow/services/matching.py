"""Matching: task queues on top of `ports.TaskQueue`, with backpressure, dead letters and workers woken on demand.

Rights: ``matching.add`` (History), ``matching.claim`` (workers: claim, heartbeat, release), ``matching.read`` (the
Frontend: stats, dead letters), ``matching.drop`` and
``matching.configure`` (the Frontend: forget dead letters, change a queue's settings).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping
from contextvars import Context

import msgspec

from linkflow.config import Config
from linkflow.contracts.base import caller
from linkflow.contracts.history import CompleteBatch, HistoryApi, Report
from linkflow.contracts.matching import (
    AddReply,
    AddRequest,
    ClaimReply,
    ClaimRequest,
    ConfigureRequest,
    DeadLetter,
    DeadReply,
    DeadRequest,
    DropReply,
    DropRequest,
    HeartbeatReply,
    HeartbeatRequest,
    Lease,
    LetterFilter,
    LettersRequest,
    QueueSettings,
    QueuesReply,
    QueuesRequest,
    QueueStats,
    QueueView,
    ReleaseReply,
    ReleaseRequest,
    SettingsRequest,
    StatsReply,
    StatsRequest,
)
from linkflow.domain.errors import LinkFlowError, QueueFull
from linkflow.domain.outcomes import DEAD_LETTER_CODE, Failed, NodeError
from linkflow.metrics import (
    DEAD_LETTERS,
    QUEUE_INVITED,
    QUEUE_LEASED,
    QUEUE_OLDEST_SECONDS,
    QUEUE_PLACES,
    QUEUE_WAITING,
    QUEUE_WORKERS,
    Gauge,
)
from linkflow.ports import Clock, Dispatcher, QueueBook, SettingsCopies, TaskQueue, Visit

from .flow import Flow, seen
from .queue_settings import QueueSettingsDesk
from .waking import Waking

RECLAIM_INTERVAL = 1.0
"""Seconds between two looks for expired leases, per process and set of queues."""
LETTER_PAGE, LETTER_PAGES = 200, 10
"""Dead letters that are read at once, and how often for one page of those that fit."""
BACKLOG_INTERVAL = 1.0
"""Seconds for which a queue's length is believed."""

_log = logging.getLogger(__name__)

_NUMBERS: tuple[tuple[Gauge, Callable[[list[QueueStats]], float]], ...] = (
    (QUEUE_WAITING, lambda rows: sum(row.waiting for row in rows)),
    (QUEUE_LEASED, lambda rows: sum(row.leased for row in rows)),
    (QUEUE_OLDEST_SECONDS, lambda rows: max(row.oldest_ms for row in rows) / 1000),
    (QUEUE_WORKERS, lambda rows: max(row.workers for row in rows)),
    (QUEUE_PLACES, lambda rows: max(row.places for row in rows)),
    (QUEUE_INVITED, lambda rows: max(row.invited for row in rows)),
    (DEAD_LETTERS, lambda rows: sum(row.dead for row in rows)),
)


class Matching:
    """Serves `MatchingApi`. Every method raises `Unavailable` while the queue's store does not answer.

    `max_backlog` is how many tasks a partition may have before workspaces with more than an equal share of them are
    refused, where a queue's settings say nothing. It is looked at once a second, so it may be overshot by a second's
    worth of tasks: it keeps the store alive, it is no quota.
    """

    def __init__(
        self,
        queue: TaskQueue,
        history: HistoryApi,
        dispatcher: Dispatcher | None,
        config: Config,
        clock: Clock,
        copies: SettingsCopies,
        book: QueueBook,
        *,
        flow: Flow | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._history = history
        self._waking = Waking(dispatcher)
        self._config = config
        self._clock = clock
        self._desk = QueueSettingsDesk(queue, copies, book, max_backlog=config.max_backlog, monotonic=monotonic)
        self._flow = flow
        self._monotonic = monotonic
        self._full: dict[str, tuple[float, frozenset[str]]] = {}
        self._reclaim_at: dict[tuple[str, ...], float] = {}
        self._unreported: dict[str, Lease] = {}
        self._reporting = asyncio.Lock()
        self._draining = False
        self._departures: set[asyncio.Task[None]] = set()

    async def add(self, request: AddRequest) -> AddReply:
        """Queue tasks, then wake workers where none loops by itself and none is there that has places for them.

        Raises `QueueFull` where workspaces have too much in a queue: what belongs to others has been added, and adding
        all of it again later is safe. Workers are woken also for tasks that were there already, as an earlier wake may
        be lost.
        """
        caller().require("matching.add")
        wanted = {task.queue for task in request.tasks}.union(request.ask)
        await self._desk.see_to(wanted)
        full = await self._crowded(sorted(wanted))
        tasks = request.tasks
        if full:
            tasks = tuple(task for task in tasks if task.workspace_id not in full.get(task.queue, ()))
        added = await self._queue.add(tasks) if tasks else 0
        if tasks and self._flow is not None:
            self._flow.added(tasks)
        await self._waking.wake({task.queue for task in tasks})
        if len(tasks) < len(request.tasks):
            raise _full({q: sorted(full[q]) for q in sorted(full)}, {q: self._desk.bound(q) for q in full})
        return AddReply(added, {queue: tuple(sorted(full[queue])) for queue in request.ask if queue in full})

    async def claim(self, request: ClaimRequest) -> ClaimReply:
        """Lease tasks, waiting for the first. Tasks that another worker lost come first, in a reply of their own.

        A worker whose claim is cancelled is not there any more. Who leaves tasks behind that nobody will take wakes
        others.
        """
        caller().require("matching.claim")
        try:
            reply = await self._claim(request)
        except asyncio.CancelledError:
            departure = asyncio.create_task(self._gone(request), context=Context())
            self._departures.add(departure)
            departure.add_done_callback(self._departures.discard)
            raise
        self._waking.wake_soon(self._queue.left_behind())
        if request.leaving:
            await self._waking.settled()
        return reply

    async def _claim(self, request: ClaimRequest) -> ClaimReply:
        visit = Visit(request.places, request.invitation, request.leaving)
        lease = self._lease(request.lease)
        deadline = self._monotonic() + request.wait
        while True:
            await self._desk.see_to(request.queues)
            leases = await self._reclaim(request, lease)
            left = max(0.0, deadline - self._monotonic())
            # While it waits it comes back in time to look for expired leases: an idle fleet heals itself too.
            wait = min(left, RECLAIM_INTERVAL)
            if leases:  # it has fewer places now
                places = max(0, (request.limit if request.places < 0 else request.places) - len(leases))
                now = msgspec.structs.replace(visit, places=places, leaving=False)
                await self._queue.claim(request.queues, request.worker, 0, 0.0, lease, now)
            else:
                leases = await self._queue.claim(request.queues, request.worker, request.limit, wait, lease, visit)
            if leases or left <= wait or self._draining:
                if self._flow is not None:
                    self._flow.taken(request.worker, request.queues, leases)
                return ClaimReply(tuple(leases), self._desk.paced(request.queues), visit.stays)

    async def _gone(self, request: ClaimRequest) -> None:
        try:
            await self._queue.claim(request.queues, request.worker, 0, 0.0, 0.0, Visit(0, request.invitation, True))
        except LinkFlowError as error:
            _log.debug("A worker that went is counted on for some more seconds: %s", error)
        await self._waking.wake(self._queue.left_behind())

    async def close(self) -> None:
        """Wait until who has gone is struck out, and who was to be woken is."""
        await asyncio.gather(*self._departures)
        await self._waking.settled()

    def drain(self) -> None:
        """The process is about to end: who waits for tasks is answered soon, and asks another one."""
        self._draining = True

    async def heartbeat(self, request: HeartbeatRequest) -> HeartbeatReply:
        """Renew leases; the reply names those that are lost."""
        caller().require("matching.claim")
        if self._flow is not None:
            self._flow.alive(request.worker)
        lost = await self._queue.heartbeat(request.worker, request.tokens, self._lease(request.lease))
        return HeartbeatReply(tuple(lost))

    async def release(self, request: ReleaseRequest) -> ReleaseReply:
        """End leases. A lease that another worker has by now is left alone and not counted. What goes back is
        anybody's; where nobody is there, workers are woken."""
        caller().require("matching.claim")
        released = await self._queue.release(request.done, request.back)
        if request.back:
            await self._waking.wake(self._queue.queues_of(request.back))
        return ReleaseReply(released)

    async def stats(self, request: StatsRequest) -> StatsReply:
        """The numbers of every partition of the queues."""
        caller().require("matching.read")
        return StatsReply(tuple(await self._queue.stats(request.queues)))

    async def dead(self, request: DeadRequest) -> DeadReply:
        """The newest dead letters of a queue."""
        caller().require("matching.read")
        return DeadReply(tuple(await self._queue.dead_letters(request.queue, request.limit)))

    async def letters(self, request: LettersRequest) -> DeadReply:
        """A workspace's dead letters in all queues, by id or as a page."""
        caller().require("matching.read", request.workspace_id)
        if request.ids:
            return DeadReply(tuple(await self._queue.find_letters(request.workspace_id, request.ids)))
        if request.match is not None:
            return await self._matching_letters(request, request.match)
        return DeadReply(tuple(await self._queue.letters(request.workspace_id, request.limit, request.before)))

    async def _matching_letters(self, request: LettersRequest, match: LetterFilter) -> DeadReply:
        found: list[DeadLetter] = []
        before = request.before
        for _ in range(LETTER_PAGES):
            page = await self._queue.letters(request.workspace_id, LETTER_PAGE, before)
            for letter in page:
                before = letter.id
                if match.fits(letter):
                    found.append(letter)
                    if len(found) == request.limit:
                        return DeadReply(tuple(found), before)
            if len(page) < LETTER_PAGE:
                return DeadReply(tuple(found))
        return DeadReply(tuple(found), before)

    async def drop(self, request: DropRequest) -> DropReply:
        """Forget dead letters. The failures that they tell of stay in the executions' histories."""
        caller().require("matching.drop", request.workspace_id)
        if request.all:
            return DropReply(await self._queue.purge_letters(request.workspace_id))
        dropped = await self._queue.drop_letters(request.workspace_id, request.ids, request.execution_id)
        return DropReply(dropped)

    async def settings(self, request: SettingsRequest) -> QueueSettings:
        """A queue's partitions, weights and rates."""
        caller().require("matching.read")
        return await self._desk.settings(request.queue)

    async def configure(self, request: ConfigureRequest) -> QueueSettings:
        """Change them, also under load. Raises `InvalidInput`."""
        caller().require("matching.configure", request.workspace_id or None)
        return await self._desk.configure(request, self._clock.now_ms())

    async def measure(self) -> None:
        """Set what `linkflow.metrics` has about queues. Valkey alone is asked: nobody's database is woken for it."""
        rows: dict[str, list[QueueStats]] = {}
        for row in await self._queue.stats(sorted({"default", *await self._queue.names()})):
            rows.setdefault(row.queue, []).append(row)
        for gauge, number in _NUMBERS:
            gauge.replace({(queue,): number(of) for queue, of in rows.items()})

    async def queues(self, request: QueuesRequest) -> QueuesReply:
        """Queues with their settings and numbers: all, or what a workspace may know of those it uses."""
        caller().require("matching.read", request.workspace_id or None)
        reply = await self._desk.views(request)
        if self._flow is None:
            return reply
        rates = await self._flow.rates([view.settings.queue for view in reply.queues], request.workspace_id)
        operator = request.with_workers and not request.workspace_id
        workers = await seen(self._flow, self._queue, self._clock) if operator else ()
        return QueuesReply(tuple(_paced(view, rates) for view in reply.queues), workers)

    def _lease(self, seconds: float) -> float:
        return seconds if seconds > 0 else self._config.lease

    async def _crowded(self, queues: Collection[str]) -> dict[str, frozenset[str]]:
        """Workspaces with too much in these queues, by numbers at most `BACKLOG_INTERVAL` old."""
        now = self._monotonic()
        for queue in queues:
            until, was = self._full.get(queue, (0.0, frozenset()))
            if until <= now:
                if len(self._full) > 1000:
                    self._full.clear()
                self._full[queue] = (now + BACKLOG_INTERVAL, was)  # one of us looks
                crowd = await self._queue.crowding(queue, self._desk.bound(queue))
                self._full[queue] = (now + BACKLOG_INTERVAL, crowd)
        return {queue: self._full[queue][1] for queue in queues if self._full.get(queue, (0.0, ()))[1]}

    async def _reclaim(self, request: ClaimRequest, lease: float) -> list[Lease]:
        """Take over expired leases, at most once in `RECLAIM_INTERVAL`; dead letters become failures in History."""
        now = self._monotonic()
        if request.limit <= 0 or now < self._reclaim_at.get(request.queues, now):
            return []
        self._reclaim_at[request.queues] = now + RECLAIM_INTERVAL
        claimed, dead = await self._queue.reclaim(request.queues, request.worker, request.limit, lease)
        self._unreported.update({letter.token: letter for letter in dead})
        if self._unreported:
            # As Matching itself: the worker that claims has no right to fail other workers' tasks.
            await asyncio.shield(asyncio.create_task(self._report_dead(), context=Context()))
        return claimed

    async def _report_dead(self) -> None:
        """Tell History about dead letters. What cannot be told now is told later; if this process dies before that,
        the sweep offers the task again, and it dies again."""
        async with self._reporting:
            letters = list(self._unreported.values())
            try:
                reply = await self._history.complete(CompleteBatch(tuple(map(_failure, letters)), worker="matching"))
            except LinkFlowError as error:
                _log.warning("History was not told about %d dead letters yet: %s", len(letters), error)
                return
            for letter, result in zip(letters, reply.results, strict=True):
                if result.error is not None:
                    _log.error("Dead letter %s was refused by History: %s", letter.task.id, result.error.message)
                self._unreported.pop(letter.token, None)


def _full(crowd: Mapping[str, list[str]], bounds: Mapping[str, int]) -> QueueFull:
    names = ", ".join(crowd)
    return QueueFull(
        f"The task queue {names} is full: more than {max(bounds.values())} tasks wait in one partition, and this "
        "workspace has more than its share of them. Add workers, or try again when they have caught up.",
        details={"queues": list(crowd), "crowd": dict(crowd), "retry_after": BACKLOG_INTERVAL},
    )


def _failure(letter: Lease) -> Report:
    task = letter.task
    message = (
        f"The node was given to a worker {letter.deliveries} times and none of them finished it. The task is kept "
        f"among the dead letters of the queue {task.queue}; see the workers' logs, then redrive it."
    )
    error = NodeError(code=DEAD_LETTER_CODE, message=message, retryable=False)
    return Report(task.execution_id, task.node_key, task.attempt, Failed(error), worker="matching")


def _paced(view: QueueView, rates: Mapping[str, tuple[float, float]]) -> QueueView:
    added, taken = rates.get(view.settings.queue, (0.0, 0.0))
    return msgspec.structs.replace(view, added_per_minute=added, taken_per_minute=taken)

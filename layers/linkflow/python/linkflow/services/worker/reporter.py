"""Results go to History in batches: whatever has gathered while the last batch was in the air."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

import msgspec

from linkflow.contracts.history import CompleteBatch, CompleteReply, HistoryApi, Recorded, Report, Task
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.outcomes import Failed, NodeError
from linkflow.observability import logger

from .holdings import Holdings, Job
from .keeping import States

MAX_REPORTS = 1000
MAX_BYTES = 3 * 1024 * 1024
"""A batch stays well under what any transport carries (Lambda: 6 MB)."""
IN_AIR = 1
FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0

PASSING = {"unavailable", "deadline_exceeded", "version_conflict"}


class _Entry:
    """One job's results. `size` is about how many bytes they are."""

    __slots__ = ("blobs", "job", "reports", "size", "waited")

    def __init__(
        self, job: Job, reports: Sequence[Report], size: int, blobs: Mapping[str, bytes] | None = None
    ) -> None:
        self.job = job
        self.reports = reports
        self.size = size
        self.blobs = blobs or {}
        """What has to be durable before the results are recorded."""
        self.waited = 0.0


class Reporter:
    """Batches reports; `take` gets the tasks that a reply carries, `room` says how many it may carry.

    A result is offered until History has taken it: its lease is renewed all the while.
    """

    def __init__(
        self,
        history: HistoryApi,
        holdings: Holdings,
        worker: str,
        queues: tuple[str, ...],
        room: Callable[[], int],
        take: Callable[[Task], None],
        put: Callable[[Mapping[str, bytes]], Awaitable[None]] | None = None,
        states: States | None = None,
    ) -> None:
        """`put` keeps what results have set aside; `states` are those that the worker keeps."""
        self._history = history
        self._holdings = holdings
        self._worker = worker
        self._queues = queues
        self._room = room
        self._take = take
        self._put = put
        self._states = states or States()
        self._later: set[asyncio.Task[None]] = set()
        self._entries: list[_Entry] = []
        self._sending: set[asyncio.Task[None]] = set()

    def serve(self, queues: tuple[str, ...]) -> None:
        """Take along tasks of these queues."""
        self._queues = queues

    def report(self, job: Job, reports: Sequence[Report], size: int, blobs: Mapping[str, bytes] | None = None) -> None:
        """Queue a job's results, and what they have set aside."""
        self._holdings.reporting[job.task.id] = job
        self._entries.append(_Entry(job, reports, size, blobs))
        self._kick()

    @property
    def pending(self) -> bool:
        return bool(self._entries or self._sending or self._later)

    async def flush(self, seconds: float) -> None:
        """Wait until everything queued is recorded, for so long at most; then let go of what is left: it is renewed no
        longer, so that others may run it."""
        end = asyncio.get_running_loop().time() + seconds
        while self.pending and (left := end - asyncio.get_running_loop().time()) > 0:
            await asyncio.wait(self._sending | self._later, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        left_over = self._sending | self._later
        for task in left_over:
            task.cancel()
        await asyncio.gather(*left_over, return_exceptions=True)
        self._entries.clear()
        self._holdings.reporting.clear()

    def _kick(self) -> None:
        if self._entries and len(self._sending) < IN_AIR:
            task = asyncio.create_task(self._run())
            self._sending.add(task)

    async def _run(self) -> None:
        try:
            await asyncio.sleep(0)
            while batch := self._next():
                await self._send(batch)
        finally:
            # Here and not in a callback: who reports after the last `_next` must find this one gone.
            task = asyncio.current_task()
            if task is not None:
                self._sending.discard(task)

    def _next(self) -> list[_Entry]:
        count = size = at = 0
        for entry in self._entries:
            count, size = count + len(entry.reports), size + entry.size
            if at and (count > MAX_REPORTS or size > MAX_BYTES):
                break
            at += 1
        batch, self._entries = self._entries[:at], self._entries[at:]
        return batch

    async def _send(self, batch: list[_Entry]) -> None:
        """Offer a batch until it is taken. One that cannot be taken at all is halved until the culprit is alone."""
        if self._put is not None and any(entry.blobs for entry in batch):
            batch = await self._keep_blobs(batch, self._put)
        if not batch:
            return
        try:
            reply = await self._offer(tuple(report for entry in batch for report in entry.reports))
        except Exception as error:
            logger.error("Results were refused", extra={"count": len(batch)}, exc_info=error)
            if len(batch) > 1:
                await self._send(batch[: len(batch) // 2])
                await self._send(batch[len(batch) // 2 :])
            else:
                await self._refused(batch[0], error)
            return
        self._states.follow(reply.tails)  # before the tasks that need it
        for task in reply.next:
            self._take(task)
        await self._settle(batch, reply.results)

    async def _keep_blobs(
        self, batch: list[_Entry], put: Callable[[Mapping[str, bytes]], Awaitable[None]]
    ) -> list[_Entry]:
        """Blobs before the results that refer to them. Where the store is away these results wait, and no others."""
        due = [entry for entry in batch if entry.blobs]
        try:
            await put({key: data for entry in due for key, data in entry.blobs.items()})
        except Exception as error:
            if isinstance(error, LinkFlowError) and error.retryable:
                logger.warning("Results cannot be set aside now", extra={"code": error.code})
                task = asyncio.create_task(self._once_more(due))
                self._later.add(task)
            else:
                logger.error("Results cannot be set aside", exc_info=error)
                for entry in due:
                    await self._refused(entry, error)
            return [entry for entry in batch if not entry.blobs]
        for entry in due:
            entry.blobs = {}
        return batch

    async def _once_more(self, entries: list[_Entry]) -> None:
        try:
            wait = max(entry.waited for entry in entries) * 2 or FIRST_WAIT
            for entry in entries:
                entry.waited = min(wait, LONGEST_WAIT)
            await asyncio.sleep(min(wait, LONGEST_WAIT))
            self._entries.extend(entries)
        finally:
            task = asyncio.current_task()
            if task is not None:
                self._later.discard(task)
        self._kick()

    async def _offer(self, reports: tuple[Report, ...]) -> CompleteReply:
        wait = FIRST_WAIT
        while True:
            room = max(0, self._room())
            keeps = self._states.versions({report.execution_id for report in reports})
            batch = CompleteBatch(reports, (), self._worker, room, self._queues, keeps)
            try:
                return await self._history.complete(batch)
            except LinkFlowError as error:
                if not error.retryable:
                    raise
                logger.warning("History does not take results now", extra={"code": error.code})
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _refused(self, entry: _Entry, error: Exception) -> None:
        """Nothing will ever record this result: the node fails with that, instead of running again and again."""
        first = entry.reports[0] if entry.reports else None
        if first is None or (isinstance(first.outcome, Failed) and first.outcome.error.code == "result_refused"):
            self._let_go(entry)
            return
        why = getattr(error, "message", type(error).__name__)
        failed = Failed(NodeError("result_refused", f"The result could not be recorded: {why}", False))
        await self._send([_Entry(entry.job, (msgspec.structs.replace(first, outcome=failed),), 0)])

    async def _settle(self, batch: list[_Entry], results: Sequence[Recorded]) -> None:
        done, again, at = [], [], 0
        for entry in batch:
            answers = results[at : at + len(entry.reports)]
            at += len(entry.reports)
            codes = {answer.error.code for answer in answers if answer.error} - {"not_found"}
            if codes & PASSING:
                again.append(entry)
            else:
                self._let_go(entry)
                if not codes:  # else it keeps its lease: delivered again, and in the end a dead letter
                    done.append(entry.job.token)
        await self._holdings.release(done)
        if again:  # the database was away for these
            wait = max(entry.waited for entry in again) * 2 or FIRST_WAIT
            for entry in again:
                entry.waited = min(wait, LONGEST_WAIT)
            await asyncio.sleep(min(wait, LONGEST_WAIT))
            self._entries.extend(again)

    def _let_go(self, entry: _Entry) -> None:
        self._holdings.reporting.pop(entry.job.task.id, None)

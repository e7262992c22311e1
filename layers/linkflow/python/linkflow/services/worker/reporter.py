"""Results go to History in batches: whatever has gathered while the last batch was in the air."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from linkflow.contracts.history import CompleteBatch, HistoryApi, Recorded, Report, Task
from linkflow.contracts.matching import MatchingApi, ReleaseRequest
from linkflow.domain.errors import LinkFlowError
from linkflow.observability import logger

MAX_BATCH = 1000
IN_AIR = 2
PATIENCE = 60.0
"""Seconds a result is offered again while History is away; after that the task's lease has long passed on."""


_PASSING = {"unavailable", "deadline_exceeded", "version_conflict"}


class _Entry:
    __slots__ = ("reports", "since", "token")

    def __init__(self, reports: Sequence[Report], token: str, since: float) -> None:
        self.reports = reports
        self.token = token
        self.since = since


class Reporter:
    """Batches reports; `take` gets the tasks that a reply carries, `room` says how many it may carry."""

    def __init__(
        self, history: HistoryApi, matching: MatchingApi, worker: str, queues: tuple[str, ...],
        room: Callable[[], int], take: Callable[[Task], None],
    ) -> None:  # fmt: skip
        self._history = history
        self._matching = matching
        self._worker = worker
        self._queues = queues
        self._room = room
        self._take = take
        self._entries: list[_Entry] = []
        self._sending: set[asyncio.Task[None]] = set()
        self._releases: set[asyncio.Task[None]] = set()

    def report(self, reports: Sequence[Report], token: str) -> None:
        """Queue results; `token` is the lease to give up once they are recorded ('' for a task without one)."""
        self._entries.append(_Entry(reports, token, asyncio.get_running_loop().time()))
        self._kick()

    @property
    def pending(self) -> bool:
        return bool(self._entries or self._sending or self._releases)

    async def flush(self) -> None:
        """Wait until everything queued so far is recorded or given up."""
        while self.pending:
            await asyncio.wait([*self._sending, *self._releases], return_when=asyncio.FIRST_COMPLETED)

    def _kick(self) -> None:
        if self._entries and len(self._sending) < IN_AIR:
            task = asyncio.create_task(self._run())
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    async def _run(self) -> None:
        await asyncio.sleep(0)
        while self._entries:
            batch, count = [], 0
            while self._entries and count < MAX_BATCH:
                entry = self._entries.pop(0)
                batch.append(entry)
                count += len(entry.reports)
            await self._send(batch)

    async def _send(self, batch: list[_Entry]) -> None:
        wait = 0.1
        while True:
            reports = tuple(report for entry in batch for report in entry.reports)
            try:
                reply = await self._history.complete(
                    CompleteBatch(reports, (), self._worker, max(0, self._room()), self._queues)
                )
                break
            except LinkFlowError as error:
                oldest = min(entry.since for entry in batch)
                if not error.retryable or asyncio.get_running_loop().time() - oldest > PATIENCE:
                    logger.error("Results could not be recorded; their tasks run again", extra={"code": error.code})
                    return
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)
        for task in reply.next:
            self._take(task)
        again, broken = _unrecorded(batch, reply.results)
        self._entries.extend(again)
        # A result that History cannot take keeps its lease: it is delivered again, and in the end a dead letter.
        kept = {entry.token for entry in (*again, *broken)}
        tokens = tuple(entry.token for entry in batch if entry.token and entry.token not in kept)
        if tokens:
            self._spawn(self._release(tokens))

    async def _release(self, tokens: tuple[str, ...]) -> None:
        try:
            await self._matching.release(ReleaseRequest(self._worker, done=tokens))
        except LinkFlowError as error:  # the lease runs out, and the decider refuses the second result
            logger.warning("Leases could not be released", extra={"code": error.code, "count": len(tokens)})

    def _spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self._releases.add(task)
        task.add_done_callback(self._releases.discard)


def _unrecorded(batch: list[_Entry], results: Sequence[Recorded]) -> tuple[list[_Entry], list[_Entry]]:
    """Entries whose reports failed: those for which that may pass (the database was away), and the others."""
    again, broken, at = [], [], 0
    for entry in batch:
        answers = results[at : at + len(entry.reports)]
        at += len(entry.reports)
        codes = {answer.error.code for answer in answers if answer.error} - {"not_found"}
        if codes & _PASSING:
            again.append(entry)
        elif codes:
            broken.append(entry)
    return again, broken

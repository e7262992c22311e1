"""Heartbeats of the node runs of this worker: one call for many, about every third of their timeouts."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from linkflow.contracts.history import Beat, BeatBatch, HistoryApi
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.timing import limit_ms
from linkflow.nodes.base import NodeFailure
from linkflow.observability import logger

from .holdings import Holdings, Job

MAX_DETAILS = 32 * 1024
"""Bytes of what one heartbeat tells."""
SHARE = 3
"""Heartbeats within a timeout: two may be lost."""
TOGETHER = 0.8
"""A beat goes along with others from this part of its interval on."""
AT_ONCE = 100
"""Beats in one call: any transport carries it."""
GAP = 0.1
"""Shortest time (s) between two calls, however often nodes beat; also the pause after one that failed."""

_encode = msgspec.json.Encoder().encode


class Pulse:
    """The heartbeat of one node run: `told` is its last word, `earlier` that of another attempt or delivery."""

    __slots__ = ("_beats", "due", "earlier", "every", "job", "timeout", "told")

    def __init__(self, earlier: Any = None) -> None:
        self.earlier = earlier
        self.told: Any = None
        self.timeout = 0
        self.every = 0.0
        self.due = 0.0
        self.job: Job | None = None
        self._beats: Beats | None = None

    def bind(self, beats: Beats, job: Job, seconds: float, since: float) -> None:
        """It is to be sent: within `seconds`, again and again, counted from `since` on (the loop's time)."""
        self._beats, self.job, self.timeout = beats, job, limit_ms(seconds)
        self.every = seconds / SHARE
        self.due = since + self.every

    async def give(self, details: Any = None) -> None:
        """`Context.heartbeat`. Raises `NodeFailure` for details that are no JSON, or too large."""
        if details is not None:
            self.told = _checked(details)
        if self._beats is not None:
            self.due = 0.0
            self._beats.hurry()


class Beats:
    """Sends what is due, and stops node runs that nobody wants any more."""

    def __init__(self, history: HistoryApi, holdings: Holdings, worker: str) -> None:
        self._history = history
        self._held = holdings
        self._worker = worker
        self._pulses: dict[str, Pulse] = {}
        self._wake = asyncio.Event()

    def begin(self, pulse: Pulse, job: Job, seconds: float, since: float) -> None:
        """Beat for this job for as long as it is held: until its result is recorded."""
        pulse.bind(self, job, seconds, since)
        self._pulses[job.task.id] = pulse
        self.hurry()

    def hurry(self) -> None:
        """Something may be due earlier than it was."""
        self._wake.set()

    async def run(self) -> None:
        """Send for ever."""
        while True:
            self._wake.clear()
            await self._rest()
            try:
                await self.send()
            except LinkFlowError as error:
                logger.warning("Heartbeats were not taken; trying again", extra={"code": error.code})
            except Exception:
                logger.exception("Heartbeats failed")
            await asyncio.sleep(GAP)

    async def _rest(self) -> None:
        """Until a beat is due."""
        while self._pulses:
            left = min(pulse.due for pulse in self._pulses.values()) - asyncio.get_running_loop().time()
            if left <= 0:
                return
            try:
                async with asyncio.timeout(left):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()
        await self._wake.wait()

    async def send(self) -> None:
        """One call for all that are due, or nearly."""
        now = asyncio.get_running_loop().time()
        for id in [id for id, pulse in self._pulses.items() if pulse.job is None or not self._held.holds(pulse.job)]:
            del self._pulses[id]
        due = [pulse for pulse in self._pulses.values() if pulse.due - now <= pulse.every * (1 - TOGETHER)]
        for at in range(0, len(due), AT_ONCE):
            await self._send(due[at : at + AT_ONCE], now)

    async def _send(self, due: list[Pulse], now: float) -> None:
        jobs = {pulse.job.ref: pulse.job for pulse in due if pulse.job is not None}
        beats = tuple(
            Beat(ref.execution_id, ref.node_key, ref.attempt, pulse.timeout, pulse.told)
            for ref, pulse in zip(jobs, due, strict=True)
        )
        for pulse in due:  # before the call: what a node tells meanwhile is due again
            pulse.due = now + pulse.every
        try:
            reply = await self._history.beat(BeatBatch(beats, self._worker))
        except BaseException:
            for pulse in due:
                pulse.due = 0.0
            raise
        gone = [job for ref in reply.gone if (job := jobs.get(ref)) is not None]
        for job in gone:
            self._pulses.pop(job.task.id, None)
        await self._held.stop(gone)


def _checked(details: Any) -> Any:
    """Details as they will be recorded."""
    try:
        data = _encode(details)
    except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
        message = f"What the heartbeat tells cannot be written as JSON: {type(error).__name__}."
        raise NodeFailure("heartbeat_not_json", message, retryable=False) from None
    if len(data) > MAX_DETAILS:
        message = f"What the heartbeat tells has {len(data):,} bytes; the limit is {MAX_DETAILS:,}."
        raise NodeFailure("heartbeat_too_large", message, retryable=False)
    return msgspec.json.decode(data)

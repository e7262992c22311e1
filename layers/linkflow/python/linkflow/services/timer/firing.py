"""Hand due timers to History."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow import tracing
from linkflow.contracts.history import DueTimer, FireBatch, HistoryApi
from linkflow.metrics import TIMER_LAG_SECONDS
from linkflow.ports import Clock

from .lane import Sent


class Firing:
    """Sends timers. Firing one twice, or one that was overtaken, changes nothing: History's fence sees to it."""

    def __init__(self, history: HistoryApi, clock: Clock) -> None:
        self._history, self._clock = history, clock

    async def send(self, timers: Sequence[DueTimer]) -> Sent[DueTimer]:
        """Fire a batch. `FireReply.failed` names timers, as execution/timer, whose transition did not come about."""
        now = self._clock.now_ms()
        for timer in timers:
            TIMER_LAG_SECONDS.observe(max(0, now - timer.due_at) / 1000)
            if tracing.on():
                start, end = tracing.ns(timer.due_at), tracing.ns(now)
                tracing.run_span(timer.execution_id, "timer", start, end, attributes={"linkflow.timer": timer.timer_id})
        reply = await self._history.fire(FireBatch(tuple(timers)))
        failed = frozenset(reply.failed)
        if not failed:
            return Sent(reply.fired)
        return Sent(reply.fired, [t for t in timers if f"{t.execution_id}/{t.timer_id}" in failed])


def timer_key(timer: DueTimer) -> tuple[str, str, int]:
    """With the due time: a timer that is set again is another one."""
    return timer.execution_id, timer.timer_id, timer.due_at

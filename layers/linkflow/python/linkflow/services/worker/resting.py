"""Tasks that cannot be prepared now, because History or the blob store is away: they rest, and are given back then.

A task that rests is still held, so nobody else tries it at once and it is no further delivery; and it takes no place of
a task that could run.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable

from linkflow.ports import Clock

from .holdings import Holdings, Job

FIRST_REST, LONGEST_REST = 0.2, 15.0
"""Seconds a task rests: twice as long after each try, and some chance less."""
KNOWN = 10_000
"""Tasks whose tries are remembered."""


class Rests:
    """`changed` is called when a task has rested."""

    def __init__(self, held: Holdings, clock: Clock, changed: Callable[[], None]) -> None:
        self._held = held
        self._clock = clock
        self._changed = changed
        self._tries: OrderedDict[str, int] = OrderedDict()

    def begin(self, job: Job) -> None:
        """Let a task rest that is not running any more."""
        self._held.resting[job.task.id] = job
        job.work = asyncio.create_task(self._rest(job, self._pause(job.task.id)))

    def over(self, task_id: str) -> None:
        """The task could be prepared: its next rest is a short one again."""
        if self._tries:
            self._tries.pop(task_id, None)

    def _pause(self, task_id: str) -> float:
        tries = self._tries.pop(task_id, 0)
        self._tries[task_id] = tries + 1
        if len(self._tries) > KNOWN:
            self._tries.popitem(last=False)
        longest: float = min(LONGEST_REST, FIRST_REST * 2 ** min(tries, 16))
        return longest * (0.5 + self._clock.random() / 2)

    async def _rest(self, job: Job, seconds: float) -> None:
        try:
            await self._clock.sleep(seconds)
            await self._held.give_back([job])
        except asyncio.CancelledError:
            return
        finally:
            if self._held.resting.get(job.task.id) is job:
                del self._held.resting[job.task.id]
            self._changed()

"""Wakes workers on Lambda: tasks were added, so somebody has to run."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from contextlib import suppress

import msgspec

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Invitations

from .calls import DEADLINE
from .lambda_invoke import Invoker

_log = logging.getLogger("linkflow.transports")


class LambdaDispatcher:
    """`linkflow.ports.Dispatcher`: invokes the worker function asynchronously with a request to drain queues.

    An invocation stands for `capacity` tasks of each queue it names, for as long as its worker stays though idle; so
    a burst of adds makes one invocation or a few: in this process, and with `invitations` in all of them. A wake
    returns when the invocation that covers it was handed over, since a Lambda may be frozen right after. One that fails
    is logged and forgotten: the sweep offers tasks again.
    """

    def __init__(
        self,
        function: str,
        *,
        capacity: int = 100,
        most: int = 10,
        idle: float = 0.5,
        endpoint: str | None = None,
        now: Callable[[], float] = time.monotonic,
        invitations: Invitations | None = None,
    ) -> None:
        """`capacity` tasks a worker, `most` invocations at a time, `idle` seconds that a worker stays without tasks."""
        self._invitations = invitations
        self._invoker = Invoker(function, deadline=DEADLINE, concurrency=most, endpoint=endpoint)
        self._capacity = capacity
        self._most = most
        self._idle = idle
        self._now = now
        self._waiting: dict[str, int] = {}
        self._credit: dict[str, tuple[float, int]] = {}
        self._sending = asyncio.Lock()

    async def wake(self, queues: Mapping[str, int]) -> None:
        """Tasks were added: queue name to how many."""
        for queue, count in queues.items():
            if (left := self._covered(queue, count)) > 0:
                self._waiting[queue] = self._waiting.get(queue, 0) + left
        if not self._waiting:
            return
        async with self._sending:
            # Whoever held the lock before may have taken ours along.
            if self._waiting:
                waiting, self._waiting = self._waiting, {}
                await self._send(waiting)

    async def close(self) -> None:
        """Let go of threads and sockets."""
        await self._invoker.close()

    def _covered(self, queue: str, count: int) -> int:
        """How many of `count` no worker that was just invoked will take."""
        until, credit = self._credit.get(queue, (0.0, 0))
        if self._now() >= until:
            return count
        self._credit[queue] = (until, max(0, credit - count))
        return max(0, count - credit)

    async def _send(self, waiting: dict[str, int]) -> None:
        until = self._now() + self._idle
        needs = {queue: await self._needed(queue, count) for queue, count in waiting.items()}
        waiting = {queue: count for queue, count in waiting.items() if needs[queue]}
        if not waiting:
            return
        workers = max(needs.values())
        payload = msgspec.json.encode({"drain": {"queues": sorted(waiting), "idle": self._idle}})
        # The worker cannot be up before now, and stays idle for so long: what is added until then it will see.
        for queue, count in waiting.items():
            if self._invitations is None:
                self._credit[queue] = (until, max(0, workers * self._capacity - count))
        calls = (self._invoker.invoke(payload, DEADLINE, "Event") for _ in range(workers))
        for outcome in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(outcome, LinkFlowError):
                _log.warning("waking a worker failed: %s", outcome.message)
                self._credit.clear()  # the next wake tries again
                await self._forget(waiting)
            elif isinstance(outcome, BaseException):
                raise outcome

    async def _needed(self, queue: str, count: int) -> int:
        """Where nobody can be asked, as if nobody else invoked any."""
        alone = min(self._most, -(-count // self._capacity))
        if self._invitations is None:
            return alone
        try:
            return await self._invitations.needed(queue, count, self._capacity, self._most, round(self._idle * 1000))
        except LinkFlowError:
            return alone

    async def _forget(self, queues: Mapping[str, int]) -> None:
        if self._invitations is not None:
            with suppress(LinkFlowError):
                await self._invitations.forget(sorted(queues))


class QueueDispatcher:
    """`linkflow.ports.Dispatcher` where queues have functions of their own: each wakes its own, the others the
    worker function."""

    def __init__(self, common: LambdaDispatcher, own: Mapping[str, LambdaDispatcher]) -> None:
        """`own` is by queue; queues of one function share its dispatcher."""
        self._common = common
        self._own = own

    async def wake(self, queues: Mapping[str, int]) -> None:
        """Tasks were added: queue name to how many. A function that cannot be woken keeps none of the others."""
        by_function: dict[LambdaDispatcher, dict[str, int]] = {}
        for queue, count in queues.items():
            by_function.setdefault(self._own.get(queue, self._common), {})[queue] = count
        await asyncio.gather(*(dispatcher.wake(part) for dispatcher, part in by_function.items()))

    async def close(self) -> None:
        """Let go of threads and sockets."""
        for dispatcher in {self._common, *self._own.values()}:
            await dispatcher.close()

"""Wakes workers on Lambda: there are tasks that nobody will take, so somebody has to run."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping
from contextlib import suppress

import msgspec

from linkflow.domain.errors import LinkFlowError
from linkflow.metrics import WORKERS_INVOKED
from linkflow.ports import Invitations

from .calls import DEADLINE
from .lambda_invoke import Invoker

IDLE = 0.5
"""Seconds that a worker stays without tasks."""
INVITED = 5.0
"""Seconds for which a worker that was invoked is waited for: more than a cold start takes. One that comes later is
welcome, and was not counted on."""

_log = logging.getLogger("linkflow.transports")


class LambdaDispatcher:
    """`linkflow.ports.Dispatcher`: invokes the worker function asynchronously with a request to drain queues.

    How many times, `Invitations` says, for all processes together: for the tasks that neither the workers that are
    there nor those on their way have places for. A wake returns when the invocations that it makes were handed over,
    since a Lambda may be frozen right after. One that fails is logged and its invitation withdrawn, so that the next
    wake invites again; the sweep wakes in any case.
    """

    def __init__(
        self,
        function: str,
        invitations: Invitations,
        *,
        capacity: int = 100,
        most: int = 10,
        idle: float = IDLE,
        invited: float = INVITED,
        endpoint: str | None = None,
    ) -> None:
        """`capacity` tasks a worker, `most` invocations under way for a partition, `idle` seconds that a worker stays
        without tasks, `invited` seconds that it is waited for."""
        self._invitations = invitations
        self._invoker = Invoker(function, deadline=DEADLINE, concurrency=max(1, most), endpoint=endpoint)
        self._capacity = max(1, capacity)
        self._most = max(1, most)
        self._idle = idle
        self._invited = round(invited * 1000)
        self._waiting: set[str] = set()
        self._sending = asyncio.Lock()

    async def wake(self, queues: Collection[str]) -> None:
        """These queues may have tasks that nobody will take."""
        self._waiting.update(queues)
        if not self._waiting:
            return
        async with self._sending:
            # Whoever held the lock before may have taken ours along.
            if self._waiting:
                waiting, self._waiting = sorted(self._waiting), set()
                await self._send(waiting)

    async def close(self) -> None:
        """Let go of threads and sockets."""
        await self._invoker.close()

    async def _send(self, queues: list[str]) -> None:
        try:
            invited = await self._invitations.invite(queues, self._capacity, self._most, self._invited)
        except LinkFlowError:
            invited = [""]  # nobody can be asked: as if nobody were there
        calls = (self._invoker.invoke(self._payload(queues, each), DEADLINE, "Event") for each in invited)
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        refused = []
        for each, outcome in zip(invited, outcomes, strict=True):
            if isinstance(outcome, LinkFlowError):
                _log.warning("waking a worker failed: %s", outcome.message)
                refused.append(each)
            elif isinstance(outcome, BaseException):
                raise outcome
            WORKERS_INVOKED.add("refused" if isinstance(outcome, LinkFlowError) else "invoked")
        if refused:
            with suppress(LinkFlowError):
                await self._invitations.withdraw(queues, refused)

    def _payload(self, queues: list[str], invitation: str) -> bytes:
        return msgspec.json.encode({"drain": {"queues": queues, "idle": self._idle, "invitation": invitation}})


class QueueDispatcher:
    """`linkflow.ports.Dispatcher` where queues have functions of their own: each wakes its own, the others the
    worker function."""

    def __init__(self, common: LambdaDispatcher, own: Mapping[str, LambdaDispatcher]) -> None:
        """`own` is by queue; queues of one function share its dispatcher."""
        self._common = common
        self._own = own

    async def wake(self, queues: Collection[str]) -> None:
        """These queues may have tasks that nobody will take. A function that cannot be woken keeps none of the
        others."""
        by_function: dict[LambdaDispatcher, list[str]] = {}
        for queue in queues:
            by_function.setdefault(self._own.get(queue, self._common), []).append(queue)
        await asyncio.gather(*(dispatcher.wake(part) for dispatcher, part in by_function.items()))

    async def close(self) -> None:
        """Let go of threads and sockets."""
        for dispatcher in {self._common, *self._own.values()}:
            await dispatcher.close()

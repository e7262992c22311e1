"""One look for many: keys that are asked for while a look is under way are looked up together by the next one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextvars import Context
from typing import Generic, TypeVar

V = TypeVar("V")

MOST_AT_ONCE = 500


class Together(Generic[V]):
    """Looks up values by key. Nothing is kept: each value was read after it was asked for."""

    def __init__(self, look: Callable[[Sequence[str]], Awaitable[Mapping[str, V]]]) -> None:
        self._look = look
        self._asked: dict[str, list[asyncio.Future[V | None]]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def find(self, key: str) -> V | None:
        """The value, None where there is none. Raises what the look raises."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._asked.setdefault(key, []).append(answer)
        if self._looking is None:
            self._looking = asyncio.create_task(self._work(), context=Context())
        return await answer

    async def _work(self) -> None:
        try:
            while self._asked:
                keys = list(self._asked)[:MOST_AT_ONCE]
                asked = {key: self._asked.pop(key) for key in keys}
                await self._answer(asked)
        finally:
            # Here and not in a callback: who asks after the last look must find it gone.
            self._looking = None

    async def _answer(self, asked: Mapping[str, Sequence[asyncio.Future[V | None]]]) -> None:
        try:
            found = await self._look(list(asked))
        except BaseException as error:
            # A look that was cancelled tells those who wait that it never came.
            told = error if isinstance(error, Exception) else asyncio.CancelledError()
            for answer in (one for answers in asked.values() for one in answers):
                if not answer.done():
                    answer.set_exception(told)
            if not isinstance(error, Exception):
                raise
            return
        for key, answers in asked.items():
            for answer in answers:
                if not answer.done():
                    answer.set_result(found.get(key))

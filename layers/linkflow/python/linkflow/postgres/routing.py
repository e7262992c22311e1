"""Doing something where it lives: by shard, or everywhere, over several stores."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from linkflow.domain.errors import Unavailable

from .executions import PostgresEvents
from .shards import BRIEFLY, MAIN, TRIES, ShardMap, Shards, by_database, first_error, is_moved, moved

I = TypeVar("I")  # noqa: E741
T = TypeVar("T")

WIDEST = 20_000
"""Rows that are read at most to find those that count."""


class Router:
    """Finds the store of a shard. What is read there counts only where the database still has what the map said."""

    def __init__(self, shards: Shards, stores: Mapping[str, PostgresEvents]) -> None:
        self._shards = shards
        self._stores = stores

    @property
    def _main(self) -> PostgresEvents:
        return self._stores[MAIN]

    async def _each(
        self,
        items: Sequence[I],
        shard: Callable[[I], int],
        work: Callable[[PostgresEvents, list[I]], Awaitable[T]],
        *,
        soft: bool = False,
    ) -> list[T]:
        """`work` for the items of each database, all at once. What was done by an old map is done again by a new one.

        Raises `Unavailable` where a database is away or nobody has a shard now; with `soft` what is away is left out,
        unless that is everything.
        """
        left, found = list(items), []
        for _ in range(TRIES):
            map = await self._shards.current()
            if soft:
                left = [item for item in left if map.names[shard(item)]]
            groups = by_database(left, shard, map)
            names = [name for name, _ in groups]
            done = await asyncio.gather(
                *(self._verified(map, name, work, part, soft) for (name, _), part in groups.items()),
                return_exceptions=True,
            )
            left, away = [], []
            for part, outcome in zip(groups.values(), done, strict=True):
                if isinstance(outcome, BaseException) and is_moved(outcome):
                    left += part
                elif isinstance(outcome, BaseException):
                    away.append(outcome)
                else:
                    found.append(outcome)
            if away and not (soft and _all_away(away) and len(away) < len(names)):
                raise away[0]
            if not left:
                return found
            await self._shards.newer(map)
        if soft and found:
            return found
        raise moved()

    async def _verified(
        self,
        map: ShardMap,
        name: str,
        work: Callable[[PostgresEvents, list[I]], Awaitable[T]],
        part: list[I],
        soft: bool,
    ) -> T:
        async def ask() -> T:
            found = await work(self._stores[name], part)
            if not await self._shards.is_current(map, name):
                raise moved()
            return found

        return await self._shards.asked(name, ask, BRIEFLY if soft else None)

    async def _one(self, shard: int, work: Callable[[PostgresEvents], Awaitable[T]]) -> T:
        """`work` where one shard is."""
        return (await self._each([shard], int, lambda store, _: work(store)))[0]

    async def _all(self, work: Callable[[str, PostgresEvents, ShardMap], Awaitable[T]]) -> list[T]:
        """`work` in every database, as of one map. Raises `Unavailable` where one is away: nothing is left out."""
        for _ in range(TRIES):
            map = await self._shards.current()
            if map.is_whole:
                found = await asyncio.gather(
                    *(self._as_of(map, name, work) for name in self._stores), return_exceptions=True
                )
                kept = [outcome for outcome in found if not isinstance(outcome, BaseException)]
                if len(kept) == len(found):
                    return kept
                error = first_error(found)
                if error is not None and not is_moved(error):
                    raise error
            await self._shards.newer(map)
        raise moved()

    async def _as_of(
        self, map: ShardMap, name: str, work: Callable[[str, PostgresEvents, ShardMap], Awaitable[T]]
    ) -> T:
        async def ask() -> T:
            found = await work(name, self._stores[name], map)
            if not await self._shards.is_current(map, name):
                raise moved()
            return found

        return await self._shards.asked(name, ask)

    async def _wherever(self, work: Callable[[str, PostgresEvents, ShardMap], Awaitable[T]]) -> list[T]:
        """`work` in every database that answers: for what is looked at again and again. Raises if none does."""
        map = await self._shards.current()
        found = await asyncio.gather(
            *(self._shards.asked(name, partial(work, name, store, map)) for name, store in self._stores.items()),
            return_exceptions=True,
        )
        return those_that_answered(found)


def those_that_answered(found: Sequence[T | BaseException]) -> list[T]:
    """Raises what went wrong, unless some database is just away."""
    kept = [outcome for outcome in found if not isinstance(outcome, BaseException)]
    errors = [outcome for outcome in found if isinstance(outcome, BaseException)]
    if errors and (not kept or not _all_away(errors)):
        raise errors[0]
    return kept


def _all_away(errors: Iterable[BaseException]) -> bool:
    return all(isinstance(error, Unavailable) for error in errors)


async def enough(read: Callable[[int], Awaitable[Sequence[T]]], counts: Callable[[T], bool], limit: int) -> list[T]:
    """Up to `limit` rows that count. Rows of a range that is on its way lie in two databases for a moment, and those
    that do not count must not hide the others."""
    ask = limit
    while True:
        rows = await read(ask)
        kept = [row for row in rows if counts(row)]
        if len(kept) >= limit or len(rows) < ask or ask >= max(limit, WIDEST):
            return kept[:limit]
        ask *= 4

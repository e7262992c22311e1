"""Timers over several databases; schedules and their firings are in the main one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import replace

from linkflow.contracts.history import DueTimer
from linkflow.domain.errors import Unavailable
from linkflow.domain.firings import STARTED, Firing
from linkflow.observability import logger
from linkflow.ports import Move, Schedule

from .database import Database
from .queries import queries
from .routing import enough, those_that_answered
from .shards import BRIEFLY, MAIN, Shards
from .timers import PostgresTimers

FIRINGS_AT_ONCE = 1000
_FIRST = ("00000000-0000-0000-0000-000000000000", "", -1, "")
_sql = queries("shards")


class ShardedTimers:
    """`ports.TimerStore` over several databases. One that is away keeps its timers; the others fire."""

    def __init__(self, shards: Shards, stores: Mapping[str, PostgresTimers]) -> None:
        self._shards = shards
        self._stores = stores

    @property
    def _main(self) -> PostgresTimers:
        return self._stores[MAIN]

    async def due(self, now_ms: int, limit: int) -> list[DueTimer]:
        map = await self._shards.current()

        async def of(name: str, store: PostgresTimers) -> list[DueTimer]:
            strange: list[DueTimer] = []

            def counts(timer: DueTimer) -> bool:
                here = map.owner(timer.execution_id) == name
                if not here:
                    strange.append(timer)
                return here

            found = await enough(lambda ask: store.due(now_ms, ask), counts, limit)
            await self._shards.owned(map, name, strange[:1], lambda timer: timer.execution_id)
            return found

        found = await asyncio.gather(
            *(self._shards.asked(name, partial(of, name, store), BRIEFLY) for name, store in self._stores.items()),
            return_exceptions=True,
        )
        timers = [timer for part in those_that_answered(found) for timer in part]
        return sorted(timers, key=lambda timer: timer.due_at)[:limit]

    async def next_due(self) -> int | None:
        found = await asyncio.gather(
            *(self._shards.asked(name, store.next_due, BRIEFLY) for name, store in self._stores.items()),
            return_exceptions=True,
        )
        return min((at for at in those_that_answered(found) if at is not None), default=None)

    async def wanted(self) -> int | None:
        """Raises `Unavailable` where any of them is away: it may want something."""
        found = await asyncio.gather(
            *(self._shards.asked(name, store.wanted, BRIEFLY) for name, store in self._stores.items())
        )
        return min((at for at in found if at is not None), default=None)

    async def due_schedules(self, now_ms: int, limit: int) -> list[Schedule]:
        return await self._main.due_schedules(now_ms, limit)

    async def open_firings(self, schedules: Sequence[Schedule]) -> dict[tuple[str, str], list[Firing]]:
        """Whether a run goes on its own database says; of one that is away, it is taken to."""
        found = await self._main.open_firings(schedules)
        started = [f.execution_id for firings in found.values() for f in firings if f.outcome == STARTED]
        running = await self._running(started) if started else set()
        return {
            place: [replace(f, running=f.execution_id in running) if f.outcome == STARTED else f for f in firings]
            for place, firings in found.items()
        }

    async def settle(self, moves: Sequence[Move]) -> list[bool]:
        return await self._main.settle(moves)

    async def confirm(self, moves: Sequence[Move]) -> None:
        await self._main.confirm(moves)

    async def upkeep(self) -> int:
        """As `PostgresTimers.upkeep`, in every database that answers."""
        changed = 0
        for name, store in self._stores.items():
            try:
                changed += await store.upkeep()
            except Unavailable:
                if name == MAIN:
                    raise
                logger.warning("A database does not answer; its upkeep waits", extra={"database": name})
        await self._close_firings()
        return changed

    async def _running(self, execution_ids: Sequence[str]) -> set[str]:
        """Which of these runs go on, or cannot be asked."""
        map = await self._shards.current()
        by_name: dict[str, list[str]] = {}
        for id in execution_ids:
            by_name.setdefault(map.owner(id) if id else "", []).append(id)
        asked = [(name, ids) for name, ids in by_name.items() if name in self._shards.databases]
        answers = await asyncio.gather(
            *(
                self._shards.asked(name, partial(open_runs, self._shards.databases[name], ids), BRIEFLY)
                for name, ids in asked
            ),
            return_exceptions=True,
        )
        running = set(by_name.get("", ())) - {""}
        for (name, ids), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Unavailable):
                running |= set(ids)
            elif isinstance(answer, BaseException):
                raise answer
            elif await self._shards.is_current(map, name):
                running |= answer
            else:
                running |= set(ids)  # the next look knows
                await self._shards.newer(map)
        return running

    async def _close_firings(self) -> None:
        """Those whose runs have ended."""
        after = _FIRST
        while True:
            args = dict(zip(("workflow", "node", "due", "cause"), after, strict=True)) | {"limit": FIRINGS_AT_ONCE}
            async with self._shards.main.connection() as connection:
                rows = await (await connection.execute(_sql["started_firings"], args)).fetchall()
            if not rows:
                return
            running = await self._running([row[4] for row in rows if row[4]])
            over = [row[:4] for row in rows if row[4] not in running]
            if over:
                names = ("workflow", "node", "due", "cause")
                columns = {name: [row[at] for row in over] for at, name in enumerate(names)}
                async with self._shards.main.connection() as connection:
                    await connection.execute(_sql["close_firings"], columns)
            after = rows[-1][:4]


async def open_runs(database: Database, ids: Sequence[str]) -> set[str]:
    """Which of these runs go on."""
    async with database.connection() as connection:
        rows = await (await connection.execute(_sql["open_runs"], {"ids": list(ids)})).fetchall()
    return {id for (id,) in rows}

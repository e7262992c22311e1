"""Which database has which virtual shards: the map as one process knows it, and how it learns that it changed.

The map in the main database says where to look. What holds is each database's own word (`shard_home`): its guard
refuses writes to shards that it does not have, and its epoch tells a reader that it gave some away. So an old map costs
a second try, and never a wrong answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from contextvars import Context
from typing import TypeVar

from msgspec import Struct

from linkflow.domain.errors import LinkFlowError, Unavailable
from linkflow.domain.ids import SHARDS, shard_of_execution
from linkflow.observability import logger

from .database import NOT_HERE, RETRY_STATES, Connection, Database
from .queries import queries

MAIN = "default"
"""The main database, as the map calls it: the control plane lives there."""

TRIES = 3
"""How often something is tried with a newer map before the caller is asked to come again."""

AGAIN = 0.05
"""Seconds after which it is asked again whose a shard is that was nobody's."""

PROBE = 0.5
"""Seconds between two looks at a database that was away."""

BRIEFLY = 1.0
"""Seconds that one database is waited for where others have work to do meanwhile."""

ANSWERED = (NOT_HERE, "55P03", *RETRY_STATES)
"""What a database says that is there."""

HOME_WAIT = 2.0
"""Seconds that a database has to say what it holds; it is asked again by whoever needs it."""

T = TypeVar("T")
_sql = queries("shards")


class Home(Struct, frozen=True):
    """What a database says of itself. `leaving` is a range on its way out, empty where there is none."""

    deployment: str
    name: str
    epoch: int
    ranges: tuple[tuple[int, int], ...]
    role: str = ""
    moving: tuple[int, int] = (-1, -1)

    def holds(self, shard: int) -> bool:
        return any(first <= shard <= last for first, last in self.ranges)

    def leaves(self, shard: int) -> bool:
        """Is it of a range that is on its way out?"""
        return self.role == "out" and self.moving[0] <= shard <= self.moving[1]


class ShardMap(Struct, frozen=True):
    """`names` are databases by shard, empty where nobody has one now; `faults` say why a database cannot be used."""

    names: tuple[str, ...]
    homes: dict[str, Home]
    faults: dict[str, str]
    is_whole: bool = True
    """Somebody has every shard."""

    def at(self, shard: int) -> str:
        """The database of a shard. Raises `Unavailable` where nobody has it at this moment."""
        name = self.names[shard]
        if not name:
            raise moved()
        if name in self.faults:
            raise Unavailable(self.faults[name], details={"database": name})
        return name

    def owner(self, execution_id: str) -> str:
        """The database of a run; empty where nobody has it."""
        return self.names[shard_of_execution(execution_id)]

    def epoch(self, name: str) -> int:
        """-1 where it is not known: it never matches."""
        return self.homes[name].epoch if name in self.homes else -1


class Shards:
    """The databases of a deployment, and the map of its shards. `others` are those beside the main one, by name."""

    def __init__(self, main: Database, others: Mapping[str, Database]) -> None:
        self.databases: dict[str, Database] = {MAIN: main, **others}
        self.map: ShardMap | None = None
        self._reading = asyncio.Lock()
        self._probes: dict[str, asyncio.Task[None]] = {}
        self._again_at = 0.0

    @property
    def main(self) -> Database:
        return self.databases[MAIN]

    @property
    def away(self) -> frozenset[str]:
        """Databases that did not answer, and are being looked for."""
        return frozenset(self._probes)

    async def asked(self, name: str, work: Callable[[], Awaitable[T]], patience: float | None = None) -> T:
        """`work` at one database. One that did not answer is not waited for again until it does: what is asked of
        several at once would be as slow as that one. Raises `Unavailable`."""
        if name in self._probes:
            raise Unavailable("The database does not answer now; try again.", details={"database": name})
        try:
            async with asyncio.timeout(patience):
                return await work()
        except TimeoutError:
            self._look_for(name)
            raise Unavailable("The database does not answer now; try again.", details={"database": name}) from None
        except Unavailable as error:
            if error.details.get("sqlstate", "") not in ANSWERED and "database" not in error.details:
                self._look_for(name)
            raise

    def _look_for(self, name: str) -> None:
        if name not in self._probes:
            logger.warning("A database does not answer; the others go on", extra={"database": name})
            self._probes[name] = asyncio.create_task(self._probe(name), context=Context())

    async def _probe(self, name: str) -> None:
        try:
            while True:
                try:
                    await self.databases[name].ping()
                except LinkFlowError:
                    await asyncio.sleep(PROBE)
                else:
                    logger.info("A database is back", extra={"database": name})
                    return
        finally:
            self._probes.pop(name, None)

    async def close(self) -> None:
        probes = list(self._probes.values())
        for probe in probes:
            probe.cancel()
        await asyncio.gather(*probes, return_exceptions=True)

    async def current(self) -> ShardMap:
        """The map, read when it is first needed, and now and then while some shards are nobody's. Raises
        `Unavailable`."""
        if self.map is not None and (self.map.is_whole or asyncio.get_running_loop().time() < self._again_at):
            return self.map
        return await self.newer(self.map)

    async def newer(self, seen: ShardMap | None) -> ShardMap:
        """A map that was read after `seen`."""
        async with self._reading:
            if self.map is seen or self.map is None:
                self.map = await self._read()
                self._again_at = asyncio.get_running_loop().time() + AGAIN
            return self.map

    async def is_current(self, map: ShardMap, name: str) -> bool:
        """Has a database given nothing away, and got nothing, since the map was read? Asked behind a read."""
        async with self.databases[name].connection() as connection:
            return await epoch(connection) == map.epoch(name)

    async def owned(self, map: ShardMap, name: str, rows: Sequence[T], run: Callable[[T], str]) -> list[T]:
        """Rows of a database whose runs it has. Others are a sign that the map is old: they come with the next one."""
        kept = [row for row in rows if map.owner(run(row)) == name]
        if len(kept) < len(rows) and not await self.is_current(map, name):
            await self.newer(map)
        return kept

    async def _read(self) -> ShardMap:
        async with self.main.connection() as connection:
            rows = await (await connection.execute(_sql["map"])).fetchall()
            main = await home(connection)
        homes, faults = {MAIN: main}, {}
        names = [name for name in self.databases if name != MAIN]
        for name, found in zip(names, await asyncio.gather(*map(self._home, names)), strict=True):
            if found is None:
                continue
            if (found.deployment, found.name) == (main.deployment, name):
                homes[name] = found
            else:
                faults[name] = f"The database that is configured as {name!r} is another one; run `linkflow migrate`."
        owners = [""] * SHARDS
        for first, last, name in rows:
            if name not in self.databases:
                faults[name] = f"The shard map names a database {name!r} that LINKFLOW_DATABASES does not."
            for shard in range(first, last + 1):
                there = homes.get(name)
                owners[shard] = name if there is None or there.holds(shard) else ""
        for fault in faults.values():
            logger.error(fault)
        return ShardMap(tuple(owners), homes, faults, "" not in owners)

    async def _home(self, name: str) -> Home | None:
        """None where it does not answer now: its shards are its own all the same, and asking it fails by itself."""
        try:
            async with asyncio.timeout(HOME_WAIT), self.databases[name].connection() as connection:
                return await home(connection)
        except (LinkFlowError, TimeoutError):
            return None


async def home(connection: Connection) -> Home:
    """What the database of this connection holds."""
    row = await (await connection.execute(_sql["home"])).fetchone()
    if row is None:
        raise Unavailable("This database does not say what it holds; run `linkflow migrate`.")
    deployment, name, number, firsts, lasts, role, first, last = row
    return Home(deployment, name, number, tuple(zip(firsts, lasts, strict=True)), role, (first, last))


async def epoch(connection: Connection) -> int:
    row = await (await connection.execute(_sql["epoch"])).fetchone()
    return int(row[0]) if row else -1


def moved() -> Unavailable:
    """What is asked for is on its way to another database."""
    return Unavailable("This run is being moved to another database; try again.", details={"sqlstate": NOT_HERE})


def is_moved(error: BaseException) -> bool:
    return isinstance(error, Unavailable) and error.details.get("sqlstate") == NOT_HERE


def by_database(
    items: Sequence[T], shard: Callable[[T], int], map: ShardMap, apart: bool = False
) -> dict[tuple[str, bool], list[T]]:
    """Items by where they live; with `apart` those of a range on its way out by themselves. Raises `Unavailable`."""
    found: dict[tuple[str, bool], list[T]] = {}
    for item in items:
        number = shard(item)
        name = map.at(number)
        leaves = apart and name in map.homes and map.homes[name].leaves(number)
        found.setdefault((name, leaves), []).append(item)
    return found


def first_error(outcomes: Iterable[object]) -> BaseException | None:
    return next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None)

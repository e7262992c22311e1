"""Moving a range of shards from one database to another while its runs go on. See docs/sharding.md.

What may be much is copied first, with changes noted and carried over. Then writes of just this range are refused for a
moment: one transaction on the source, which holds the guard's lock, carries the rest over, and gives the range up at
its end. Up to that commit a crash leaves everything as it was; from it on, only forward is possible, and what is left
is two small commits: the target takes the range, the map says so.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from linkflow.domain.errors import Conflict, Internal, InvalidInput, Unavailable
from linkflow.domain.ids import SHARDS

from .copying import (
    BY_NAME,
    COLD,
    Keys,
    carry_over,
    composed,
    copy_hot,
    copy_part,
    count,
    drop_hot,
    drop_part,
    expect,
)
from .database import RETRY_STATES, Connection, Database
from .queries import queries
from .ranges import Progress, Range, Spans, covers, overlaps, together, without
from .retention import RETENTION_LOCK
from .shards import Shards, home

GATE = 1279677256
"""The lock of the guard in migration 0021: who has it keeps writers of the leaving range off."""

_MOVERS = 0x4C_46_4D_56  # "LFMV"

NOTES = 2000
"""Notes that are carried over together."""

FEW_NOTES = 200
"""So many may be left for the write stop."""

ROUNDS = 50
LOCK_WAIT, STOP_WAIT, STOP_LIMIT = "300ms", "5s", "60s"
LOCK_TRIES, PAUSE = 100, 0.1

COPYING, DROPPING = "copying", "dropping"
NO_LOCK = "55P03"

_sql = queries("moving")
_shards = queries("shards")
_migrations = queries("migrate")


class Mover:
    """`tell` hears of progress, a line at a time. `after` is called behind each step with its name, for tests."""

    def __init__(
        self,
        shards: Shards,
        tell: Callable[[str], None] = lambda _: None,
        after: Callable[[str], Awaitable[None]] | None = None,
    ) -> None:
        self._shards = shards
        self._tell = tell
        self._after = after
        self.stopped = 0.0
        """Seconds of the longest write stop."""

    async def move(self, first: int, last: int, target: str, *, force: bool = False) -> int:
        """Move all shards of a range that are elsewhere; returns how many. Called again after a crash it goes on.

        Raises `InvalidInput`, `Conflict` where another move is unfinished, or where processes do not know the target
        (unless `force`), and `Unavailable`: call again.
        """
        if not 0 <= first <= last < SHARDS:
            raise InvalidInput(f"Shards are 0 to {SHARDS - 1}; give the first and the last one.")
        self._database(target)
        moved = 0
        async with self._alone() as main:
            if (left := await self._left_over(main)) is not None:
                of, source, towards, phase = left
                if towards != target or of.first < first or of.last > last:
                    raise Conflict(
                        f"Moving {of} from {source} to {towards} is not finished. Finish it (linkflow shards move"
                        f" --from {of.first} --to {of.last} --database {towards}) or give it up (linkflow shards abort)"
                        "."
                    )
                await self._go_on(main, of, source, target, phase)
                moved += of.last - of.first + 1
            for of, source in await self._elsewhere(main, first, last, target):
                await self._begin(main, of, source, target, force)
                await self._go_on(main, of, source, target, COPYING)
                moved += of.last - of.first + 1
        await self._shards.newer(self._shards.map)
        return moved

    async def abort(self) -> bool:
        """Give up a move that is not finished; False where there is none. Raises `Conflict` where it has gone too far:
        then it can only be finished."""
        async with self._alone() as main:
            left = await self._left_over(main)
            if left is None:
                return False
            of, source, target, _ = left
            async with self._database(source).connection() as connection:
                if not covers((await home(connection)).ranges, of):
                    raise Conflict(f"{source} has given {of} up: finish the move instead.")
            await self._unmark(self._database(source), of)
            await self._purge(self._database(target), of)
            await self._unmark(self._database(target), of)
            await main.execute(_sql["end"])
            return True

    # Steps

    async def _begin(self, main: Connection, of: Range, source: str, target: str, force: bool) -> None:
        async with self._database(source).connection() as connection:
            if not covers((await home(connection)).ranges, of):
                raise Internal(f"The map says that {source} has {of}, and it does not.")
            row = await (await connection.execute(_sql["strangers"], {"name": target})).fetchone()
            here = set(await (await connection.execute(_migrations["applied"])).fetchall())
        async with self._database(target).connection() as connection:
            if here != set(await (await connection.execute(_migrations["applied"])).fetchall()):
                raise Conflict(f"{source} and {target} are of different releases: run linkflow migrate.")
        if row and row[0] and not force:
            raise Conflict(
                f"{row[0]} connections to {source} are of processes that do not know {target}: restart them with it in"
                " LINKFLOW_DATABASES, or use --force if none of them runs workflows."
            )
        await main.execute(_sql["begin"], {"first": of.first, "last": of.last, "source": source, "target": target})
        await self._step("begun")

    async def _go_on(self, main: Connection, of: Range, source: str, target: str, phase: str) -> None:
        giving, taking = self._database(source), self._database(target)
        if phase == COPYING:
            async with giving.connection() as connection:
                given_up = not covers((await home(connection)).ranges, of)
            if not given_up:
                await self._copy(giving, taking, of)
                await self._patiently(lambda: self._hand_over(giving, taking, of))
                await self._step("handed over")
            await self._take(taking, of)
            await self._step("taken")
            await self._switch(main, of, target)
            await self._step("switched")
        await self._drop(giving, taking, of)
        await main.execute(_sql["end"])
        self._tell(f"{of}: done")

    async def _copy(self, giving: Database, taking: Database, of: Range) -> None:
        """Everything but what open runs have beside their rows. What a crash has left of it is used."""
        async with taking.connection() as connection:
            fresh = (await home(connection)).moving != (of.first, of.last)
        if fresh:
            await self._purge(taking, of)
        await self._mark(taking, of, "in")
        await self._mark(giving, of, "out")
        await self._step("marked")
        async with giving.connection() as connection:
            row = await (await connection.execute(_sql["runs"], {"first": of.first, "last": of.last})).fetchone()
        runs, open_ones = row or (0, 0)
        self._tell(f"{of}: {runs} runs, {open_ones} of them open")
        for part in COLD:
            progress = Progress(self._tell, f"{of}: {part.table}")
            await copy_part(giving, taking, part, of, progress.more)
            progress.end()
            await self._step(f"copied {part.table}")
        await self._catch_up(giving, taking)
        await self._compare(giving, taking, of)
        await self._step("compared")

    async def _catch_up(self, giving: Database, taking: Database) -> None:
        for _ in range(ROUNDS):
            async with giving.connection() as reading:
                if await self._carry_some(reading, taking) < FEW_NOTES:
                    return

    async def _carry_some(self, reading: Connection, taking: Database) -> int:
        """Carry noted changes over; returns how many notes that were."""
        notes = await (await reading.execute(_sql["changes"], {"limit": NOTES})).fetchall()
        if notes:
            keys: Keys = {}
            for _, table, a, b in dict.fromkeys((None, *note[1:]) for note in notes):
                keys.setdefault(table, []).append((a, b))
            await carry_over(reading, taking, keys)
            await reading.execute(_sql["drop_changes"], {"seqs": [note[0] for note in notes]})
        return len(notes)

    async def _compare(self, giving: Database, taking: Database, of: Range) -> None:
        """Count both sides, but for rows that are noted as changed: those are still to come."""
        async with giving.transaction() as connection:
            await connection.execute(_sql["still"])
            notes = await (await connection.execute(_sql["changes"], {"limit": None})).fetchall()
            but = {table: list({(a, b) for _, part, a, b in notes if part == table}) for table in BY_NAME}
            wanted = {part.table: await count(connection, part, of, but[part.table]) for part in COLD}
        async with taking.connection() as connection:
            for part in COLD:
                expect(part.table, wanted[part.table], await count(connection, part, of, but[part.table]))

    async def _hand_over(self, giving: Database, taking: Database, of: Range) -> None:
        """The write stop. Who is in the middle of a write ends it first; until the commit everybody else of the range
        is asked to come again."""
        began = time.monotonic()
        async with giving.transaction() as connection:
            await connection.execute(_sql["patience"], {"wait": STOP_WAIT})
            await connection.execute(_sql["not_for_ever"], {"wait": STOP_LIMIT})
            await connection.execute(_sql["as_mover"])
            await connection.execute(_sql["wait"], {"lock": GATE})
            began = time.monotonic()
            while await self._carry_some(connection, taking):
                pass
            await copy_hot(connection, taking, of)
            await self._step("stopped")
            await drop_hot(connection, of)
            await self._hold(connection, without((await home(connection)).ranges, of))
        stopped = time.monotonic() - began
        self.stopped = max(self.stopped, stopped)
        self._tell(f"{of}: handed over; its writes were stopped for {stopped:.2f} s")

    async def _take(self, taking: Database, of: Range) -> None:
        async with taking.transaction() as connection:
            there = await home(connection)
            if not covers(there.ranges, of):
                await self._hold(connection, together([*there.ranges, (of.first, of.last)]))

    async def _switch(self, main: Connection, of: Range, target: str) -> None:
        async with main.transaction():
            spans: dict[str, Spans] = {}
            for first, last, name in await (await main.execute(_shards["map"])).fetchall():
                spans.setdefault(name, []).append((first, last))
            spans = {name: without(held, of) for name, held in spans.items()}
            spans[target] = together([*spans.get(target, []), (of.first, of.last)])
            rows = sorted((first, last, name) for name, held in spans.items() for first, last in held)
            if [shard for first, last, _ in rows for shard in range(first, last + 1)] != list(range(SHARDS)):
                raise Internal("The shard map would not be whole.")
            await main.execute(_sql["clear_map"])
            columns = {name: [row[at] for row in rows] for at, name in enumerate(("first", "last", "name"))}
            await main.execute(_sql["put_map"], columns)
            await main.execute(_sql["phase"], {"phase": DROPPING})

    async def _drop(self, giving: Database, taking: Database, of: Range) -> None:
        """The old copy goes. Nobody reads it: what it does not hold, a database is not asked for."""
        await self._forget_notes(giving)
        for part in COLD:
            progress = Progress(self._tell, f"{of}: dropping {part.table}")
            await drop_part(giving, part, of, progress.more)
            progress.end()
            await self._step(f"dropped {part.table}")
        await self._unmark(giving, of)
        await self._unmark(taking, of)

    # Parts of steps

    async def _mark(self, database: Database, of: Range, role: str) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute(_sql["wait"], {"lock": RETENTION_LOCK})  # behind a pass that is under way
            await connection.execute(_sql["mark"], {"role": role, "first": of.first, "last": of.last})
            for part in COLD if role == "out" else ():
                args = {"part": part.table, "holder": part.holder, "a": part.a, "b": part.b}
                await connection.execute(_sql["note_changes"], {**args, "first": of.first, "last": of.last})
            await connection.execute(_shards["set_guard"])

        await self._with_patience(database, work)

    async def _unmark(self, database: Database, of: Range) -> None:
        async with database.connection() as connection:
            if (await home(connection)).moving != (of.first, of.last):
                return
        await self._forget_notes(database)

        async def work(connection: Connection) -> None:
            await connection.execute(_sql["unmark"])
            await connection.execute(_shards["set_guard"])

        await self._with_patience(database, work)

    async def _forget_notes(self, database: Database) -> None:
        for part in COLD:

            async def work(connection: Connection, table: str = part.table) -> None:
                await connection.execute(composed("forget_changes", BY_NAME[table]))

            await self._with_patience(database, work)
        async with database.connection() as connection:
            await connection.execute(_sql["clear_changes"])

    async def _purge(self, database: Database, of: Range) -> None:
        """What another move of this range has left."""
        async with database.connection() as connection:
            if overlaps((await home(connection)).ranges, of):
                raise Internal(f"This database has shards of {of} itself.")
        for part in COLD:
            await drop_part(database, part, of)
        async with database.transaction() as connection:
            await connection.execute(_sql["as_mover"])
            await drop_hot(connection, of)

    async def _hold(self, connection: Connection, spans: Spans) -> None:
        columns = {"firsts": [first for first, _ in spans], "lasts": [last for _, last in spans]}
        await connection.execute(_sql["hold"], columns)

    async def _with_patience(self, database: Database, work: Callable[[Connection], Awaitable[None]]) -> None:
        """Changing a trigger needs a lock that others would queue behind: it is asked for briefly."""

        async def attempt() -> None:
            async with database.transaction() as connection:
                await connection.execute(_sql["patience"], {"wait": LOCK_WAIT})
                await work(connection)

        await self._patiently(attempt)

    async def _patiently(self, attempt: Callable[[], Awaitable[None]]) -> None:
        """A transaction that did not get its locks is tried again: nothing of it was written."""
        for left in reversed(range(LOCK_TRIES)):
            try:
                await attempt()
            except Unavailable as error:
                if not left or error.details.get("sqlstate") not in (NO_LOCK, *RETRY_STATES):
                    raise
                await asyncio.sleep(PAUSE)
            else:
                return

    async def _left_over(self, main: Connection) -> tuple[Range, str, str, str] | None:
        row = await (await main.execute(_sql["found"])).fetchone()
        if row is None:
            return None
        first, last, source, target, phase = row
        return Range(first, last), source, target, phase

    async def _elsewhere(self, main: Connection, first: int, last: int, target: str) -> list[tuple[Range, str]]:
        rows = await (await main.execute(_shards["map"])).fetchall()
        return [
            (Range(max(first, begin), min(last, end)), name)
            for begin, end, name in rows
            if name != target and begin <= last and end >= first
        ]

    def _database(self, name: str) -> Database:
        found = self._shards.databases.get(name)
        if found is None:
            known = ", ".join(self._shards.databases)
            raise InvalidInput(f"There is no database {name!r}; LINKFLOW_DATABASES names these: {known}.")
        return found

    @asynccontextmanager
    async def _alone(self) -> AsyncIterator[Connection]:
        """The main database's connection of the one mover."""
        async with self._shards.main.connection() as connection:
            row = await (await connection.execute(_sql["alone"], {"lock": _MOVERS})).fetchone()
            if not row or not row[0]:
                raise Conflict("Somebody else is moving shards now.")
            try:
                yield connection
            finally:
                if not connection.closed:
                    await connection.execute(_sql["not_alone"], {"lock": _MOVERS})

    async def _step(self, name: str) -> None:
        if self._after is not None:
            await self._after(name)

"""Doors: the transactions in which it is decided who is let in, and the rows they leave."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any

from msgspec.structs import replace

from linkflow.domain.admission import SLOT, Line, lock_name
from linkflow.domain.errors import VersionConflict
from linkflow.ports import Entrance, Look, Seen, Slot, Snapshot, Transition

from .database import Connection, Database
from .queries import queries
from .shards import epoch
from .waits import columns

_sql = queries("admission")

HOUR_US = 3_600_000_000
LOOK_AT = 500
"""Slots that one sweep looks at, to see whether their runs are closed; the next goes on behind them."""

_LOWEST = "00000000-0000-0000-0000-000000000000"

Load = Callable[[Connection, Sequence[str]], Awaitable[dict[str, Snapshot]]]
Write = Callable[[Connection, Sequence[Transition]], Awaitable[list[str]]]


class PostgresDoor:
    """Implements `linkflow.ports.Door` within one transaction."""

    def __init__(self, connection: Connection, write: Write, load: Load) -> None:
        self._connection = connection
        self._write = write
        self._load_on = load

    async def _load(self, ids: Sequence[str]) -> dict[str, Snapshot]:
        return await self._load_on(self._connection, ids) if ids else {}

    async def lock(self, names: Sequence[str]) -> None:
        await lock(self._connection, names)

    async def look(self, asked: Look) -> Seen:
        workflow = asked.workflow_id
        seen = Seen(set(), {}, {}, {}, {})
        if asked.ids:
            seen.ids.update(id for (id,) in await self._rows("runs", ids=list(asked.ids)))
        if asked.keys:
            seen.holders.update(
                await self._rows("holders", workflow=workflow, keys=list(asked.keys), newest=max(asked.ids))
            )
        if asked.slots:
            seen.lines.update(await lines(self._connection, workflow, asked.slots))
            if asked.staying:
                for key, id in await self._rows("staying", workflow=workflow, keys=list(asked.slots)):
                    seen.lines[key].staying.append(id)
        if asked.rates:
            seen.rates.update(await self._rows("rates", workflow=workflow, keys=list(asked.rates)))
        if asked.collectors:
            triggers, keys = [t for t, _ in asked.collectors], [k for _, k in asked.collectors]
            rows = await self._rows("collectors", workflow=workflow, triggers=triggers, keys=keys)
            states = await self._load([id for _, _, id in rows])
            seen.collectors.update({(trigger, key): (id, states[id]) for trigger, key, id in rows if id in states})
        return seen

    async def next(self, workflow_id: str, key: str, limit: int) -> list[tuple[str, Slot]]:
        rows = await self._rows("next", workflow=workflow_id, key=key, limit=limit)
        return [(id, Slot(key, bound, True, position)) for id, bound, position in rows]

    async def write(self, transitions: Sequence[Transition], rates: Mapping[tuple[str, str], int]) -> list[str]:
        verdicts = await self._write(self._connection, transitions)
        if rates:
            rows = sorted((workflow, key, until) for (workflow, key), until in rates.items())
            await self._connection.execute(_sql["keep_rates"], columns("rate", ("workflow", "key", "until"), rows))
        return verdicts

    async def epoch(self) -> int:
        """What this database holds changes with this number (see `shards`)."""
        return await epoch(self._connection)

    async def _rows(self, statement: str, **args: Any) -> list[tuple[Any, ...]]:
        return await (await self._connection.execute(_sql[statement], args)).fetchall()


class PostgresDoors:
    """The part of `linkflow.ports.EventStore` that looks at doors from outside."""

    _db: Database
    _slots_looked_at = _LOWEST

    async def queued(self, workflow_id: str, key: str, limit: int) -> list[str]:
        return [row[0] for row in await self._at_doors("next", workflow=workflow_id, key=key, limit=limit)]

    async def positions(self, execution_ids: Sequence[str]) -> dict[str, int]:
        return dict(await self._at_doors("positions", ids=list(execution_ids)))

    async def lost_slots(self, now_ms: int, limit: int) -> list[tuple[str, str]]:
        async with self._db.connection() as connection:
            args = {"after": self._slots_looked_at, "limit": LOOK_AT}
            looked = await (await connection.execute(_sql["free_closed"], args)).fetchall()
            self._slots_looked_at = looked[-1][0] if len(looked) == LOOK_AT else _LOWEST
            await connection.execute(_sql["forget_rates"], {"before": now_ms * 1000 - HOUR_US, "limit": limit})
        return [(workflow, key) for workflow, key in await self._at_doors("overlooked", limit=limit)]

    async def _at_doors(self, statement: str, **args: Any) -> list[tuple[Any, ...]]:
        async with self._db.connection() as connection:
            return await (await connection.execute(_sql[statement], args)).fetchall()


async def lock(connection: Connection, names: Iterable[str]) -> None:
    """Take locks in one order for all, so that nobody waits in a circle."""
    numbers = sorted({_number(name) for name in names})
    if numbers:
        await connection.execute(_sql["lock"], {"locks": numbers})


def _number(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


async def lines(connection: Connection, workflow_id: str, keys: Sequence[str]) -> dict[str, Line]:
    """A line each, also for keys that nobody has."""
    found = {key: Line() for key in keys}
    args = {"workflow": workflow_id, "keys": list(keys)}
    for key, taken, waiting, last in await (await connection.execute(_sql["lines"], args)).fetchall():
        found[key] = Line(taken, waiting, last)
    return found


async def reopen(connection: Connection, items: Sequence[Transition]) -> tuple[list[Transition], set[str]]:
    """Runs that need a slot again get their place; where there is none they are left out, and named."""
    again = [(t, e, e.slot) for t in items if (e := t.entrance) and e.reopens and e.slot]
    if not again:
        return list(items), set()
    await lock(connection, (lock_name(SLOT, t.workflow_id, slot.key) for t, _, slot in again))
    found: dict[tuple[str, str], Line] = {}
    placed, full = {t.execution_id: t for t in items}, set()
    for t, entrance, slot in again:
        where = (t.workflow_id, slot.key)
        if where not in found:
            found[where] = (await lines(connection, t.workflow_id, [slot.key]))[slot.key]
        line = found[where]
        if line.has_room(slot.limit):
            line.join(t.execution_id, slot.limit)
            entered = replace(entrance, slot=replace(slot, position=line.last))
            placed[t.execution_id] = replace(t, entrance=entered)
        elif entrance.replaces and await _passes(connection, t, entrance.replaces, slot.key):
            line.last += 1
            entered = replace(entrance, slot=replace(slot, position=line.last))
            placed[t.execution_id] = replace(t, entrance=entered)
        elif not t.expected and await _is_known(connection, t):
            placed[t.execution_id] = replace(t, entrance=None)  # as a duplicate it writes nothing
        else:
            full.add(t.execution_id)
            del placed[t.execution_id]
    return list(placed.values()), full


async def _passes(connection: Connection, t: Transition, source: str, key: str) -> bool:
    """Give up the slot of a run that is about to end for this one."""
    args = {"source": source, "workflow": t.workflow_id, "key": key}
    return (await connection.execute(_sql["pass_slot"], args)).rowcount > 0


async def _is_known(connection: Connection, t: Transition) -> bool:
    args = {"id": t.execution_id, "workflow": t.workflow_id, "key": t.idempotency_key}
    return await (await connection.execute(_sql["known"], args)).fetchone() is not None


async def write_entrances(connection: Connection, items: Sequence[Transition]) -> None:
    """The rows beside those of the transitions that were written. Raises `VersionConflict` where a key was taken."""
    entered = [(t, t.entrance) for t in items if t.entrance is not None]
    if leaving := [t.execution_id for t, entrance in entered if entrance.leaves]:
        await connection.execute(_sql["leave"], {"ids": leaving})
    for statement, prefix, names, rows in _tables(entered):
        if rows:
            done = await connection.execute(_sql[statement], columns(prefix, names, rows))
            if statement == "keep_keys" and done.rowcount < len(rows):
                raise VersionConflict("An idempotency key was taken meanwhile.")
    if ending := [id for _, entrance in entered for id in entrance.ends]:
        await connection.execute(_sql["mark_ending"], {"ids": ending})


Rows = list[tuple[Any, ...]]


def _tables(entered: Sequence[tuple[Transition, Entrance]]) -> list[tuple[str, str, tuple[str, ...], Rows]]:
    slots: Rows = [
        (t.execution_id, t.workflow_id, slot.key, slot.queued, slot.position, slot.limit)
        for t, entrance in entered if (slot := entrance.slot)
    ]  # fmt: skip
    fair: Rows = [(t.execution_id, entrance.fairness) for t, entrance in entered if entrance.fairness]
    began: Rows = [(t.execution_id, entrance.lets_in) for t, entrance in entered if entrance.lets_in]
    collects: Rows = [
        (t.workflow_id, *entrance.collects, t.execution_id) for t, entrance in entered if entrance.collects
    ]
    kept: Rows = [(t.workflow_id, key, t.execution_id) for t, entrance in entered for key in entrance.keys]
    passed: Rows = [(t.workflow_id, entrance.takes, t.execution_id) for t, entrance in entered if entrance.takes]
    key = ("workflow", "key", "id")
    return [
        ("take_slots", "slot", ("id", "workflow", "key", "queued", "position", "bound"), slots),
        ("fairness", "fair", ("id", "key"), fair),
        ("let_in", "in", ("id", "at"), began),
        ("collects", "col", ("workflow", "trigger", "key", "id"), collects),
        ("keep_keys", "kept", key, kept),
        ("pass_keys", "passed", key, passed),
    ]

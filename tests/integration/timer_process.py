"""A timer over real Postgres with the least History that keeps its promises; run as a program, it races others.

python -m tests.integration.timer_process DATABASE_URL SECONDS   prints the runs it started, one id a line
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

from linkflow.config import Config
from linkflow.contracts.history import (
    FireBatch,
    FireReply,
    StartBatch,
    Started,
    StartReply,
    SweepReply,
    SweepRequest,
)
from linkflow.postgres.database import Database
from linkflow.postgres.timers import PostgresTimers
from linkflow.services.timer import Timer
from tests.timer_fakes import FakeDoorbell


class RealClock:
    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def random(self) -> float:
        return random.random()

    def rand_bits(self, bits: int) -> int:
        return random.getrandbits(bits)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SqlHistory:
    """Fires by deleting timers, and starts by taking idempotency keys, as the real one does in its transactions."""

    def __init__(self, database: Database, clock: RealClock) -> None:
        self.database, self.clock = database, clock
        self.lateness: list[int] = []
        self.calls = 0
        self.created: list[str] = []
        self.requests: list[Any] = []

    async def fire(self, request: FireBatch) -> FireReply:
        self.calls += 1
        async with self.database.connection() as connection:
            cursor = await connection.execute(
                "DELETE FROM timers t USING unnest(%s::uuid[], %s::text[]) AS due (execution_id, timer_id)"
                " WHERE t.execution_id = due.execution_id AND t.timer_id = due.timer_id RETURNING t.due_at",
                ([t.execution_id for t in request.timers], [t.timer_id for t in request.timers]),
            )
            gone = await cursor.fetchall()
        now = self.clock.now_ms()
        self.lateness += [now - due_at for (due_at,) in gone]
        return FireReply(len(gone))

    async def start(self, request: StartBatch) -> StartReply:
        results = []
        async with self.database.transaction() as connection:
            for item in request.items:
                self.requests.append(item)
                cursor = await connection.execute(
                    "INSERT INTO idempotency_keys (workflow_id, key, execution_id) VALUES (%s, %s, %s)"
                    " ON CONFLICT DO NOTHING",
                    (item.workflow_id, item.idempotency_key, item.execution_id),
                )
                created = cursor.rowcount == 1
                if created:
                    self.created.append(item.execution_id)
                results.append(Started(item.execution_id, created=created))
        return StartReply(tuple(results))

    async def sweep(self, request: SweepRequest) -> SweepReply:
        return SweepReply(0, 0)


def build(database: Database) -> tuple[Timer, SqlHistory, FakeDoorbell, RealClock]:
    clock, bell = RealClock(), FakeDoorbell()
    history = SqlHistory(database, clock)
    timer = Timer(PostgresTimers(database), history, clock, bell, Config())  # type: ignore[arg-type]
    return timer, history, bell, clock


async def race(url: str, seconds: float) -> None:
    database = Database(url, size=3)
    timer, history, _, _ = build(database)
    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, stop.set)
    await timer.run_forever(stop)
    await database.close()
    print("\n".join(history.created))


if __name__ == "__main__":
    asyncio.run(race(sys.argv[1], float(sys.argv[2])))

"""DBOS on Postgres: ten steps in a row. Usage: dbos_chain.py COUNT POSTGRES_URL"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from dbos import DBOS
from in_flight import STEPS, measure

COUNT, URL = int(sys.argv[1]), sys.argv[2]
DBOS(
    config={
        "name": "bench", "system_database_url": URL, "run_admin_server": False, "log_level": "ERROR",
        "sys_db_pool_size": 40,
    }
)  # fmt: skip


@DBOS.step()
async def step(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, f"k{data['i']}": data["i"] * 2, "i": data["i"] + 1}


@DBOS.workflow()
async def chain() -> dict[str, Any]:
    data: dict[str, Any] = {"i": 0, "name": "order-42"}
    for _ in range(STEPS):
        data = await step(data)
    return data


async def main() -> None:
    DBOS.launch()
    await measure("dbos", COUNT, chain)
    DBOS.destroy()


asyncio.run(main())

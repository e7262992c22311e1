"""DBOS on Postgres: ten steps in a row, worker and client in one process, as it is meant to be used.

Plain functions in threads: they cost a tenth less than asynchronous ones, and one for each run in flight does best.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from dbos import DBOS

from bench.children import read_settings
from bench.sizes import IN_FLIGHT

from .in_flight import BEGIN, STEPS, bump, serve

THREADS = ThreadPoolExecutor(IN_FLIGHT)
step = DBOS.step(name="step")(bump)


@DBOS.workflow()
def chain() -> dict[str, Any]:
    data = BEGIN
    for _ in range(STEPS):
        data = step(data)
    return data


async def execution() -> dict[str, Any]:
    return await asyncio.get_running_loop().run_in_executor(THREADS, chain)


async def main() -> None:
    DBOS(
        config={
            "name": "bench", "system_database_url": read_settings()["url"], "run_admin_server": False,
            "log_level": "ERROR", "sys_db_pool_size": 40,
        }
    )  # fmt: skip
    DBOS.launch()
    await serve(execution)
    DBOS.destroy()


if __name__ == "__main__":
    asyncio.run(main())

"""`linkflow egress grant`: on the stores themselves."""

from __future__ import annotations

import asyncio
import json

import msgspec

from linkflow.config import Config
from linkflow.domain.errors import InvalidInput
from linkflow.domain.ids import is_uuid

from .admin import on_stores
from .client import say


def grant(home: str, workspace_id: str, allow: tuple[str, ...], only: tuple[str, ...]) -> int:
    """2 where an entry is none, or there is no such workspace id."""
    if not is_uuid(workspace_id):
        say("A workspace is named by its id.")
        return 2

    def work(config: Config) -> int:
        try:
            print(json.dumps(msgspec.to_builtins(asyncio.run(_write(config, workspace_id, allow, only))), indent=2))
        except InvalidInput as error:
            for problem in error.problems:
                say(f"{problem.path}: {problem.message}")
            return 2
        return 0

    return on_stores(home, work)


async def _write(config: Config, workspace_id: str, allow: tuple[str, ...], only: tuple[str, ...]) -> object:
    from linkflow.clock import SystemClock
    from linkflow.postgres.database import Database
    from linkflow.postgres.reach import PostgresReach
    from linkflow.services.reach import grant

    database = Database(config.database_url, size=1)
    try:
        return await grant(PostgresReach(database), SystemClock(), workspace_id, allow, only)
    finally:
        await database.close()

"""`linkflow keys`: on the stores themselves."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

from linkflow.config import Config
from linkflow.services.rotation import Rotated, Rotation

from .admin import on_stores
from .client import say


def list_keys(home: str, as_json: bool) -> int:
    async def act(rotation: Rotation) -> int:
        current, counts = await rotation.keys()
        counts = {current: 0, **counts}
        if as_json:
            print(json.dumps({"current": current, "sealed": counts}, indent=2))
            return 0
        for key, count in counts.items():
            print(f"{key}  {count:>8,} secrets{'  current' if key == current else ''}")
        return 0

    return _on_rotation(home, act)


def rotate(home: str, every: bool, as_json: bool) -> int:
    async def act(rotation: Rotation) -> int:
        left = await rotation.left()
        if left:
            say(f"Going on: {left:,} secrets are under old keys.")
        elif not every:
            await rotation.new_key()
        done = await rotation.run(_tell, every)
        if sys.stderr.isatty():
            say("")
        if as_json:
            print(json.dumps({"key_id": done.key_id, "rows": done.sealed}))
        else:
            print(f"{done.sealed:,} rows are sealed anew under {done.key_id}.")
        return 0

    return _on_rotation(home, act)


def drop(home: str, key_id: str) -> int:
    async def act(rotation: Rotation) -> int:
        await rotation.drop(key_id)
        print(f"{key_id} is gone.")
        return 0

    return _on_rotation(home, act)


def _tell(done: Rotated) -> None:
    text = f"{done.seen:,} of about {done.total:,} looked at, {done.sealed:,} sealed anew"
    if sys.stderr.isatty():
        print(f"\r{text}", end="", file=sys.stderr, flush=True)
    else:
        say(text)


def _on_rotation(home: str, act: Callable[[Rotation], Awaitable[int]]) -> int:
    async def run(config: Config) -> int:
        from linkflow.bootstrap import System
        from linkflow.postgres.variables import PostgresRotation

        system = System(config, "keys")
        try:
            return await act(Rotation(PostgresRotation(system.database), system.sealer))
        finally:
            await system.close()

    return on_stores(home, lambda config: asyncio.run(run(config)))

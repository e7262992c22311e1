"""Which database has which runs, and moving them."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, NoReturn

import click

from .options import HOME, JSON

if TYPE_CHECKING:
    from linkflow.config import Config
    from linkflow.postgres.shards import Shards


@click.group()
def shards() -> None:
    """Look at the databases that have the runs, and move runs between them.

    LINKFLOW_DATABASES names further databases; see docs/sharding.md.
    """


@shards.command("list")
@JSON
@HOME
def list_shards(as_json: bool, home: str) -> None:
    """Ranges of the 4,096 virtual shards with their database and their runs."""
    _run(home, lambda config: _list(config, as_json))


@shards.command()
@click.option("--from", "first", required=True, type=click.IntRange(0, 4095), help="The first shard.")
@click.option("--to", "last", required=True, type=click.IntRange(0, 4095), help="The last shard.")
@click.option("--database", required=True, help="Where they shall be: a name of LINKFLOW_DATABASES, or default.")
@click.option("--force", is_flag=True, help="Although processes are connected that do not know this database.")
@HOME
def move(first: int, last: int, database: str, force: bool, home: str) -> None:
    """Move a range of shards while its runs go on.

    Writes of the range are refused for a moment at the end (503, tried again by whoever writes). A move that was
    interrupted is finished by the same command.
    """
    _run(home, lambda config: _move(config, first, last, database, force))


@shards.command()
@HOME
def abort(home: str) -> None:
    """Give up a move that was interrupted while it was copying."""
    _run(home, _abort)


def _shards(config: Config) -> tuple[Any, Shards]:
    from linkflow.bootstrap import System
    from linkflow.postgres.shards import Shards

    system = System(config, "shards")
    return system, system.shards or Shards(system.database, {})


def _run(home: str, work: Callable[[Config], Coroutine[Any, Any, int]]) -> NoReturn:
    import asyncio

    from .admin import on_stores

    raise SystemExit(on_stores(home, lambda config: asyncio.run(work(config))))


async def _list(config: Config, as_json: bool) -> int:
    from linkflow.postgres.overview import overview

    system, known = _shards(config)
    try:
        rows, moving = await overview(known)
    finally:
        await system.close()
    if as_json:
        print(json.dumps({"ranges": rows, "move": moving}, indent=2))
        return 0
    print(f"{'shards':<12}{'database':<20}{'runs':>12}{'open':>10}")
    for row in rows:
        span = f"{row['first']}-{row['last']}"
        runs = f"{row['runs']:>12,}{row['open']:>10,}" if row["runs"] is not None else f"{'away':>12}"
        print(f"{span:<12}{row['database']:<20}{runs}")
    if moving is not None:
        print(
            f"Being moved: {moving['first']}-{moving['last']} from {moving['source']} to {moving['target']}"
            f" ({moving['phase']})"
        )
    return 0


async def _move(config: Config, first: int, last: int, database: str, force: bool) -> int:
    from linkflow.postgres.moving import Mover

    system, known = _shards(config)
    try:
        moved = await Mover(known, lambda line: print(line, flush=True)).move(first, last, database, force=force)
    finally:
        await system.close()
    print(f"{moved} shards moved to {database}." if moved else f"{first}-{last} are in {database} already.")
    return 0


async def _abort(config: Config) -> int:
    from linkflow.postgres.moving import Mover

    system, known = _shards(config)
    try:
        given_up = await Mover(known).abort()
    finally:
        await system.close()
    from .client import say

    say("Given up; everything is where it was." if given_up else "Nothing is being moved.")
    return 0

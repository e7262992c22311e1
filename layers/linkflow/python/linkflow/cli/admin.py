"""Commands about the stores themselves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from linkflow.config import BadConfig, Config

from .client import say


def on_stores(home: str, work: Callable[[Config], int]) -> int:
    """Do something with the stores of `home`, or those that the environment names; 2 where that fails."""
    from linkflow.config import load
    from linkflow.domain.errors import LinkFlowError
    from linkflow.local.stack import LocalStack

    try:
        with LocalStack(home, load()) as config:
            return work(config)
    except (LinkFlowError, BadConfig) as error:
        say(str(error))
        return 2


def migrate(home: str) -> int:
    from linkflow.postgres.migrate import migrate_all

    def work(config: Config) -> int:
        done = migrate_all(config.database_url, config.databases)
        for name, applied in done.items():
            print("\n".join(f"{name}  {one}" if config.databases else one for one in applied), end="\n" * bool(applied))
        if not any(done.values()):
            what = "the databases are" if config.databases else "the database is"
            print(f"Nothing to do: {what} up to date.")
        return 0

    return on_stores(home, work)


def replay(home: str, execution_id: str, every: bool) -> int:
    """0 where all match, 1 where one does not."""
    if bool(execution_id) == every:
        say("Name one execution, or say --all.")
        return 2
    return on_stores(home, lambda config: asyncio.run(_replay(config, execution_id)))


async def _replay(config: Config, execution_id: str) -> int:
    from linkflow.bootstrap import System
    from linkflow.domain.ids import is_uuid
    from linkflow.postgres.audit import replays_of

    if execution_id and not is_uuid(execution_id):
        say(f"{execution_id} is not an execution id.")
        return 2
    system = System(config, "replay")
    checked = wrong = 0
    databases = list(system.shards.databases.values()) if system.shards else [system.database]
    async for id, result in replays_of(databases, execution_id):
        checked += 1
        if execution_id or not result.matches:
            verdict = "matches, byte for byte" if result.matches else f"differs from byte {result.at} on {result.fault}"
            print(f"{id}  {result.events} events: the folded state {verdict}")
        wrong += not result.matches
    await system.close()
    if execution_id and not checked:
        say(f"There is no execution {execution_id}.")
        return 2
    if not execution_id:
        print(f"{checked} executions replayed, {wrong} differ")
    return 1 if wrong else 0


def upkeep(home: str, dry_run: bool) -> int:
    return on_stores(home, lambda config: asyncio.run(_upkeep(config, dry_run)))


async def _upkeep(config: Config, dry_run: bool) -> int:
    from linkflow.bootstrap import System
    from linkflow.clock import SystemClock
    from linkflow.postgres.timers import PostgresTimers

    system, waiting = System(config, "upkeep"), 0
    databases = system.shards.databases if system.shards else {"": system.database}
    try:
        for name, database in databases.items():
            retention, now, of = system.retention(database), SystemClock().now_ms(), f"{name}  " if name else ""
            for old in await retention.plan(now):
                names = ", ".join(part for _, part in old.parts)
                print(f"{of}{names}  {old.runs} runs go, {old.stay} stay  {old.size / 1_048_576:.1f} MB")
            if dry_run:
                continue
            made = await PostgresTimers(database, closes=not name).upkeep()
            done = await retention.run(now)
            print(
                f"{of}{made} partitions made, {done.partitions} dropped; {done.runs} runs gone, {done.moved} rows moved"
            )
            waiting += done.waiting
    finally:
        await system.close()
    if waiting:
        say(f"{waiting} partitions are in use; try again.")
    return 1 if waiting else 0


def openapi(as_yaml: bool) -> int:
    from linkflow.bootstrap import System

    config = Config(secret="0" * 32, database_url="postgresql://", redis_url="redis://127.0.0.1:1")
    document = System(config).http_app().openapi()
    if as_yaml:
        import yaml

        copied = json.loads(json.dumps(document))  # what stands in two places would be written as an alias
        print(yaml.safe_dump(copied, sort_keys=False, allow_unicode=True, width=120), end="")
    else:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    return 0


def reset(home: str, yes: bool) -> int:
    import click

    from linkflow.local.stack import reset as clear

    if not yes and not click.confirm(f"Delete all data in {home}?"):
        return 1
    clear(home)
    print(f"{home} is empty.")
    return 0

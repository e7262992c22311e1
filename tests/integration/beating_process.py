"""A worker with a node type that tells how far it has come; run as a program, it is there to be killed.

python -m tests.integration.beating_process DATABASE_URL REDIS_URL
"""

from __future__ import annotations

import asyncio
import builtins
import sys
from typing import Any, ClassVar

from linkflow.bootstrap import System
from linkflow.config import Config
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.registry import Registry

SECRET = "s" * 32


class CountingParams(Params):
    to: int = 0
    """Where it is done; 0: it goes on until it is stopped."""
    stay_at: int = 0
    """Where the first attempt comes to no end, and is silent."""
    fail_at: int = 0
    quiet: bool = False
    """Tells nothing: the worker beats for it."""


class Counting(Base):
    """Counts on from where an earlier attempt was."""

    type: ClassVar[str] = "counting"
    name: ClassVar[str] = "Count"
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = CountingParams

    async def run(self, params: CountingParams, context: Context) -> Outcome:
        first = at = (context.heartbeat_details or {"at": 0})["at"]
        while not params.to or at < params.to:
            at += 1
            if not params.quiet:
                await context.heartbeat({"at": at})
            if at == params.stay_at and context.attempt == 1:
                await asyncio.Event().wait()
            if at == params.fail_at:
                raise NodeFailure("stumbled", "It stumbled.")
            await asyncio.sleep(0.05)
        return Completed({"first": first, "at": at, "attempt": context.attempt})


def system(database_url: str, redis_url: str, name: str = "beating", **config: Any) -> System:
    """A system that knows the node type."""
    made = System(Config(database_url=database_url, redis_url=redis_url, secret=SECRET, **config), name)
    made._parts["registry"] = Registry([*Registry.load().types(), Counting()])
    return made


async def main(database_url: str, redis_url: str) -> None:
    made = system(database_url, redis_url, "doomed")
    made.serve_all(("history", "matching", "worker"))
    made.loop()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

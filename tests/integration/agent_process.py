"""A whole installation whose workers may call loopback, with a model there; run as a program, its worker can be killed.

python -m tests.integration.agent_process DATABASE_URL REDIS_URL MODEL_URL
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from linkflow.bootstrap import System
from linkflow.config import Config, Egress

SECRET = "s" * 32


def system(database_url: str, redis_url: str, model_url: str, name: str, **config: Any) -> System:
    """A system whose platform key is for the model at `model_url`."""
    connections: dict[str, dict[str, object]] = {
        "ai": {"api_key": "platform-key", "base_url": model_url, "model": "gpt-4o-mini"}
    }
    return System(
        Config(
            database_url=database_url, redis_url=redis_url, secret=SECRET, connections=connections, lease=1.0,
            egress=Egress(allow=("127.0.0.1",)), sweep_interval=0.5, republish_after=0.5, **config,
        ),
        name,
    )  # fmt: skip


async def main(database_url: str, redis_url: str, model_url: str) -> None:
    made = system(database_url, redis_url, model_url, "doomed")
    made.serve_all(("history", "matching", "worker"))
    made.loop()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))

"""One more worker, as `linkflow worker` runs it: History and Matching beside it, on the stores alone."""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.bootstrap import System
from linkflow.cli.serve import run
from linkflow.config import Config
from linkflow.observability import setup

from .children import obey, read_settings, say


async def main(settings: dict[str, Any]) -> None:
    """Work until the parent closes our input."""
    setup("WARNING", "bench")
    system = System(msgspec.convert(settings["config"], Config), "worker")
    system.serve_all(("history", "matching", "worker"))
    system.loop()
    say({"ready": True})
    try:
        await obey({})
    finally:
        await system.close()


if __name__ == "__main__":
    run(main(read_settings()))

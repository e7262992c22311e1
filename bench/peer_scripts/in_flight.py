"""What the peers' scripts share: they keep executions in flight for a while, whenever they are told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.children import obey, say
from bench.window import Window

STEPS = 10
BEGIN: dict[str, Any] = {"i": 0, "name": "order-42"}


def bump(data: dict[str, Any]) -> dict[str, Any]:
    """One step, the same for every peer and for LinkFlow's nodes."""
    return {**data, f"k{data['i']}": data["i"] * 2, "i": data["i"] + 1}


async def serve(execution: Callable[[], Awaitable[Any]]) -> None:
    """Say that we are ready, then measure `execution`, which returns the data behind the last step, when asked."""

    async def load(ask: dict[str, Any]) -> dict[str, Any]:
        window = Window(ask["seconds"], ask.get("lead", 0.0), ask.get("limit", 0))
        await asyncio.gather(*(window.caller(_checked(execution)) for _ in range(ask["in_flight"])))
        return window.result()

    say({"ready": True})
    await obey({"load": load})


def _checked(execution: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[str]]:
    async def call() -> str:
        try:
            data = await execution()
        except Exception as error:
            return f"{type(error).__name__}: {error}"[:200]
        return "" if data["i"] == STEPS else f"it ended with {data}"

    return call

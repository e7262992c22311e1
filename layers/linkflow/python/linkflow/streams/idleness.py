"""Whether anybody works (`ports.Idleness`): two small keys, which may be lost at any time."""

from __future__ import annotations

from .connection import Clients, reachable
from .scripts import Script

BUSY_MS = 120_000
"""For so long after somebody said that he works nobody rests. He says it again well before (`transports.vigil`)."""
WARY_MS = 1_200_000
"""For so long after this store began to know anything nobody rests either: it may have forgotten who works, and those
of an older version, who say nothing, may still be at it. Lambda ends an invocation after a quarter of an hour."""

RESTING = b"rest"


class StreamIdleness:
    """Implements `linkflow.ports.Idleness`. All times are the store's own."""

    def __init__(self, clients: Clients, *, prefix: str = "lf", busy_ms: int = BUSY_MS, wary_ms: int = WARY_MS) -> None:
        self._clients = clients
        self._keys = [f"{prefix}:{{clock}}:{name}" for name in ("state", "count", "since")]
        self._busy_ms, self._wary_ms = busy_ms, wary_ms
        self._busy, self._rest = Script("busy"), Script("rest")

    async def busy(self) -> None:
        await self._busy.run(self._clients.commands, self._keys, (self._busy_ms,))

    async def resting(self) -> bool:
        with reachable():
            return bool(await self._clients.commands.execute_command("GET", self._keys[0]) == RESTING)

    async def seen(self) -> str:
        with reachable():
            found = await self._clients.commands.execute_command("GET", self._keys[1])
        return found.decode() if found else ""

    async def rest(self, ms: int, seen: str) -> bool:
        return bool(await self._rest.run(self._clients.commands, self._keys, (ms, seen, self._wary_ms)))

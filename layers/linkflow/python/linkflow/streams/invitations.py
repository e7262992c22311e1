"""Which workers were just invoked (`ports.Invitations`): a small key a queue, which soon expires."""

from __future__ import annotations

from collections.abc import Sequence

from .connection import Clients, reachable
from .scripts import Script


class StreamInvitations:
    """Implements `linkflow.ports.Invitations`."""

    def __init__(self, clients: Clients, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._prefix = prefix
        self._script = Script("invite")

    async def needed(self, queue: str, count: int, capacity: int, most: int, ms: int) -> int:
        return int(await self._script.run(self._clients.commands, [self._key(queue)], (count, capacity, most, ms)))

    async def forget(self, queues: Sequence[str]) -> None:
        with reachable():
            for queue in queues:
                await self._clients.commands.execute_command("DEL", self._key(queue))

    def _key(self, queue: str) -> str:
        return f"{self._prefix}:{{invited:{queue}}}"

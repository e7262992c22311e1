"""Which workers are invoked and not there yet (`ports.Invitations`): they stand beside those that are there, in each
partition that they will serve (see ``rooms.lua``)."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from urllib.parse import unquote

from .connection import Clients
from .scripts import Call, Script


class StreamInvitations:
    """Implements `linkflow.ports.Invitations`."""

    def __init__(self, clients: Clients, keys: Callable[[str], Awaitable[list[list[str]]]]) -> None:
        """`keys` are those of a queue's partitions, tag and rules' home each; a list for each server that has some."""
        self._clients = clients
        self._keys = keys
        self._invite = Script("invite", "rooms")
        self._withdraw = Script("withdraw")
        self._there = Script("there", "rooms")

    async def invite(self, queues: Sequence[str], capacity: int, most: int, ms: int) -> list[str]:
        """One step for a queue, or for a partition in a cluster; what the last worker has left is for the others."""
        name, made, left = secrets.token_hex(6), 0, 0
        groups = [keys for queue in queues for keys in await self._keys(queue)]
        told = []
        for keys in groups:
            need, left = await self._run(keys, name, made, left, capacity, most, ms)
            made += need
            told.append(made)
        for keys, known in zip(groups, told, strict=True):
            if known < made and left:  # whoever adds there next is to know of it too
                await self._run(keys, name, made, left, capacity, 0, ms)
        return [f"{name}-{number}" for number in range(1, made + 1)]

    async def withdraw(self, queues: Sequence[str], invitations: Sequence[str]) -> None:
        calls = [([tag], invitations) for tag in await self._tags(queues)]
        await self._withdraw.run_all(self._clients.commands, calls, one_by_one=self._clients.cluster)

    async def there(self, queues: Sequence[str]) -> dict[str, int]:
        """Workers, and how many more tasks each would take."""
        found: dict[str, int] = {}
        calls: list[Call] = [([tag], ()) for tag in await self._tags(queues)]
        for row in await self._there.run_all(self._clients.commands, calls, one_by_one=self._clients.cluster):
            found |= {unquote(name.decode()): places for name, places in zip(row[::2], row[1::2], strict=True)}
        return found

    async def _tags(self, queues: Sequence[str]) -> list[str]:
        return [tag for queue in queues for keys in await self._keys(queue) for tag in keys[::2]]

    async def _run(self, keys: Sequence[str], *args: str | int) -> tuple[int, int]:
        need, left = await self._invite.run(self._clients.commands, keys, args)
        return need, left

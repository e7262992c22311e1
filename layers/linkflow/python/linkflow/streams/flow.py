"""What goes through task queues, by minute, and which workers there are (`ports.FlowBook`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linkflow.contracts.matching import WorkerSeen

from .connection import Clients, reachable
from .resp import Refused

KEPT_MS = 900_000
MANY = 1_000
"""Workers that are listed."""

_encode = msgspec.json.encode
_queues = msgspec.json.Decoder(tuple[str, ...]).decode


class StreamFlow:
    """Hashes of counts, one a minute, which forget themselves; a sorted set of workers by when they were seen."""

    def __init__(self, clients: Clients, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._tag = f"{prefix}:{{flow}}"

    async def note(
        self,
        minute: int,
        counts: Mapping[tuple[str, str, str], int],
        workers: Mapping[str, tuple[int, tuple[str, ...]]],
        gone_before: int,
    ) -> None:
        key, seen, served = f"{self._tag}:{minute}", f"{self._tag}:seen", f"{self._tag}:queues"
        commands: list[tuple[Any, ...]] = [("HINCRBY", key, _field(*name), count) for name, count in counts.items()]
        if counts:
            commands.append(("PEXPIRE", key, KEPT_MS))
        for worker, (at, queues) in workers.items():
            commands.append(("ZADD", seen, "GT", at, worker))
            if queues:
                commands.append(("HSET", served, worker, _encode(queues)))
        with reachable():
            gone = await self._clients.commands.execute_command(
                "ZRANGEBYSCORE", seen, "-inf", gone_before, "LIMIT", 0, MANY
            )
            if gone:
                commands += [("ZREM", seen, *gone), ("HDEL", served, *gone)]
            for reply in await self._clients.commands.execute_commands(commands):
                if isinstance(reply, Refused):
                    raise reply

    async def counts(self, minutes: Sequence[int], names: Sequence[tuple[str, str, str]]) -> list[int]:
        if not names:
            return []
        fields = [_field(*name) for name in names]
        with reachable():
            rows = await self._clients.commands.execute_commands(
                [("HMGET", f"{self._tag}:{minute}", *fields) for minute in minutes]
            )
        for row in rows:
            if isinstance(row, Refused):
                raise row
        return [sum(int(row[at] or 0) for row in rows) for at in range(len(names))]

    async def workers(self, since: int) -> list[WorkerSeen]:
        with reachable():
            rows = await self._clients.commands.execute_command(
                "ZREVRANGEBYSCORE", f"{self._tag}:seen", "+inf", since, "WITHSCORES", "LIMIT", 0, MANY
            )
            names = rows[::2]
            served = (
                await self._clients.commands.execute_command("HMGET", f"{self._tag}:queues", *names) if names else []
            )
        return [
            WorkerSeen(name.decode(), _queues(queues) if queues else (), int(at))
            for name, at, queues in zip(names, rows[1::2], served, strict=True)
        ]


def _field(kind: str, workspace_id: str, queue: str) -> str:
    return f"{kind}:{workspace_id}:{queue}"

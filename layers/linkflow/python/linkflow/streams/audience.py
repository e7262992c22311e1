"""Who watches which runs (`ports.Audience`): a sorted set of topics, and a short stream a workspace that is watched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.ports import Clock, Notice

from .connection import Clients, reachable

MOST = 5000
"""Notices of a workspace that are kept."""
KEPT_MS = 600_000
"""How long they are kept after the last one."""
TOPICS = 10_000
"""Topics that are looked at."""
BEGINNING = "0-0"


class StreamAudience:
    """Implements `linkflow.ports.Audience`."""

    def __init__(self, clients: Clients, clock: Clock, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._clock = clock
        self._prefix = prefix
        self._set = f"{prefix}:{{audience}}"

    async def watch(self, topic: str, seconds: float) -> bool:
        now = self._clock.now_ms()
        with reachable():
            before = await self._clients.commands.execute_command("ZSCORE", self._set, topic)
            await self._clients.commands.execute_command("ZADD", self._set, now + round(seconds * 1000), topic)
        return before is not None and float(before) > now

    async def watched(self) -> frozenset[str]:
        now = self._clock.now_ms()
        with reachable():
            found = await self._clients.commands.execute_command(
                "ZRANGEBYSCORE", self._set, f"({now}", "+inf", "LIMIT", 0, TOPICS
            )
            if found:
                await self._clients.commands.execute_command("ZREMRANGEBYSCORE", self._set, "-inf", now - KEPT_MS)
        return frozenset(topic.decode() for topic in found)

    async def tell(self, topic: str, notices: Sequence[bytes]) -> None:
        key = self._key(topic)
        commands: list[tuple[Any, ...]] = [("XADD", key, "MAXLEN", "~", MOST, "*", "n", one) for one in notices]
        with reachable():
            await self._clients.commands.execute_commands([*commands, ("PEXPIRE", key, KEPT_MS)])

    async def read(self, topic: str, after: str, limit: int) -> list[Notice]:
        with reachable():
            rows = await self._clients.commands.execute_command(
                "XRANGE", self._key(topic), f"({after or BEGINNING}", "+", "COUNT", limit
            )
        return [Notice(id.decode(), fields[1]) for id, fields in rows]

    async def latest(self, topic: str) -> str:
        with reachable():
            rows = await self._clients.commands.execute_command("XREVRANGE", self._key(topic), "+", "-", "COUNT", 1)
        return rows[0][0].decode() if rows else BEGINNING

    async def has(self, topic: str, cursor: str) -> bool:
        if cursor == BEGINNING:
            return True
        with reachable():
            rows = await self._clients.commands.execute_command("XRANGE", self._key(topic), cursor, cursor)
        return bool(rows)

    def _key(self, topic: str) -> str:
        return f"{self._prefix}:told:{{{topic}}}"

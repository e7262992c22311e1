"""What node runs say while they run (`ports.Live`): a short stream a run, which forgets itself."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.ports import Words

from .connection import LONGEST_BLOCK, Clients, reachable
from .resp import Refused

MOST = 1000
"""Words of a run that are kept; each is about a tenth of a second."""
KEPT_MS = 600_000
"""How long they are kept after the last ones."""

LOOK = 0.25
"""Seconds after which a cluster is asked again."""

_START = "0-0"


class StreamLive:
    """Implements `linkflow.ports.Live`."""

    def __init__(self, clients: Clients, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._prefix = prefix
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(Words).decode

    async def publish(self, execution_id: str, words: Sequence[Words]) -> None:
        key = self._key(execution_id)
        commands: list[tuple[Any, ...]] = [
            ("XADD", key, "MAXLEN", "~", MOST, "*", "w", self._encode(one)) for one in words
        ]
        with reachable():
            replies = await self._clients.commands.execute_commands([*commands, ("PEXPIRE", key, KEPT_MS)])
            for reply in replies:
                if isinstance(reply, Refused):
                    raise reply

    async def read(self, execution_id: str, after: str = "", limit: int = 500, wait: float = 0.0) -> list[Words]:
        """A cursor that is none is the beginning."""
        key, cursor = self._key(execution_id), after if _is_cursor(after) else _START
        with reachable():
            ask = ("XRANGE", key, f"({cursor}", "+", "COUNT", limit)
            rows = await self._clients.commands.execute_command(*ask)
            if not rows and wait > 0 and self._clients.cluster:  # a waiting connection goes to one server, maybe not
                await asyncio.sleep(min(wait, LOOK))  # to the run's
                rows = await self._clients.commands.execute_command(*ask)
            elif not rows and wait > 0:
                block = max(1, round(min(wait, LONGEST_BLOCK) * 1000))
                found = await self._clients.blocking.execute_command(
                    "XREAD", "COUNT", limit, "BLOCK", block, "STREAMS", key, cursor
                )
                rows = found[0][1] if found else []
        return [self._words(row) for row in rows]

    def _words(self, row: Any) -> Words:
        id, fields = row
        return msgspec.structs.replace(self._decode(fields[1]), cursor=id.decode())

    def _key(self, execution_id: str) -> str:
        return f"{self._prefix}:live:{{{execution_id}}}"


def _is_cursor(text: str) -> bool:
    first, _, second = text.partition("-")
    return first.isdecimal() and second.isdecimal() and text.isascii() and len(text) <= 40

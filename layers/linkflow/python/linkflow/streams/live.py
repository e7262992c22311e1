"""What node runs say while they run (`ports.Live`): a short stream a run, which forgets itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.ports import SAID, Doorbell, Words

from .connection import Clients, reachable
from .resp import Refused

MOST = 1000
"""Words of a run that are kept; each is about a tenth of a second."""
KEPT_MS = 600_000
"""How long they are kept after the last ones."""

_START = "0-0"


class StreamLive:
    """Implements `linkflow.ports.Live`."""

    def __init__(self, clients: Clients, doorbell: Doorbell, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._doorbell = doorbell
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
        await self._doorbell.ring(f"{SAID}{execution_id}", b"")

    async def read(self, execution_id: str, after: str = "", limit: int = 500) -> list[Words]:
        """A cursor that is none is the beginning."""
        key, cursor = self._key(execution_id), after if _is_cursor(after) else _START
        with reachable():
            rows = await self._clients.commands.execute_command("XRANGE", key, f"({cursor}", "+", "COUNT", limit)
        return [self._words(row) for row in rows]

    def _words(self, row: Any) -> Words:
        id, fields = row
        return msgspec.structs.replace(self._decode(fields[1]), cursor=id.decode())

    def _key(self, execution_id: str) -> str:
        return f"{self._prefix}:live:{{{execution_id}}}"


def _is_cursor(text: str) -> bool:
    first, _, second = text.partition("-")
    return first.isdecimal() and second.isdecimal() and text.isascii() and len(text) <= 40

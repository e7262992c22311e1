"""Deleting runs that are over, for good."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from msgspec import Struct

from linkflow.ports import FORGET_BLOBS, Clock, EventStore, Message

from .desk import start_key
from .messages import Messenger

DELETE, DELETED = "delete", "deleted"
_PAGE, _COLLECTED = 200, "StartCollected"


class _Keyed(Struct):
    type: str
    start_id: str = ""
    idempotency_key: str = ""


_decode = msgspec.json.Decoder(list[_Keyed]).decode


class Deleter:
    """Rows go in one transaction, which leaves a message to forget the blobs: a crash in between loses neither."""

    def __init__(
        self, store: EventStore, messenger: Messenger, clock: Clock, late: int,
        spawn: Callable[[Awaitable[object]], None],
    ) -> None:  # fmt: skip
        self._store = store
        self._messenger = messenger
        self._clock = clock
        self._late = late
        self._spawn = spawn

    async def delete(self, execution_id: str, workspace_id: str) -> bool:
        """False for a run that is open, or not there."""
        keys = await self._keys(execution_id)
        gone = await self._store.delete(execution_id, workspace_id, keys, self._clock.now_ms() + self._late)
        if gone:
            message = Message(FORGET_BLOBS, FORGET_BLOBS, workspace_id.encode())
            self._spawn(self._messenger.tell_new(execution_id, message))
        return gone

    async def _keys(self, execution_id: str) -> list[str]:
        """Idempotency keys of the starts that became this run. They stand in its first events: a run that collects
        does nothing else. There is no index from runs to keys, as every keyed start would pay for it."""
        keys: list[str] = []
        after = 0
        while True:
            page = await self._store.history(execution_id, after, _PAGE)
            events = _decode(page.events)
            keys += [event.idempotency_key for event in events if event.idempotency_key]
            keys += [start_key(event.start_id) for event in events if event.type == _COLLECTED]
            if not page.more or not any(event.type == _COLLECTED for event in events):
                return keys
            after = page.last

"""Doorbells over pub/sub (`ports.Doorbell`): one connection listens for the whole process.

Rings that arrive together are sent together, one PUBLISH a topic with a list of messages (MessagePack) inside, which is
what lets a thousand runs a second answer their callers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextvars import Context
from typing import Any
from weakref import WeakSet

import msgspec

from linkflow.domain.errors import LinkFlowError

from .connection import Clients, reachable
from .resp import Fault, Lost, Subscription

SILENCE = 5.0
"""Seconds without a message after which the connection is tested; after twice that it is given up."""
RECONNECT = (0.05, 2.0)
"""Seconds between attempts to listen again: the first, and the longest."""
BACKLOG = 10_000
"""Messages that a listener may be behind before further ones are dropped."""

_log = logging.getLogger(__name__)


class Listener:
    """Messages of one topic, from the moment of `listen`. Leaves when closed or no longer referred to."""

    def __init__(self) -> None:
        self._messages: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)
        self._closed = False

    def __aiter__(self) -> Listener:
        return self

    async def __anext__(self) -> bytes:
        message = None if self._closed and self._messages.empty() else await self._messages.get()
        if message is None:
            raise StopAsyncIteration
        return message

    async def aclose(self) -> None:
        self.close()

    def close(self) -> None:
        self._closed = True
        if self._messages.empty():
            self._messages.put_nowait(None)

    def hear(self, message: bytes) -> None:
        if not self._closed and not self._messages.full():
            self._messages.put_nowait(message)

    @property
    def closed(self) -> bool:
        return self._closed


class PubSubDoorbell:
    """Wakes other processes. Rings are lost while the store or the connection is down; nothing is raised for that."""

    def __init__(self, clients: Clients, *, prefix: str = "lf") -> None:
        self._clients = clients
        self._prefix = f"{prefix}:ring:"
        self._listeners: dict[bytes, WeakSet[Listener]] = {}
        self._subscription: Subscription | None = None
        self._reader: asyncio.Task[None] | None = None
        self._flusher: asyncio.Task[None] | None = None
        self._subscribing: set[asyncio.Task[None]] = set()
        self._pending: dict[str, list[bytes]] = {}
        self._sent: asyncio.Future[None] | None = None
        self._encode = msgspec.msgpack.Encoder().encode
        self._decode = msgspec.msgpack.Decoder(list[bytes]).decode

    async def ring(self, topic: str, message: bytes) -> None:
        """Tell whoever listens to `topic` now. Returns when it was sent, or could not be."""
        self._pending.setdefault(topic, []).append(message)
        if self._sent is None:
            self._sent = asyncio.get_running_loop().create_future()
        if self._flusher is None or self._flusher.done():
            self._flusher = _spawn(self._flush())
        await asyncio.shield(self._sent)

    def listen(self, topic: str) -> Listener:
        """Messages on `topic` from now on; the very first ones may pass while the subscription is on its way."""
        listener = Listener()
        channel = f"{self._prefix}{topic}".encode()
        known = channel in self._listeners
        self._listeners.setdefault(channel, WeakSet()).add(listener)
        if self._reader is None or self._reader.done():
            self._reader = _spawn(self._read())
        elif not known and self._subscription is not None:
            task = _spawn(self._subscribe(self._subscription, channel))
            self._subscribing.add(task)
            task.add_done_callback(self._subscribing.discard)
        return listener

    async def close(self) -> None:
        """Stop listening; every listener ends."""
        for listeners in self._listeners.values():
            for listener in list(listeners):
                listener.close()
        self._listeners.clear()
        tasks = [task for task in (self._reader, self._flusher, *self._subscribing) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _flush(self) -> None:
        while self._sent is not None:
            pending, sent = self._pending, self._sent
            self._pending, self._sent = {}, None
            try:
                with reachable():
                    await self._clients.node.execute_commands(
                        [("PUBLISH", f"{self._prefix}{topic}", self._encode(m)) for topic, m in pending.items()]
                    )
            except LinkFlowError as error:
                _log.debug("Rings for %d topics were lost: %s", len(pending), error)
            finally:
                sent.set_result(None)

    async def _read(self) -> None:
        """Listen until nobody wants to, through lost connections and restarts of the server."""
        first, longest = RECONNECT
        delay = first
        while self._listeners:
            subscription = self._clients.subscription()
            try:
                await subscription.subscribe(*self._listeners)
                self._subscription = subscription
                delay = first
                await self._receive(subscription)
            except (Fault, OSError) as error:
                _log.debug("Listening again in %.2f s: %s", delay, error)
                await asyncio.sleep(delay)
                delay = min(2 * delay, longest)
            finally:
                self._subscription = None
                await self._clients.leave(subscription)

    async def _receive(self, subscription: Subscription) -> None:
        silent = False
        while self._listeners:
            reply = await subscription.heard(SILENCE)
            if reply is None:
                if silent:
                    raise Lost("The connection is silent.")
                silent = True
                await self._leave_unheard(subscription)
                await subscription.ping()
                continue
            silent = False
            if reply[0] == b"message":
                self._hand_on(reply[1], reply[2])

    def _hand_on(self, channel: bytes, data: bytes) -> None:
        listeners = [listener for listener in self._listeners.get(channel, ()) if not listener.closed]
        if not listeners:
            return
        try:
            messages = self._decode(data)
        except msgspec.MsgspecError:
            return  # not one of ours
        for listener in listeners:
            for message in messages:
                listener.hear(message)

    async def _leave_unheard(self, subscription: Subscription) -> None:
        """Unsubscribe, at leisure, from topics whose listeners have gone."""
        for channel, listeners in list(self._listeners.items()):
            if all(listener.closed for listener in listeners):
                del self._listeners[channel]
                await subscription.unsubscribe(channel)

    async def _subscribe(self, subscription: Subscription, channel: bytes) -> None:
        try:
            await subscription.subscribe(channel)
        except (Fault, OSError) as error:
            _log.debug("The reader subscribes when it reconnects: %s", error)


def _spawn(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """A task of the process, not of the request that happened to come first: it inherits no caller."""
    return asyncio.create_task(work, context=Context())

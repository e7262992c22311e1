"""The calling end of `linkflow.wire.Calls`: the calls of a process to one peer share a stream and travel in batches.

A stream is used for `LIFETIME` seconds; then the next one is opened, perhaps to another replica, and calls under way
end on the old one.
"""

from __future__ import annotations

import asyncio
import time
from contextvars import Context
from typing import Any

import grpc
import msgspec

from linkflow.domain.errors import DeadlineExceeded, ErrorData, Internal, LinkFlowError, Unavailable, error_from

from .wire.call_pb2 import Answered, Asked

STREAM = "/linkflow.wire.Calls/Stream"
LIFETIME = 30.0
"""Seconds. The channel gives each new stream to the next replica."""
MOST_BYTES = 1024 * 1024
"""Bodies in one message; a larger one travels alone."""

_decode = msgspec.json.Decoder(ErrorData).decode


class NotStreamed(Exception):
    """The peer has no streams: it is of an older version. The call was not made."""


class Stream:
    """One stream: `open` while it takes calls, `over` when the last of them has ended."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self.open = True
        self.over = False
        self._rpc: Any = channel.stream_stream(STREAM, Asked.SerializeToString, Answered.FromString)()
        self._ends_at = time.monotonic() + LIFETIME
        self._last = 0
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._calls: list[Asked.One] = []
        self._cancelled: list[int] = []
        self._wake = asyncio.Event()
        # Tasks of the process, which inherit no caller from the request that happened to come first.
        self._tasks = [asyncio.create_task(work, context=Context()) for work in (self._read(), self._write())]

    @property
    def fresh(self) -> bool:
        """May new calls go over it?"""
        return self.open and time.monotonic() < self._ends_at

    async def call(self, service: str, method: str, body: bytes, token: str, seconds: float) -> bytes:
        """The answer's body. Raises the error tree, and `NotStreamed`."""
        self._last += 1
        id = self._last
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[id] = answer
        self._calls.append(Asked.One(id=id, service=service, method=method, body=body, token=token))
        self._wake.set()
        try:
            async with asyncio.timeout(seconds):
                return await answer
        except TimeoutError:
            raise DeadlineExceeded(f"{service}.{method}: no answer within {seconds:g} s.") from None
        finally:
            if self._waiting.pop(id, None) is not None:  # still asked for, and nobody waits
                self._cancelled.append(id)
                self._wake.set()

    def retire(self) -> None:
        """Take no new calls, and end when those under way have."""
        self.open = False
        self._wake.set()

    async def close(self) -> None:
        """End at once; who still waits gets `Unavailable`."""
        self._over(Unavailable("The connection was closed."))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._rpc.cancel()

    async def _write(self) -> None:
        try:
            while self.open or self._waiting or self._calls:
                await self._wake.wait()
                self._wake.clear()  # what was asked in the same turn of the loop travels together
                while self._calls or self._cancelled:
                    await self._rpc.write(self._message())
            await self._rpc.done_writing()
        except (grpc.aio.AioRpcError, asyncio.InvalidStateError, grpc.aio.UsageError):
            return  # the reader learns why

    def _message(self) -> Asked:
        size = count = 0
        for call in self._calls:
            size += len(call.body)
            if count and size > MOST_BYTES:
                break
            count += 1
        calls, self._calls = self._calls[:count], self._calls[count:]
        gone, self._cancelled = self._cancelled, []
        return Asked(calls=calls, cancelled=gone)

    async def _read(self) -> None:
        ending: Exception = Unavailable("The peer ended the connection.")
        try:
            async for message in self._rpc:
                for one in message.answers:
                    self._answered(one)
                if message.closing or (not self.open and not self._waiting):
                    self.retire()
        except grpc.aio.AioRpcError as error:
            # Whatever else a stream ends with (gRPC has an "internal error from core" for a call that broke off), its
            # calls have not been answered, and may be made again.
            missing = error.code() is grpc.StatusCode.UNIMPLEMENTED
            ending = NotStreamed() if missing else Unavailable(f"The connection broke: {error.details()}")
        except asyncio.CancelledError:
            ending = Unavailable("The connection was closed.")
        finally:
            self._over(ending)

    def _answered(self, one: Answered.One) -> None:
        answer = self._waiting.pop(one.id, None)
        if answer is None or answer.done():
            return
        if one.error:
            answer.set_exception(_error(one.error))
        else:
            answer.set_result(one.body)

    def _over(self, error: Exception) -> None:
        self.open, self.over = False, True
        self._wake.set()
        waiting, self._waiting = self._waiting, {}
        self._calls.clear()
        for answer in waiting.values():
            if not answer.done():
                answer.set_exception(error)


def _error(data: bytes) -> LinkFlowError:
    try:
        return error_from(_decode(data))
    except msgspec.MsgspecError:
        return Internal("The peer answered with an error that cannot be read.")

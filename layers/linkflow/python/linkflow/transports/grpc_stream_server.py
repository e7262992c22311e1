"""The serving end of `linkflow.wire.Calls`: many calls on one stream, each answered when it is done."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextvars import Context
from typing import Any, cast

import grpc

from linkflow.contracts.base import Server
from linkflow.domain.errors import NotFound, PayloadTooLarge

from .calls import own
from .grpc_errors import trailer
from .grpc_stream import MOST_BYTES
from .wire.call_pb2 import Answered, Asked

_log = logging.getLogger(__name__)


class Streams:
    """Every stream of one gRPC server."""

    def __init__(self, servers: Mapping[str, Server], max_answer: int) -> None:
        """`servers` by service name; an answer has at most `max_answer` bytes."""
        self._servers = servers
        self._max_answer = max_answer
        self._under_way: set[_Stream] = set()
        self._draining = False

    def drain(self) -> None:
        """Ask the clients to go elsewhere; what they asked already is answered."""
        self._draining = True
        for stream in self._under_way:
            stream.drain()

    def handler(self) -> grpc.GenericRpcHandler:
        """For `grpc.aio.Server.add_generic_rpc_handlers`."""
        rpc = grpc.stream_stream_rpc_method_handler(
            cast(Any, self._serve), cast(Any, Asked.FromString), Answered.SerializeToString
        )
        return grpc.method_handlers_generic_handler("linkflow.wire.Calls", {"Stream": rpc})

    async def _serve(self, messages: AsyncIterator[Asked], context: Any) -> None:
        stream = _Stream(self._servers, self._max_answer)
        self._under_way.add(stream)
        if self._draining:
            stream.drain()
        try:
            await stream.run(messages, context)
        finally:
            self._under_way.discard(stream)


class _Stream:
    def __init__(self, servers: Mapping[str, Server], max_answer: int) -> None:
        self._servers = servers
        self._max_answer = max_answer
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._answers: list[Answered.One] = []
        self._wake = asyncio.Event()
        self._ended = False
        self._closing = False

    def drain(self) -> None:
        self._closing = True
        self._wake.set()

    async def run(self, messages: AsyncIterator[Asked], context: Any) -> None:
        """Until the client has said all and got all. Where it is gone, so is its work."""
        reading = asyncio.create_task(self._read(messages), context=Context())
        try:
            await self._write(context)
        finally:
            reading.cancel()
            for task in list(self._tasks.values()):
                task.cancel()

    async def _read(self, messages: AsyncIterator[Asked]) -> None:
        try:
            async for message in messages:
                for call in message.calls:
                    task = asyncio.create_task(self._call(call), context=Context())
                    self._tasks[call.id] = task
                for id in message.cancelled:
                    if (gone := self._tasks.get(id)) is not None:
                        gone.cancel()
        except Exception as error:  # the connection is gone, and `run` is cancelled with it
            _log.debug("A stream of calls broke off: %s", error)
        finally:
            self._ended = True
            self._wake.set()

    async def _call(self, call: Asked.One) -> None:
        try:
            answer = Answered.One(id=call.id, body=await self._handle(call))
            self._answers.append(answer)
        except Exception as error:
            failure = own(error, call.service, call.method)
            self._answers.append(Answered.One(id=call.id, error=trailer(failure)))
        finally:
            self._tasks.pop(call.id, None)
            self._wake.set()

    async def _handle(self, call: Asked.One) -> bytes:
        server = self._servers.get(call.service)
        if server is None:
            raise NotFound(f"There is no {call.service} service here.")
        answer = await server.handle_bytes(call.method, call.body, call.token)
        if len(answer) > self._max_answer:
            raise PayloadTooLarge(f"An answer takes at most {self._max_answer} bytes; this one has {len(answer)}.")
        return answer

    async def _write(self, context: Any) -> None:
        told = False
        while self._tasks or self._answers or not self._ended:
            await self._wake.wait()
            self._wake.clear()  # what was done in the same turn of the loop travels together
            while self._answers or (self._closing and not told):
                message = self._message()
                message.closing = told = self._closing
                await context.write(message)

    def _message(self) -> Answered:
        size = count = 0
        for answer in self._answers:
            size += len(answer.body)
            if count and size > MOST_BYTES:
                break
            count += 1
        answers, self._answers = self._answers[:count], self._answers[count:]
        return Answered(answers=answers)

"""A small service for the transports' suite: it gives back what it gets, fails as told, and takes its time."""

from __future__ import annotations

import asyncio
import os
import time
from typing import Any, Protocol

from msgspec import Struct

from linkflow.config import load
from linkflow.contracts.base import Server, caller
from linkflow.domain.errors import ErrorData, error_from
from linkflow.transports.tokens import TokenSigner

SECRET = "a secret of at least thirty-two characters"


class Value(Struct, frozen=True):
    value: Any


class Size(Struct, frozen=True):
    bytes: int


class Pause(Struct, frozen=True):
    time: float
    wait: float = 0.0


class Workspace(Struct, frozen=True):
    id: str


class Errand(Struct, frozen=True):
    seconds: float = 0.0
    queues: tuple[str, ...] = ()


class EchoApi(Protocol):
    """Every way in which a call can go."""

    async def echo(self, request: Value) -> Value: ...
    async def grow(self, request: Size) -> Value: ...
    async def fail(self, request: ErrorData) -> Value: ...
    async def crash(self, request: Value) -> Value: ...
    async def pause(self, request: Pause) -> Value: ...
    async def block(self, request: Pause) -> Value: ...
    async def die(self, request: Value) -> Value: ...
    async def open_door(self, request: Workspace) -> Value: ...
    async def errand(self, request: Errand) -> Value: ...


class Echo:
    """Implements `EchoApi`."""

    def __init__(self) -> None:
        self.cancelled = asyncio.Event()
        self.errands: list[Errand] = []

    async def echo(self, request: Value) -> Value:
        return Value(request.value)

    async def grow(self, request: Size) -> Value:
        return Value("x" * request.bytes)

    async def fail(self, request: ErrorData) -> Value:
        raise error_from(request)

    async def crash(self, request: Value) -> Value:
        raise ZeroDivisionError("what nobody should read")

    async def pause(self, request: Pause) -> Value:
        try:
            await asyncio.sleep(request.time)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return Value(request.time)

    async def block(self, request: Pause) -> Value:
        time.sleep(request.time)  # noqa: ASYNC251 - a node that hangs the loop
        return Value(request.time)

    async def die(self, request: Value) -> Value:
        os._exit(3)

    async def open_door(self, request: Workspace) -> Value:
        caller().require("read", request.id)
        return Value([caller().workspace_id, sorted(caller().permissions), caller().actor])

    async def errand(self, request: Errand) -> Value:
        self.errands.append(request)
        return Value([request.seconds, list(request.queues), caller().actor, id(asyncio.get_running_loop())])


async def build(name: str) -> Server:
    """As `linkflow.bootstrap` builds a service for a Lambda."""
    return Server(EchoApi, Echo(), TokenSigner.of(load()))

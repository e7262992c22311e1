"""Worker: runs nodes. In a container it loops; on Lambda each invocation drains the queue for a while."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class DrainRequest(Struct, frozen=True, omit_defaults=True):
    """Run queued tasks until `seconds` have passed or nothing was due for `idle` seconds."""

    queues: tuple[str, ...] = ("default",)
    seconds: float = 25.0
    idle: float = 0.5


class DrainReply(Struct, frozen=True):
    tasks: int
    nodes: int


class PingRequest(Struct, frozen=True):
    pass


class PingReply(Struct, frozen=True):
    worker: str
    running: int


class WorkerApi(Protocol):
    """Stateless node runner."""

    async def drain(self, request: DrainRequest) -> DrainReply: ...
    async def ping(self, request: PingRequest) -> PingReply: ...

"""Worker: runs nodes. In a container it loops; on Lambda each invocation drains the queue for a while."""

from __future__ import annotations

from typing import Protocol

from msgspec import Struct


class DrainRequest(Struct, frozen=True, omit_defaults=True):
    """Run queued tasks until `seconds` have passed or nothing was due for `idle` seconds. `invitation` is what Matching
    knows this worker by until it asks for work."""

    queues: tuple[str, ...] = ("default",)
    seconds: float = 25.0
    idle: float = 0.5
    invitation: str = ""


class DrainReply(Struct, frozen=True):
    tasks: int
    nodes: int


class PingRequest(Struct, frozen=True):
    pass


class PingReply(Struct, frozen=True):
    worker: str
    running: int


class ProbeRequest(Struct, frozen=True, omit_defaults=True):
    """Use a credential now, outside of any run. `verb` is ``test`` (a light call), ``connect``: give an OAuth 2
    `code` for tokens, and keep them; or ``jwks``: the JWK Set that it names comes back as `message`."""

    workspace_id: str
    credential_id: str
    verb: str = "test"
    code: str = ""
    verifier: str = ""
    redirect_uri: str = ""
    url: str = ""
    """Where to try a kind that has no address of its own."""


class ProbeReply(Struct, frozen=True, omit_defaults=True):
    """How it went. `code` says what was wrong; nothing in it is secret."""

    ok: bool
    message: str
    code: str = ""
    duration_ms: int = 0


class WorkerApi(Protocol):
    """Stateless node runner."""

    async def drain(self, request: DrainRequest) -> DrainReply: ...
    async def ping(self, request: PingRequest) -> PingReply: ...
    async def probe(self, request: ProbeRequest) -> ProbeReply: ...

"""What looking after webhooks needs from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from .control_ports import Webhook


class Refusal(Struct, frozen=True):
    """A call that started no run. `at` is ms; `headers` JSON, without what may be secret; `size` the body's bytes."""

    id: str
    webhook_id: str
    at: int
    method: str
    path: str
    ip: str
    status: int
    code: str
    detail: str
    headers: bytes
    size: int


class Capture(Struct, frozen=True):
    """A call of the test address. `trigger` is what a run would have been given, as JSON."""

    id: str
    webhook_id: str
    at: int
    trigger: bytes


class HookCalls(Protocol):
    """Raises `Unavailable` while the database does not answer."""

    async def note(self, rows: Sequence[Refusal], older: int, most: int) -> None:
        """Keep these, and drop what is older (ms) or beyond so many of a webhook."""
        ...

    async def refusals(self, webhook_id: str, before: str, limit: int) -> list[Refusal]:
        """Newest first; `before` is the id after which the page starts, or empty."""
        ...

    async def of_workspace(self, workspace_id: str, workflow_id: str, before: str, limit: int) -> list[Webhook]:
        """Webhooks of a workspace, or of one workflow of it, by id; `before` is the id after which the page starts."""
        ...

    async def get(self, workspace_id: str, webhook_id: str) -> Webhook | None: ...
    async def switch(self, workspace_id: str, webhook_id: str, active: bool, at: int) -> bool: ...
    async def move(self, workspace_id: str, webhook_id: str, new_id: str, at: int) -> bool:
        """Give it another address. What was noted of the old one goes along."""
        ...

    async def listen(self, webhook_id: str, until: int, now: int) -> None:
        """Take calls of the test address until then (ms), and forget those of before."""
        ...

    async def capture(self, row: Capture, now: int, most: int) -> bool:
        """Keep it, if somebody listens and there are fewer than `most` since he began."""
        ...

    async def captures(self, webhook_id: str, limit: int) -> list[Capture]: ...

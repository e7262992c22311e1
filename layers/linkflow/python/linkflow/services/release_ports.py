"""Environments, releases and drafts as people see them, and the store they need for that. Times are ms."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct


class Environment(Struct, frozen=True):
    """A place where workflows run. In one that is not `active` nothing starts."""

    name: str
    description: str
    active: bool
    created_at: int = 0
    updated_at: int = 0


class Release(Struct, frozen=True):
    """A version came to run in an environment (empty: production). `source` is where it was promoted from."""

    number: int
    environment: str
    version: int
    verb: str
    source: str | None
    note: str
    at: int
    actor: str


class Running(Struct, frozen=True):
    """What runs in an environment. `active`: its webhooks and schedules are on. `release` is the latest there."""

    environment: str
    version: int
    active: bool
    release: Release | None = None


class DraftRow(Struct, frozen=True):
    definition: bytes
    base_version: int
    revision: int
    saved_at: int
    saved_by: str


class ReleaseStore(Protocol):
    """Where what runs. What runs itself is changed by `WorkflowStore.save`."""

    async def environments(self, workspace_id: str) -> list[Environment]:
        """Those besides production, by name."""
        ...

    async def add_environment(self, workspace_id: str, environment: Environment) -> bool:
        """False where the name is taken."""
        ...

    async def change_environment(self, workspace_id: str, environment: Environment) -> None:
        """One that is not active any more has everything in it switched off, in one transaction."""
        ...

    async def drop_environment(self, workspace_id: str, name: str) -> None:
        """With what is released in it, in one transaction."""
        ...

    async def running(self, workflow_id: str) -> list[Running]:
        """Production first."""
        ...

    async def releases(self, workflow_id: str, environment: str | None, before: int, limit: int) -> list[Release]:
        """Newest first, of one environment or of all; `before` 0 starts with the newest."""
        ...

    async def draft(self, workflow_id: str) -> DraftRow | None: ...
    async def put_draft(
        self, workflow_id: str, definition: bytes, base: int, at: int, actor: str, expected: Collection[int] | None
    ) -> int:
        """Its revision, or 0 where the one that is there is none of the `expected`."""
        ...

    async def drop_draft(self, workflow_id: str) -> bool: ...

"""What the control plane keeps, and the stores it needs for that. Adapters are in `linkflow.postgres`.

Ids are UUIDs in text, times ms since the epoch. A store raises `Unavailable` when it does not answer, and says "not
there" with None or False: what that means is for the services to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from msgspec import Struct

from .triggers import Cron, Hook, WebhookRules


class User(Struct, frozen=True):
    id: str
    email: str
    first_name: str
    last_name: str
    password_hash: str
    created_at: int
    email_verified_at: int = 0


class RefreshToken(Struct, frozen=True):
    """A refresh token as stored: its hash. `family` is the login it descends from."""

    hash: bytes
    family: str
    user_id: str
    created_at: int
    expires_at: int


class Workspace(Struct, frozen=True):
    """A workspace as one of its members sees it. `grants` and `role_id`: what his role allows and its id, where it is
    one of the workspace's own."""

    id: str
    name: str
    role: str
    created_at: int
    updated_at: int
    grants: tuple[str, ...] | None = None
    role_id: str = ""


class Deleted(Struct, frozen=True):
    """A workspace that was deleted, and can be restored until a time. Times are ms."""

    id: str
    name: str
    created_at: int
    deleted_at: int
    restore_until: int


class OwnRole(Struct, frozen=True):
    """A role by its name; `id` is empty where it is built in."""

    id: str
    name: str
    permissions: frozenset[str]


class Member(Struct, frozen=True):
    user_id: str
    email: str
    first_name: str
    last_name: str
    role: str
    joined_at: int
    grants: tuple[str, ...] | None = None


class Workflow(Struct, frozen=True):
    """`version` is what runs in production, `last_version` the newest there is; `lock_version` counts every change. One
    that is locked (`locked_at`) may not be changed; `locker` is the name of who did that."""

    id: str
    workspace_id: str
    name: str
    description: str
    active: bool
    version: int
    lock_version: int
    created_at: int
    updated_at: int
    last_version: int = 0
    folder_id: str = ""
    locked_at: int = 0
    locked_by: str = ""
    locker: str = ""
    lock_reason: str = ""


class WorkflowTag(Struct, frozen=True):
    id: str
    name: str
    color: str


class WorkflowVersion(Struct, frozen=True):
    version: int
    created_at: int
    created_by: str
    summary: str = ""
    author: str = ""


class TriggerRow(Struct, frozen=True):
    """A webhook or schedule of a workflow as it stands: `webhook_id` or `cron` is set."""

    node_id: str
    webhook_id: str = ""
    path: str = ""
    cron: str = ""
    timezone: str = ""
    next_at: int | None = None
    active: bool = False
    environment: str = ""


class Webhook(Struct, frozen=True):
    id: str
    workflow_id: str
    node_id: str
    workspace_id: str
    workflow_version: int
    active: bool
    rules: WebhookRules


class Change(Struct, frozen=True):
    """A change of a workflow, with what starts it: written in one transaction, if its lock version still is `expected`.

    `expected` 0 creates it. `definition` becomes version `number` (0: `version`); empty adds no version.
    `version` and `active` are what is to be in `environment`, where `hooks` and `crons` are all there are: others there
    are switched off. Without `triggers` nothing runs differently. `verb` says by what `version` came to run there.
    """

    id: str
    workspace_id: str
    name: str
    description: str
    active: bool
    version: int
    expected: int
    at: int
    actor: str
    hooks: tuple[Hook, ...]
    crons: tuple[Cron, ...]
    definition: bytes = b""
    number: int = 0
    summary: str = ""
    environment: str = ""
    triggers: bool = True
    verb: str = ""
    source: str | None = None
    note: str = ""
    drops_draft: bool = False
    node_types: tuple[str, ...] = ()
    like: str = ""
    """A workflow whose folder and tags a new one gets."""


class Reply(Struct, frozen=True):
    """A stored answer; `status` 0 means that the first call is still under way."""

    fingerprint: bytes
    status: int
    headers: dict[str, str]
    body: bytes


class UserStore(Protocol):
    async def register(self, user: User, workspace_id: str, workspace_name: str) -> bool:
        """Add a user and the first workspace that he owns; false if the e-mail address is taken."""
        ...

    async def by_email(self, email: str) -> User | None: ...
    async def by_id(self, user_id: str) -> User | None: ...
    async def rehash(self, user_id: str, password_hash: str) -> None: ...
    async def open_session(self, token: RefreshToken, method: str, ip: str, user_agent: str) -> None: ...
    async def rotate(
        self, old: bytes, new_hash: bytes, at: int, expires_at: int, ip: str = "", user_agent: str = ""
    ) -> RefreshToken | None:
        """Use up a token and put its successor in its place, in one transaction. None if it is unknown, expired or was
        used before; in the last case the whole family is revoked."""
        ...

    async def revoke(self, family: str) -> None: ...


class Entering(NamedTuple):
    """Who asks for a workspace, and by which session. All are UUIDs."""

    workspace_id: str
    user_id: str
    family: str


class WorkspaceStore(Protocol):
    async def add(self, workspace_id: str, name: str, owner: str, at: int) -> None: ...
    async def of_user(self, user_id: str) -> list[Workspace]: ...
    async def get(self, workspace_id: str, user_id: str) -> Workspace | None:
        """None as well where the user is no member."""
        ...

    async def enter(self, callers: Sequence[Entering]) -> list[tuple[bool, Workspace | None]]:
        """For each caller: is the session alive, and `get`. One look for all."""
        ...

    async def plain(self, workspace_id: str) -> Workspace | None:
        """As its own keys see it: without a role."""
        ...

    async def own_role(self, workspace_id: str, name: str) -> OwnRole | None: ...
    async def rename(self, workspace_id: str, name: str, at: int) -> None: ...
    async def delete(self, workspace_id: str, at: int) -> None:
        """Mark as deleted, with all workflows, and switch off what starts them."""
        ...

    async def deleted(self, user_id: str, grace_ms: int) -> list[Deleted]:
        """Those of which somebody is an owner, and whose purge has not begun; the last one first."""
        ...

    async def restore(self, workspace_id: str, user_id: str, at: int) -> int | None:
        """One of those: how many workflows came back with it. None where it is none of those."""
        ...

    async def members(self, workspace_id: str) -> list[Member]: ...
    async def put_member(self, workspace_id: str, user_id: str, role: str, at: int, role_id: str = "") -> bool:
        """Add a member or change the role (`role_id`: one of the workspace's own); false if that would leave the
        workspace without an owner."""
        ...

    async def remove_member(self, workspace_id: str, user_id: str) -> bool:
        """False if that would leave the workspace without an owner."""
        ...


class WorkflowStore(Protocol):
    async def page(self, workspace_id: str, active: bool | None, before: str, limit: int) -> list[Workflow]:
        """Newest first; `before` is the id after which the page starts, or empty."""
        ...

    async def get(self, workspace_id: str, workflow_id: str) -> Workflow | None: ...
    async def running(self, workspace_id: str, workflow_id: str, environment: str) -> tuple[int, bool] | None:
        """The version that runs in an environment besides production (0: none), and whether anything may start there.
        None where there is no such environment."""
        ...

    async def definition(self, workflow_id: str, version: int) -> bytes | None: ...
    async def versions(self, workflow_id: str, before: int, limit: int) -> list[WorkflowVersion]:
        """Newest first; `before` 0 starts with the newest."""
        ...

    async def triggers(self, workflow_ids: Sequence[str]) -> dict[str, list[TriggerRow]]: ...
    async def named(self, workspace_id: str, names: Sequence[str]) -> dict[str, str]:
        """The oldest workflow of each of these names."""
        ...

    async def tags(self, workflow_ids: Sequence[str]) -> dict[str, tuple[WorkflowTag, ...]]: ...
    async def save(self, change: Change) -> bool:
        """False, with nothing written, if somebody else changed the workflow first."""
        ...

    async def delete(self, workflow_id: str, expected: int, at: int) -> bool: ...


class WebhookStore(Protocol):
    async def find(self, webhook_ids: Sequence[str]) -> dict[str, Webhook]:
        """Those that there are, by id."""
        ...


class ReplyStore(Protocol):
    """Answers to calls that carried an idempotency key."""

    async def claim(self, workspace_id: str, key: str, fingerprint: bytes, at: int, until: int) -> Reply | None:
        """Take the key until then; if it is taken, what is stored under it."""
        ...

    async def keep(self, workspace_id: str, key: str, reply: Reply, until: int) -> None: ...
    async def drop(self, workspace_id: str, key: str) -> None: ...

"""What is kept of people and teams beside users and members, and the stores for it: adapters in `linkflow.postgres`.

Ids are UUIDs in text, times ms since the epoch, hashes SHA-256.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct

from .control_ports import User


class SignIn(Struct, frozen=True):
    """A session as its user sees it. `method` is ``password`` or a provider's name."""

    id: str
    user_id: str
    method: str
    ip: str
    user_agent: str
    created_at: int
    last_used_at: int


class Sent(Struct, frozen=True):
    """A token that was handed out for one use, as stored."""

    hash: bytes
    user_id: str
    purpose: str
    detail: str
    created_at: int
    expires_at: int


class AccountStore(Protocol):
    """What people change about themselves. Each verb is one transaction."""

    async def alive(self, family: str) -> bool:
        """Does this session still have refresh tokens?"""
        ...

    async def sessions(self, user_id: str, at: int) -> list[SignIn]: ...
    async def end_sessions(self, user_id: str, but: str = "") -> int:
        """All but one; returns how many there were."""
        ...

    async def end_session(self, user_id: str, id: str) -> bool: ...
    async def rename(self, user: User) -> None: ...
    async def send(self, token: Sent) -> None:
        """Keep a token; earlier ones for the same purpose are worth nothing any more."""
        ...

    async def sent(self, hash: bytes, purpose: str, at: int) -> Sent | None: ...
    async def verify(self, hash: bytes, at: int) -> str:
        """Use up a token for ``verify``; the user whose address is verified now, or nothing."""
        ...

    async def reset(self, hash: bytes, password_hash: str, at: int) -> str:
        """Use up a token for ``reset``: the password is another, the address verified, all sessions over. Where the
        address was not verified before, keys, accounts at providers and a second factor go as well."""
        ...

    async def take(self, hash: bytes, purpose: str, at: int) -> Sent | None:
        """Use up a token."""
        ...

    async def set_password(self, user_id: str, password_hash: str, but: str | None) -> None:
        """`but` is the one session that stays; None: all of them stay."""
        ...

    async def sole_owner_of(self, user_id: str) -> list[tuple[str, str]]:
        """Workspaces (id, name) that would be left without an owner."""
        ...

    async def delete(self, user_id: str) -> bool:
        """False, with nothing deleted, where a workspace would be left without an owner."""
        ...


class FailureStore(Protocol):
    """Failed attempts to sign in, by key."""

    async def locked_until(self, key: bytes) -> int: ...
    async def failed(self, key: bytes, at: int, free: int, first_ms: int, longest_ms: int, forget_ms: int) -> int:
        """Count a failure; until when the key is locked now. From the `free`th on that is twice as long each time."""
        ...

    async def clear(self, key: bytes) -> None: ...


class Factor(Struct, frozen=True):
    """A second factor; `secret` is encrypted. `confirmed_at` 0: it is being set up."""

    secret: bytes
    confirmed_at: int
    last_step: int
    codes_left: int


class FactorStore(Protocol):
    async def get(self, user_id: str) -> Factor | None: ...
    async def begin(self, user_id: str, secret: bytes, at: int) -> bool:
        """Set one up anew; false where a confirmed one is there."""
        ...

    async def confirm(self, user_id: str, step: int, codes: Sequence[bytes], at: int) -> bool: ...
    async def use_step(self, user_id: str, step: int) -> bool:
        """Take a code of this time step; false where that or a later one was taken."""
        ...

    async def use_code(self, user_id: str, hash: bytes) -> bool: ...
    async def replace_codes(self, user_id: str, codes: Sequence[bytes]) -> None: ...
    async def remove(self, user_id: str) -> None: ...


class Linked(Struct, frozen=True):
    """An account at a provider by which its user signs in."""

    provider: str
    subject: str
    user_id: str
    email: str
    created_at: int
    last_used_at: int


class Attempt(Struct, frozen=True):
    """A sign-in on its way through a provider. `user_id`: who links the account, if anybody. `challenge`: what the
    code at the end is bound to (RFC 7636, S256), if anything."""

    hash: bytes
    browser: bytes
    provider: str
    nonce: str
    verifier: str
    redirect: str
    user_id: str
    expires_at: int
    challenge: str = ""


class IdentityStore(Protocol):
    async def begin(self, attempt: Attempt, at: int) -> None: ...
    async def finish(self, hash: bytes, browser: bytes, provider: str, at: int) -> Attempt | None:
        """Use up an attempt of this browser."""
        ...

    async def find(self, provider: str, subject: str, at: int) -> str:
        """The user who signs in by this account, or nothing."""
        ...

    async def link(self, linked: Linked, verified: bool = False) -> bool:
        """False where somebody else has it. `verified`: the provider vouches for the user's own address."""
        ...

    async def register(self, user: User, workspace_id: str, workspace_name: str, linked: Linked) -> bool:
        """A new user with a verified address; false where the address is taken."""
        ...

    async def of_user(self, user_id: str) -> list[Linked]: ...
    async def unlink(self, user_id: str, provider: str) -> bool: ...


class Role(Struct, frozen=True):
    """A role of a workspace's own. `members` is how many have it."""

    id: str
    name: str
    permissions: tuple[str, ...]
    created_at: int
    updated_at: int
    members: int = 0


class Invitation(Struct, frozen=True):
    """`role` is a name, also of a role of the workspace's own (`role_id`)."""

    id: str
    workspace_id: str
    email: str
    role: str
    role_id: str
    invited_by: str
    created_at: int
    expires_at: int
    workspace_name: str = ""
    inviter: str = ""


class Key(Struct, frozen=True):
    """An API key, as anybody may see it. `user_id` empty: the workspace's own."""

    id: str
    hint: str
    name: str
    user_id: str
    workspace_id: str
    permissions: tuple[str, ...]
    created_by: str
    created_at: int
    expires_at: int
    last_used_at: int = 0
    last_used_ip: str = ""


class TeamStore(Protocol):
    """Roles, invitations and keys of a workspace."""

    async def roles(self, workspace_id: str) -> list[Role]: ...
    async def add_role(self, workspace_id: str, role: Role) -> bool:
        """False where the name is taken."""
        ...

    async def update_role(self, workspace_id: str, role: Role) -> bool: ...
    async def delete_role(self, workspace_id: str, id: str) -> bool:
        """False where a member has it."""
        ...

    async def invite(self, invitation: Invitation, token_hash: bytes) -> None:
        """Replaces an earlier one for the same address."""
        ...

    async def invitations(self, workspace_id: str, at: int) -> list[Invitation]: ...
    async def invitation(self, token_hash: bytes, at: int) -> Invitation | None: ...
    async def withdraw(self, workspace_id: str, id: str) -> bool: ...
    async def accept(self, invitation: Invitation, user_id: str, verified: bool, at: int) -> bool:
        """False where it was used, withdrawn or replaced meanwhile. Whoever is a member already stays what he is."""
        ...

    async def transfer(self, workspace_id: str, owner: str, heir: str) -> bool:
        """`heir` becomes owner, `owner` an admin; false where one of them is not what he has to be."""
        ...

    async def add_key(self, key: Key, hash: bytes) -> None: ...
    async def find_key(self, hash: bytes) -> Key | None: ...
    async def used_key(self, id: str, at: int, ip: str) -> None: ...
    async def keys_of_user(self, user_id: str) -> list[Key]: ...
    async def keys_of_workspace(self, workspace_id: str) -> list[Key]: ...
    async def delete_key(self, id: str, *, user_id: str = "", workspace_id: str = "") -> bool: ...

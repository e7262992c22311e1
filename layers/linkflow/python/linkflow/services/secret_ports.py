"""What credentials and variables need from outside, and what is stored of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from msgspec import Struct

from linkflow.contracts.secrets import SealedCredential, SealedVariable
from linkflow.sealed import Sealed

READY, CONNECTED, UNCONNECTED, REVOKED = "ready", "connected", "not_connected", "revoked"
"""Where a credential stands. `ready`: it needs nobody's consent. `revoked`: the other side takes its tokens no more."""


class Keyring(Protocol):
    """Master keys. They never leave their place; data keys are wrapped and unwrapped there."""

    remote: bool
    """Asking costs a call, so what was unwrapped may be kept for a short while."""

    async def current(self) -> str:
        """The id of the key that wraps what is new."""
        ...

    async def wrap(self, key: bytes) -> tuple[str, bytes]:
        """The current key's id, and the data key wrapped by it. Raises `Unavailable`."""
        ...

    async def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        """Raises `BadSeal`, `KeyError` for a key that this ring has not, `Unavailable`."""
        ...

    async def rotate(self) -> str:
        """Make a new current key, where that is ours to do. Raises `Conflict` where it is not."""
        ...

    async def drop(self, key_id: str) -> None:
        """Forget a key that nothing needs any more. Raises `Conflict` where it is the current one, or not ours."""
        ...


Brief = tuple[str, str, str, str, tuple[str, ...], tuple[str, ...]]
"""Of a credential: id, name, slug, kind, roles, and their names."""


class Credential(Struct, frozen=True):
    """A credential as its people see it. `shown` has the fields that are no secret, and of secrets whether they are set
    and, of long ones, the last four characters. `roles`: who may use it, roles of the workspace's own by id; empty is
    everybody. `role_names`: what they are called; one that is gone is its id. Times are ms."""

    id: str
    workspace_id: str
    name: str
    kind: str
    description: str
    hosts: tuple[str, ...]
    roles: tuple[str, ...]
    shown: dict[str, Any]
    status: str
    status_at: int
    status_detail: str
    expires_at: int
    version: int
    lock_version: int
    created_by: str
    created_at: int
    updated_at: int
    key_id: str = ""
    role_names: tuple[str, ...] = ()


class CredentialRow(Struct, frozen=True):
    """What is written. `sealed` is None where the secret part stays as it is."""

    credential: Credential
    slug: str
    sealed: Sealed | None = None


class Rewrap(Struct, frozen=True):
    """Something sealed, as the rotation of keys finds it."""

    table: str  # credentials | variables
    id: str
    about: str
    tokens_about: str
    sealed: Sealed | None
    tokens: Sealed | None
    version: int
    tokens_version: int


class CredentialStore(Protocol):
    """Raises `Unavailable` while the database does not answer."""

    async def page(self, workspace_id: str, kind: str, before: str, limit: int) -> list[Credential]:
        """Newest first; `before` is the id after which the page starts."""
        ...

    async def get(self, workspace_id: str, id: str) -> Credential | None: ...
    async def insert(self, row: CredentialRow) -> bool:
        """False where the workspace has one with such a name."""
        ...

    async def update(self, row: CredentialRow, expected: int) -> str:
        """``ok``, ``taken`` (the name) or ``stale``."""
        ...

    async def delete(self, workspace_id: str, id: str) -> bool: ...
    async def sealed(
        self, workspace_id: str, ids: Sequence[str] = (), slugs: Sequence[str] = ()
    ) -> list[SealedCredential]: ...
    async def briefs(self, workspace_id: str, ids: Sequence[str], slugs: Sequence[str]) -> list[Brief]:
        """Of those that there are."""
        ...

    async def uses(
        self, workspace_id: str, spelt: Sequence[str], before: str, limit: int
    ) -> list[tuple[str, str, bool, bool]]:
        """A page of the workspace's workflows, newest first: id, name, active, and whether it says one of the two
        texts."""
        ...

    async def claim(self, workspace_id: str, id: str, holder: str, now: int, until: int) -> bool:
        """Take the right to fetch new tokens. False while another one has it."""
        ...

    async def keep_tokens(
        self, workspace_id: str, id: str, holder: str, expected: int, tokens: Sealed | None, status: str, detail: str,
        now: int,
    ) -> bool:  # fmt: skip
        """Write new tokens (None: those that are there stay) and the status, and give the right back. False where
        somebody else wrote first."""
        ...


class Variable(Struct, frozen=True):
    """A variable as its people see it; `value` is empty where it is secret. Environment "" means every one."""

    id: str
    workspace_id: str
    environment: str
    key: str
    value: str
    secret: bool
    description: str
    version: int
    lock_version: int
    created_at: int
    updated_at: int
    key_id: str = ""
    role_names: tuple[str, ...] = ()


class VariableStore(Protocol):
    """Raises `Unavailable` while the database does not answer."""

    async def page(self, workspace_id: str, environment: str | None, before: str, limit: int) -> list[Variable]: ...
    async def get(self, workspace_id: str, id: str) -> Variable | None: ...
    async def count(self, workspace_id: str) -> int: ...
    async def insert(self, row: Variable, sealed: Sealed | None, actor: str) -> bool:
        """False where there is one with this key for the environment."""
        ...

    async def update(self, row: Variable, sealed: Sealed | None, expected: int) -> str:
        """``ok``, ``taken`` or ``stale``. Without `sealed` a secret value stays as it is."""
        ...

    async def delete(self, workspace_id: str, id: str) -> bool: ...
    async def plain(self, workspace_id: str, environment: str, keys: Sequence[str] | None) -> dict[str, str]:
        """Values that are no secret; those of the environment before those of all. `keys` None is every one."""
        ...

    async def sealed(self, workspace_id: str, environment: str, keys: Sequence[str]) -> list[SealedVariable]: ...


class RotationStore(Protocol):
    """All that is sealed, over all workspaces."""

    async def after(self, table: str, id: str, limit: int) -> list[Rewrap]:
        """A page in the order of ids."""
        ...

    async def rewrap(self, before: Rewrap, sealed: Sealed | None, tokens: Sealed | None) -> bool:
        """False where somebody else wrote first."""
        ...

    async def keys(self) -> dict[str, int]:
        """How many sealed texts each key has."""
        ...

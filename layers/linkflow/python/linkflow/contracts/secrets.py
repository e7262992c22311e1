"""Secrets on their way to a worker: always sealed. They are opened there, at the moment of use."""

from __future__ import annotations

from msgspec import Struct

from linkflow.sealed import Sealed


class SealedCredential(Struct, frozen=True, omit_defaults=True):
    """`sealed` holds the fields as JSON, `tokens` (of OAuth 2) what the other side gave last. `hosts`: it may be used
    for these alone, where there are any. `expires_at` is ms, 0 never."""

    id: str
    workspace_id: str
    name: str
    slug: str
    kind: str
    version: int
    sealed: Sealed
    hosts: tuple[str, ...] = ()
    expires_at: int = 0
    status: str = ""
    tokens: Sealed | None = None
    tokens_version: int = 0


class SealedVariable(Struct, frozen=True):
    id: str
    workspace_id: str
    key: str
    version: int
    sealed: Sealed


class SecretsRequest(Struct, frozen=True, omit_defaults=True):
    """A worker asks for what nodes of a workspace refer to: credentials by id or by name (`slugs`), secret variables by
    key, as they are in an environment."""

    workspace_id: str
    ids: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    environment: str = ""


class SecretsReply(Struct, frozen=True, omit_defaults=True):
    """Those that there are, in this workspace."""

    credentials: tuple[SealedCredential, ...] = ()
    variables: tuple[SealedVariable, ...] = ()


class TokensRequest(Struct, frozen=True, omit_defaults=True):
    """OAuth 2 tokens of a credential. `claim`: ask for the right to fetch new ones, for 30 seconds. `keep`: what came,
    and how the credential stands now; gives the right back. `expected` is the version of the tokens that the worker
    knows."""

    workspace_id: str
    id: str
    verb: str
    holder: str
    expected: int = 0
    tokens: Sealed | None = None
    status: str = ""
    detail: str = ""


class TokensReply(Struct, frozen=True, omit_defaults=True):
    """Whether that was done, and the credential as it is now."""

    done: bool
    credential: SealedCredential | None = None


def credential_about(workspace_id: str, id: str, version: int) -> str:
    """What a credential's fields are sealed for."""
    return f"credential/{workspace_id}/{id}/{version}"


def tokens_about(workspace_id: str, id: str, version: int) -> str:
    """What a credential's tokens are sealed for."""
    return f"tokens/{workspace_id}/{id}/{version}"


def variable_about(workspace_id: str, id: str, version: int) -> str:
    """What a variable's value is sealed for."""
    return f"variable/{workspace_id}/{id}/{version}"

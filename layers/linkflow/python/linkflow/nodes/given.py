"""A credential as a node is given it: its fields, and what keeps its tokens."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from linkflow.nodes.kinds import find

Ask = Callable[[str], Awaitable[Mapping[str, Any]]]
"""Asks for new tokens with a refresh token; the answer is that of RFC 6749, 5.1."""

URL_FIELDS = (
    "token_url",
    "authorize_url",
    "base_url",
    "webhook_url",
    "connection_string",
    "url",
    "endpoint",
    "jwks_url",
)
"""Fields that say where a credential is at home."""


class Tokens(Protocol):
    """Tokens of OAuth 2 that are stored with their credential, and renewed by one worker at a time."""

    async def token(self, ask: Ask) -> str:
        """An access token that is valid now. Raises `NodeFailure` ``oauth_refused``, and what `ask` raises."""
        ...

    def forget(self) -> bool:
        """The latest one was refused: the next is to be a new one. False where none was given out."""
        ...


class Given(dict[str, Any]):
    """The fields of a credential; `tokens` is None where its kind has none."""

    def __init__(self, kind: str, fields: Mapping[str, Any], tokens: Tokens | None = None) -> None:
        super().__init__({**fields, "kind": kind})
        self.kind = kind
        self.tokens = tokens


def secrets_of(kind: str, fields: Mapping[str, Any]) -> Iterator[str]:
    """The values of a credential that nobody may see. Of a kind that is unknown here all are."""
    model = find(kind)
    names = model.secret_fields() if model else frozenset(fields)
    for name in names:
        value = fields.get(name)
        if isinstance(value, str) and value:
            yield value
            yield from _in_url(value)


def _in_url(value: str) -> Iterator[str]:
    if "://" not in value:
        return
    try:
        parts = urlsplit(value)
    except ValueError:
        return
    if parts.password:
        yield parts.password
        yield unquote(parts.password)
    if len(parts.path) >= 16:
        yield parts.path


def home_of(fields: Mapping[str, Any]) -> Iterator[str]:
    """Hosts that a credential names itself."""
    for name in URL_FIELDS:
        value = fields.get(name)
        if isinstance(value, str) and "://" in value:
            try:
                host = urlsplit(value).hostname
            except ValueError:
                continue
            if host:
                yield host
    if isinstance(host := fields.get("host"), str) and host:
        yield host


def takes_secrets(type: Any) -> bool:
    """May parameters of this node type hold `credential.NAME.field`, or a secret variable? Those of types that have an
    effect outside may; what only computes would hand them on."""
    return not type.pure and type.category in ("action", "message", "ai") and type.type != "action_code"


def any_of(groups: Iterable[Iterable[str]]) -> tuple[tuple[str, ...], ...]:
    """Groups that say something."""
    return tuple(found for group in groups if (found := tuple(group)))

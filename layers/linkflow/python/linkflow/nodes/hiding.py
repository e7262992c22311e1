"""Secrets that a peer sends back, or that stand in an address, are taken out of what a node says."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import msgspec

from linkflow.nodes.base import NodeFailure

HIDDEN = "[secret]"
SHORTEST = 6
"""Shorter values are left: they would take words apart that have nothing to do with them."""

LONG = 12
"""Parts of an address that are this long are taken for secrets of their own."""


class Hiding:
    """Takes these values, and the ways in which they are spelt in addresses and headers, out of texts."""

    def __init__(self, values: Iterable[str]) -> None:
        spelt = {form for value in values for form in _forms(value) if len(form) >= SHORTEST}
        self._forms = sorted(spelt, key=len, reverse=True)

    def text(self, text: str) -> str:
        """`text` without them."""
        for form in self._forms:
            text = text.replace(form, HIDDEN)
        return text

    def value(self, value: Any) -> Any:
        """JSON without them, in names too."""
        if not self._forms:
            return value
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(str(name)): self.value(item) for name, item in value.items()}
        return [self.value(item) for item in value] if isinstance(value, list | tuple) else value

    def failure(self, failure: NodeFailure) -> NodeFailure:
        """The same failure without them."""
        error = failure.error
        failure.error = msgspec.structs.replace(
            error, message=self.text(error.message), details=self.value(error.details or {})
        )
        failure.args = (failure.error.message,)
        return failure


def secrets_in(secrets: Mapping[str, Any]) -> Iterator[str]:
    """Values of a credential, or of a node's own config, that are secret by their names."""
    for name, value in secrets.items():
        if name in _secret_fields() and isinstance(value, str) and value:
            yield value


@cache
def _secret_fields() -> frozenset[str]:
    from linkflow.nodes.credentials import KINDS

    return frozenset(
        key
        for kind in KINDS.values()
        for name, info in kind.model_fields.items()
        if isinstance(info.json_schema_extra, dict) and info.json_schema_extra.get("writeOnly")
        for key in (name, info.alias or name)
    )


def _forms(value: str) -> Iterator[str]:
    yield value
    yield quote(value, safe="")
    yield quote(value)
    # Base64 of a text that stands by itself, and behind a user's name, is cut where its neighbours do not count.
    data = value.encode()
    for shift in range(3):
        coded = base64.b64encode(b"\0" * shift + data)
        yield coded[(0, 2, 3)[shift] : len(coded) - (4 if (shift + len(data)) % 3 else 0)].decode()
    if value.startswith(("http://", "https://")):  # an address that lets in whoever knows it
        yield from _of_address(value)


def _of_address(value: str) -> Iterator[str]:
    """What of an address is a secret by itself: all but its host."""
    try:
        parts = urlsplit(value)
        yield from (parts.path, parts.query, parts.password or "")
        yield from (segment for segment in parts.path.split("/") if len(segment) >= LONG)
        yield from (found for _, found in parse_qsl(parts.query) if len(found) >= LONG)
        _ = parts.port
    except ValueError:  # no address: what is told of it may be any part
        yield value.partition("//")[2].partition("/")[0].rpartition(":")[2]

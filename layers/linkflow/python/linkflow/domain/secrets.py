"""What a definition refers to outside of itself: credentials and variables. Told from its texts, without running them.

It may name more than is read in the end (a word in capitals may be a variable), never less.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from msgspec import Struct

from .definition import TRIGGERS, Definition, Node
from .ids import is_uuid

KEY = re.compile(r"[A-Z][A-Z0-9_]{0,99}")
"""How a variable is called."""

_BARE_FIELDS = frozenset(("expression", "field", "condition"))
"""Config fields that hold an expression without braces."""

_WORD = re.compile(r"(?<![\w.$])[A-Z][A-Z0-9_]{0,99}(?![\w$(])")
_MEMBER = re.compile(r"(?<![\w.$])(?:vars|env)\s*(?:\?\.|\.)\s*([A-Z][A-Z0-9_]{0,99})(?![\w$])")
_WHOLE = re.compile(r"(?<![\w.$])(?:vars|env)\b(?!\s*(?:\?\.|\.)\s*[A-Z])")
_CREDENTIAL = re.compile(r"(?<![\w.$])credential\s*(?:\?\.|\.)\s*([A-Za-z_$][\w$]*)")
_NAMES = frozenset(("JSON", "NaN"))


class Refs(Struct, frozen=True, omit_defaults=True):
    """`credentials` are ids, or names that were not found when it was saved; `slugs` are names in expressions.
    `every` is True where an expression takes the variables as a whole."""

    credentials: tuple[str, ...] = ()
    slugs: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()
    every: bool = False

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(id for id in self.credentials if is_uuid(id))

    @property
    def wants_variables(self) -> bool:
        return self.every or bool(self.variables)

    @property
    def wants_credentials(self) -> bool:
        return bool(self.credentials or self.slugs)


def slug_of(name: str) -> str:
    """A credential's name as expressions spell it: ``Stripe key`` is ``stripe_key``. Empty where nothing is left."""
    text = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    return f"_{text}" if text[:1].isdigit() else text


def refs_of(definition: Definition) -> Refs:
    """What the nodes of a definition refer to."""
    return refs_in(node for node in definition.nodes if not node.disabled) if definition.nodes else Refs()


def refs_in(nodes: Iterator[Node]) -> Refs:
    """What these nodes refer to."""
    credentials: dict[str, None] = {}
    slugs: set[str] = set()
    variables: set[str] = set()
    own: set[str] = set()
    every = False
    for node in nodes:
        own |= {node.id, node.name}
        credentials |= dict.fromkeys(node.credentials.values())
        if node.type in TRIGGERS:
            continue
        for text, bare in _texts(node.config):
            slugs |= set(_CREDENTIAL.findall(text)) if "credential" in text else set()
            variables |= set(_WORD.findall(text)) if bare or "{{" in text else set()
            if "vars" in text or "env" in text:
                variables |= set(_MEMBER.findall(text))
                every = every or (("{{" in text or bare) and bool(_WHOLE.search(text)))
    return Refs(tuple(credentials), tuple(sorted(slugs)), tuple(sorted(variables - own - _NAMES)), every)


def _texts(value: Any, bare: bool = False) -> Iterator[tuple[str, bool]]:
    """Texts that may hold expressions, and whether such need no braces there."""
    if isinstance(value, str):
        if bare or "{{" in value or "vars" in value or "env" in value or "credential" in value:
            yield value, bare
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _texts(item, bare or name in _BARE_FIELDS)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item, bare)

"""What checking a definition needs to know about node types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from linkflow.domain.errors import Problem


class Catalogue(Protocol):
    """The node types there are. `type` is always a canonical name, but for `canonical` itself; `version` 0 is the
    newest."""

    def canonical(self, name: str) -> str | None:
        """The type that `name` is or is an alias of; None where there is none."""
        ...

    def names(self) -> Iterable[str]:
        """All canonical names."""
        ...

    def versions(self, type: str) -> tuple[int, ...]:
        """The versions of a type that can be run."""
        ...

    def check(self, type: str, config: Mapping[str, Any], version: int = 0) -> list[Problem]:
        """Faults of an unresolved config. Paths are relative to it: ``/url``; empty for the config as a whole."""
        ...

    def outputs(self, type: str, config: Mapping[str, Any], version: int = 0) -> tuple[str, ...]:
        """Names of the outputs that a node with this config has, without ``error``. Asked for valid configs only."""
        ...

    def literal_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        """Config fields in which ``{{`` means nothing, such as code."""
        ...

    def expression_fields(self, type: str, version: int = 0) -> tuple[str, ...]:
        """Dotted names of config fields that always hold an expression, without braces too.

        A name leads through lists to their items. What only holds an expression within braces is not among them.
        """
        ...

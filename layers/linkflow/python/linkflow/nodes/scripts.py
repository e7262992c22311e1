"""What runs scripts, as nodes and workers know it: a place outside of this process that can do nothing but compute."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from msgspec import Struct

Language = Literal["javascript", "python"]
Kind = Literal["error", "timeout", "memory", "stack", "output", "crash"]
"""Why a script failed: its own error, or a limit; ``crash`` is an engine that died of it."""


class Part(Struct, frozen=True):
    """A script that a node's config holds. `field` are the names its config field may have, the one in use first;
    `names` are what it sees as a function's parameters."""

    field: tuple[str, ...]
    language: Language
    code: str
    names: tuple[str, ...] = ()


class ScriptError(Struct, frozen=True, omit_defaults=True):
    """`line` and `column` count from 1; 0 where there is none."""

    kind: Kind
    message: str
    line: int = 0
    column: int = 0


class Ran(Struct, frozen=True, omit_defaults=True):
    """What a script came to: `value` is JSON; `logs` are the lines it wrote, of which `dropped` were too many."""

    value: Any = None
    error: ScriptError | None = None
    logs: tuple[str, ...] = ()
    dropped: int = 0


class Scripts(Protocol):
    """Runs scripts within limits. What goes wrong in a script is part of the answer, never raised.

    `now` (ISO 8601) and `seed` (from 0 up to 1) are all that a script learns of time and chance.
    Raises `NodeFailure` ``no_engine`` where the language is not installed, ``engine_failed`` where no process starts.
    """

    async def expressions(self, codes: Sequence[tuple[str, Mapping[str, Any]]], *, now: str, seed: float) -> list[Ran]:
        """Evaluate compiled expressions (`domain.expressions.script`), each over its data."""
        ...

    async def run(
        self, language: Language, code: str, names: Mapping[str, Any], *, items: Sequence[Any] | None = None, now: str,
        seed: float, seconds: float,
    ) -> Ran:  # fmt: skip
        """Run a script that sees `names`, for at most `seconds`; with `items` once for each of them, as `item` with
        its `index`, and the value is the list of results. In JavaScript `$input` is `input`, and `$json` that or the
        item."""
        ...

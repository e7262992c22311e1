"""What can go wrong with an expression: it does not parse (found on saving), or it is misused (found on running).

Messages name types and functions, never values: a value may be a secret.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from linkflow.domain.errors import InvalidInput, Problem


class ExpressionError(InvalidInput):
    """An expression failed while it was evaluated.

    `source` is the text it stands in, `line` and `column` (from 1) the place in it, and `path` a JSON Pointer to that
    text inside the value given to `compile_value` (empty for the value itself).
    """

    code = "expression_error"

    def __init__(
        self,
        message: str,
        *,
        source: str = "",
        line: int = 0,
        column: int = 0,
        problems: Iterable[Problem] = (),
        details: dict[str, Any] | None = None,
    ) -> None:
        # An error that comes back over a wire brings only `details`, so the fields are kept there too.
        known: dict[str, Any] = {"source": source[:500], "line": line, "column": column, "path": ""} | (details or {})
        super().__init__(message, problems=problems, details=known)
        self.source: str = source or known["source"]
        self.line: int = known["line"]
        self.column: int = known["column"]

    @property
    def path(self) -> str:
        """Where the text stands in the compiled value, as a JSON Pointer."""
        return str(self.details["path"])

    def within(self, step: str | int) -> None:
        """Note, on the way out, that the failing text stands under key or index `step`."""
        self.details["path"] = pointer(step) + self.path


class ExpressionSyntaxError(ExpressionError):
    """A text is no expression. From `compile_value`, `problems` lists every such text at once."""

    code = "expression_syntax_error"


class Fault(Exception):
    """A failure at an offset into the source, before it is known which source; -1 where the offset is unknown.

    It never leaves the package: it becomes one of the errors above.
    """

    def __init__(self, message: str, at: int = -1) -> None:
        super().__init__(message)
        self.message = message
        self.at = at


class NeedsEngine(Fault):
    """This is JavaScript, but not of the part that is evaluated natively."""


def pointer(step: str | int) -> str:
    """One step of a JSON Pointer (RFC 6901)."""
    return "/" + str(step).replace("~", "~0").replace("/", "~1")


def located(kind: type[ExpressionError], fault: Fault, source: str, start: int = 0) -> ExpressionError:
    """`fault` as an error with line and column; without an offset of its own it is placed at `start`."""
    at = min(fault.at if fault.at >= 0 else start, len(source))
    line, column = line_and_column(source, at)
    return kind(f"{fault.message} (line {line}, column {column})", source=source, line=line, column=column)


def line_and_column(source: str, at: int) -> tuple[int, int]:
    """The place of an offset, both from 1."""
    return source.count("\n", 0, at) + 1, at - source.rfind("\n", 0, at)

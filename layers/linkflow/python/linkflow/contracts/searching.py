"""Which runs: filters beyond the workflow, the status and how a run was started."""

from __future__ import annotations

from msgspec import Struct

EQUAL, AT_LEAST, AT_MOST, MORE, LESS = "=", ">=", "<=", ">", "<"
OPERATORS = (AT_LEAST, AT_MOST, MORE, LESS, EQUAL)
"""Longer ones first, for whoever parses."""


class Attribute(Struct, frozen=True):
    """A search attribute compared with a value. For a list it is enough that one of its items fits."""

    name: str
    operator: str
    value: str


class RunFilter(Struct, frozen=True, omit_defaults=True):
    """All have to fit; what is empty does not narrow. Times are ms since the epoch (`started_after` is included), and
    are those at which the start was accepted. Durations are ms, of closed runs. `text` are words, all of which stand in
    the error or in attributes."""

    version: int = 0
    environment: str = ""
    error_code: str = ""
    text: str = ""
    attributes: tuple[Attribute, ...] = ()
    started_after: int = 0
    started_before: int = 0
    min_ms: int = 0
    max_ms: int = 0

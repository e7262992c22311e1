"""What a test file says, once it is read."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from linkflow.domain.trial import Mock

_replace = msgspec.structs.replace


class Source(Struct, frozen=True):
    """Where the workflow is: a file (relative to the test's), an id on a server with its version, or right here."""

    file: str = ""
    id: str = ""
    version: int = 0
    document: dict[str, Any] | None = None


class NodeWish(Struct, frozen=True):
    """What is expected of a node, or of one iteration of it (``send[3]``). What is unset is not looked at."""

    status: str = ""
    output: Any = UNSET
    includes: Any = UNSET
    check: tuple[str, ...] = ()
    error: str = ""
    runs: int | UnsetType = UNSET
    attempts: int | UnsetType = UNSET
    outputs: tuple[str, ...] | UnsetType = UNSET


class Wish(Struct, frozen=True):
    """What is expected of the run."""

    status: str = ""
    result: Any = UNSET
    includes: Any = UNSET
    check: tuple[str, ...] = ()
    error: str = ""
    error_node: str = ""
    error_message: str = ""
    path: tuple[str, ...] | UnsetType = UNSET
    nodes: dict[str, NodeWish] = {}


class Case(Struct, frozen=True):
    """One test. `ignore` are patterns of places, `alike` regular expressions: two texts that fit the same one are
    equal. `now` (ms) is the run's time, where the test owns the clock; `allow` are nodes or types that may act."""

    name: str
    source: Source
    trigger: str = ""
    input: Any = None
    mocks: dict[str, Mock] = {}
    raw_mocks: dict[str, Any] = {}
    allow: tuple[str, ...] = ()
    up_to: str = ""
    now: int = 0
    ignore: tuple[tuple[str | int, ...], ...] = ()
    alike: tuple[str, ...] = ()
    expect: Wish = Wish()

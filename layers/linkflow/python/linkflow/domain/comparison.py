"""Two runs side by side: how they went, which nodes each of them ran, and what those came to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from .differences import Difference, differences


class Side(Struct, frozen=True):
    """What is compared of one node run. `duration_ms` is told, and is no difference."""

    status: str
    attempt: int
    output: Any = None
    error: Any = None
    duration_ms: float | None = None


class NodeDifference(Struct, frozen=True):
    """`changed` are names of what differs: ``status``, ``attempt``, ``output``, ``error``."""

    key: str
    changed: tuple[str, ...]
    before: Side
    after: Side
    output: tuple[Difference, ...] = ()
    more: bool = False


class Comparison(Struct, frozen=True):
    """Node runs by key, in the order of the first run. `path` is the way that each run took, as the nodes that ran
    in the order of their coming up; told where it differs."""

    same: tuple[str, ...]
    changed: tuple[NodeDifference, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    path: tuple[tuple[str, ...], tuple[str, ...]] | None = None


def compared(
    before: Mapping[str, Side], after: Mapping[str, Side], paths: tuple[Sequence[str], Sequence[str]]
) -> Comparison:
    """What node runs of two runs differ in."""
    changed = [_node(key, before[key], after[key]) for key in before if key in after]
    old, new = (tuple(path) for path in paths)
    return Comparison(
        same=tuple(item.key for item in changed if not item.changed),
        changed=tuple(item for item in changed if item.changed),
        only_before=tuple(key for key in before if key not in after),
        only_after=tuple(key for key in after if key not in before),
        path=(old, new) if old != new else None,
    )


def _node(key: str, old: Side, new: Side) -> NodeDifference:
    found, more = differences(old.output, new.output)
    names = ["output"] if found else []
    names += [name for name in ("status", "attempt", "error") if getattr(old, name) != getattr(new, name)]
    return NodeDifference(key, tuple(sorted(names)), old, new, tuple(found), more)

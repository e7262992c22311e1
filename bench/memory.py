"""Resident memory of process trees, from /proc. Elsewhere than on Linux every figure is zero."""

from __future__ import annotations

from collections.abc import Mapping

from .cpu import PROC, children_by_parent

MIB = 1024 * 1024


def resident(roots: Mapping[str, int | None]) -> dict[str, float]:
    """MiB by name: what the processes of a tree hold, shared pages counted in proportion (PSS)."""
    children = children_by_parent()

    def tree(pid: int) -> int:
        return _held(pid) + sum(tree(child) for child in children.get(pid, ()))

    return {name: round(tree(pid) / MIB, 1) for name, pid in roots.items() if pid}


def own(pid: int) -> float:
    """MiB of one process, shared pages in full (RSS)."""
    return round(_field(pid, "Rss:") / MIB, 1)


def _held(pid: int) -> int:
    return _field(pid, "Pss:")


def _field(pid: int, name: str) -> int:
    try:
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith(name):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0

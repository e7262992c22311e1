"""What transitions did, summed up by minute and hour.

A transition writes its tally in its own transaction (`executions.sql`). Summing up takes tallies away and adds them to
the sums in one transaction, so each counts once, whoever falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.contracts.usage import HOUR, MINUTE, UsageRequest, UsageSpan
from linkflow.domain.notices import MODE
from linkflow.domain.statistics import histogram, summed
from linkflow.ports import Transition

from .arrays import arrays
from .database import Connection, Database
from .queries import queries
from .statuses import STATUS

MINUTE_MS = 60_000
ALL = "00000000-0000-0000-0000-000000000000"
"""In place of a workflow: the workspace's sum."""
AT_ONCE = 1000
MOST = 10_000
"""Spans in one answer."""
MINUTES_KEPT, HOURS_KEPT = 48 * 60 * MINUTE_MS, 400 * 24 * 60 * MINUTE_MS
OPEN = [STATUS.index(name) for name in ("running", "paused", "cancelling", "queued", "collecting")]

_sql = queries("tallies")
_Key = tuple[str, int, int, str]


class _Sum:
    """What is to be added to one span."""

    __slots__ = ("ai", "bytes", "compute", "durations", "ended", "nodes", "started")

    def __init__(self) -> None:
        self.started = self.nodes = self.compute = self.bytes = 0
        self.ended: list[int] = []
        self.durations: list[int] = []
        self.ai = [0, 0, 0]


class PostgresTallies:
    """The part of `linkflow.ports.EventStore` that counts."""

    _db: Database

    async def gather(self, limit: int) -> int:
        """Sum up tallies, at most about `limit`; returns how many."""
        seen = 0
        while seen < limit:
            async with self._db.transaction() as connection:
                rows = await (await connection.execute(_sql["take"], {"limit": min(limit - seen, AT_ONCE)})).fetchall()
                if rows:
                    await connection.execute(_sql["add"], _columns(_sums(rows)))
            seen += len(rows)
            if len(rows) < AT_ONCE:
                break
        return seen

    async def usage(self, request: UsageRequest) -> list[UsageSpan]:
        args = {
            "workspace": request.workspace_id, "span": request.span, "workflow": request.workflow_id or ALL,
            "first": request.first, "beyond": request.beyond, "limit": MOST,
        }  # fmt: skip
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql["sums"], args)).fetchall()
        return [_span(row) for row in rows]

    async def open_runs(self, workspace_id: str, workflow_id: str, most: int) -> dict[str, int]:
        args = {"workspace": workspace_id, "workflow": workflow_id, "most": most, "statuses": OPEN}
        name = "open_of_workflow" if workflow_id else "open_of_workspace"
        async with self._db.connection() as connection:
            rows = await (await connection.execute(_sql[name], args)).fetchall()
        return {STATUS[code]: count for code, count in rows if count}


async def forget_usage(connection: Connection, now_ms: int) -> None:
    """Drop sums whose time is over: minutes after two days, hours after 400."""
    await connection.execute(_sql["forget"], {"minutes": now_ms - MINUTES_KEPT, "hours": now_ms - HOURS_KEPT})


def tally_columns(items: Sequence[Transition]) -> dict[str, list[Any]]:
    """What the statements of transitions count: attempts that ended and whether the run did, in one number. -1: nothing
    is counted of it, as it is a delivery of a notification."""
    return {
        "tally": [-1 if t.mode == MODE else 2 * t.nodes + t.ended for t in items],
        "compute": [t.compute_us for t in items],
    }


async def count_ai(connection: Connection, items: Sequence[Transition]) -> None:
    """In the transitions' transaction: what their model calls used."""
    told = [(t, t.ai) for t in items if t.ai is not None and t.mode != MODE]
    await connection.execute(
        _sql["count_ai"],
        arrays(
            {
                "workspace": [t.workspace_id for t, _ in told],
                "workflow": [t.workflow_id for t, _ in told],
                "at": [t.at for t, _ in told],
                "input": [ai.input for _, ai in told],
                "output": [ai.output for _, ai in told],
                "cost": [ai.cost for _, ai in told],
            }
        ),
    )


def together(spans: Sequence[UsageSpan]) -> list[UsageSpan]:
    """Spans of several databases, those that begin together as one."""
    found: dict[int, UsageSpan] = {}
    for span in spans:
        found[span.at] = _added(found[span.at], span) if span.at in found else span
    return [found[at] for at in sorted(found)]


def _added(a: UsageSpan, b: UsageSpan) -> UsageSpan:
    return UsageSpan(
        a.at, a.started + b.started,
        {name: a.ended.get(name, 0) + b.ended.get(name, 0) for name in {**a.ended, **b.ended}},
        a.nodes + b.nodes, a.compute_us + b.compute_us, a.bytes + b.bytes,
        tuple(summed(a.durations, b.durations)),
        a.ai_input + b.ai_input, a.ai_output + b.ai_output, a.ai_cost + b.ai_cost,
    )  # fmt: skip


def _sums(rows: Sequence[tuple[Any, ...]]) -> dict[_Key, _Sum]:
    found: dict[_Key, _Sum] = {}
    for workspace, workflow, at, started, nodes, compute, size, statuses, durations, *ai in rows:
        counts = histogram(durations or ())
        ended = [0] * (max(statuses) + 1) if statuses else []
        for status in statuses or ():
            ended[status] += 1
        for span in (MINUTE, HOUR):
            begin = at - at % (span * MINUTE_MS)
            for whose in (workflow, ALL):
                into = found.setdefault((workspace, span, begin, whose), _Sum())
                into.started += started
                into.nodes += nodes
                into.compute += compute
                into.bytes += size
                into.ended = summed(into.ended, ended)
                into.durations = summed(into.durations, counts)
                into.ai = summed(into.ai, ai)
    return found


def _columns(sums: dict[_Key, _Sum]) -> dict[str, Any]:
    keys, values = list(sums), list(sums.values())
    return arrays(
        {
            "workspace": [key[0] for key in keys],
            "span": [key[1] for key in keys],
            "at": [key[2] for key in keys],
            "workflow": [key[3] for key in keys],
            "started": [one.started for one in values],
            "nodes": [one.nodes for one in values],
            "compute": [one.compute for one in values],
            "bytes": [one.bytes for one in values],
            "ended": [_literal(one.ended) for one in values],
            "durations": [_literal(one.durations) for one in values],
            "input": [one.ai[0] for one in values],
            "output": [one.ai[1] for one in values],
            "cost": [one.ai[2] for one in values],
        }
    )


def _literal(numbers: Sequence[int]) -> str:
    """An array as Postgres reads one in text: arrays of arrays do not unnest."""
    return "{" + ",".join(map(str, numbers)) + "}"


def _span(row: tuple[Any, ...]) -> UsageSpan:
    at, started, nodes, compute, size, ended, durations, *ai = row
    named = {STATUS[code]: count for code, count in enumerate(ended) if count}
    return UsageSpan(at, started, named, nodes, compute, size, tuple(durations), *ai)

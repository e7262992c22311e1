"""A closer look at runs: one node, the log, the timeline, the state at any event, and two runs side by side."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.contracts.history import Execution
from linkflow.domain import events as e
from linkflow.domain.comparison import Comparison, Side, compared
from linkflow.domain.definition import Node
from linkflow.domain.differences import Difference, differences
from linkflow.domain.errors import InvalidInput, NotFound, Problem
from linkflow.domain.evolve import apply
from linkflow.domain.loglines import LEVELS, LogLine, lines
from linkflow.domain.payloads import Blob, substitute
from linkflow.domain.state import CLOSED, State, new, split_key
from linkflow.domain.timelines import Timelines

from .executions import Executions, RunOfNode
from .following import Following
from .noderuns import NodeRuns
from .workspaces import Membership

WHOLE = 4 * 1024 * 1024
"""Bytes of one payload that somebody has asked for by name."""

_ALL = 1_000_000_000
"""More lines than an event has."""


class LogPage(Struct, frozen=True):
    """`cursor` is where the next page begins; `more` whether there is one now. `closed`: the run is over."""

    lines: list[LogLine]
    cursor: str
    more: bool
    closed: bool


class Drawn(Struct, frozen=True):
    """A run's timeline with the nodes of its definition."""

    execution: Execution
    timelines: Timelines
    nodes: Mapping[str, Node]


class Compared(Struct, frozen=True):
    """Two runs and what they differ in. `results` are differences of their results."""

    before: Execution
    after: Execution
    nodes: Comparison
    results: tuple[Difference, ...]
    trigger: tuple[Difference, ...]


class Inspecting:
    """Reads runs of one workspace, in the asker's name. Every method raises `NotFound` for an unknown run."""

    def __init__(self, executions: Executions, following: Following) -> None:
        self._executions = executions
        self._following = following

    async def node(self, who: Membership, execution_id: str, key: str, budget: int) -> RunOfNode:
        """One node run, with up to `budget` bytes of what is kept outside of it. Raises `NotFound`."""
        for found in await self._executions.nodes(who, execution_id):
            if found.view.key == key:
                return (await self._executions.filled(who, [found], budget))[0]
        raise NotFound("This run has no such node run.")

    async def payload(self, who: Membership, execution_id: str, key: str, side: str) -> Any:
        """A node run's ``input`` or ``output``, as much of it as any transport carries. Raises `NotFound`."""
        if side not in ("input", "output"):
            raise NotFound("A node run has an input and an output.")
        found = await self.node(who, execution_id, key, WHOLE)
        return found.input if side == "input" else found.view.output

    async def timeline(self, who: Membership, execution_id: str) -> Drawn:
        """When each node run was queued, ran and waited."""
        execution = await self._executions.described(who, execution_id)
        drawn = Timelines()
        async for page in self._executions.pages(who, execution_id):
            drawn.feed(page)
        return Drawn(execution, drawn, await self._executions.nodes_of(execution))

    async def log(
        self, who: Membership, execution_id: str, *, node: str, level: str, cursor: str, limit: int, wait: float
    ) -> LogPage:
        """Lines of at least `level`, behind a cursor; of one node (all its iterations) or of all. With `wait`
        (seconds) a run that goes on is waited for."""
        after, index = _place(cursor)
        least = LEVELS.index(level) if level else 0
        found: list[LogLine] = []
        before = after - 1 if 0 <= index < _ALL else after  # further lines of that event may follow
        while True:
            page = await self._following.events(who, execution_id, after=before, limit=1000, wait=wait)
            wait = 0.0
            for line in lines(page.events):
                if (line.event_id, line.index) <= (after, index) or LEVELS.index(line.level) < least:
                    continue
                if node and node not in (line.node, split_key(line.node)[0]):
                    continue
                if len(found) == limit:
                    return LogPage(found, _cursor(found[-1]), True, False)
                found.append(line)
            before = page.last
            if not page.more:
                break
        closed = (await self._executions.described(who, execution_id)).status in CLOSED
        return LogPage(found, f"{max(before, after)}", False, closed)

    async def state_at(self, who: Membership, execution_id: str, at: int) -> State:
        """The state right after event `at` (0: now), folded from the events. Raises `InvalidInput` for one that has not
        happened."""
        execution = await self._executions.described(who, execution_id)
        last = at or execution.version
        state = new(execution_id)
        async for page in self._executions.pages(who, execution_id):
            for event in e.decode(msgspec.json.encode([one for one in page if one["event_id"] <= last])):
                apply(state, event)
            if page and page[-1]["event_id"] >= last:
                break
        if at > state.version:
            fault = Problem("/at", "no_such_event", f"This run has {state.version} events.")
            raise InvalidInput("This event has not happened.", problems=[fault])
        return state

    async def compare(self, who: Membership, before: str, after: str) -> Compared:
        """What the second run did otherwise than the first."""
        old, new_one = [await self._sides(who, id) for id in (before, after)]
        return Compared(
            before=old.execution,
            after=new_one.execution,
            nodes=compared(old.sides, new_one.sides, (old.path, new_one.path)),
            results=tuple(differences(old.result, new_one.result)[0]),
            trigger=tuple(differences(old.trigger, new_one.trigger)[0]),
        )

    async def _sides(self, who: Membership, execution_id: str) -> _Run:
        execution = await self._executions.described(who, execution_id)
        runs, trigger, result = NodeRuns(), None, None
        async for page in self._executions.pages(who, execution_id):
            runs.feed(page)
            for event in page:
                trigger = event.get("trigger", trigger)
                result = event.get("result", result) if event["type"] == "ExecutionCompleted" else result
        views = runs.views
        sides = {
            key: Side(
                view.status, view.attempt, _plain(view.output), view.error,
                round(view.duration_us / 1000, 3) if view.completed_at else None,
            )
            for key, view in views.items()
        }  # fmt: skip
        path = [key for key, view in views.items() if view.status != "skipped"]
        return _Run(execution, sides, path, _plain(trigger), _plain(result))


class _Run(Struct, frozen=True):
    execution: Execution
    sides: dict[str, Side]
    path: list[str]
    trigger: Any
    result: Any


def _plain(value: Any) -> Any:
    """References say whose they are; what is compared is what they stand for."""

    def look(blob: Blob) -> Any:
        return {"$blob": blob.key.rpartition("/")[2], "size": blob.size, "at": blob.at}

    return substitute(value, look)


def _cursor(line: LogLine) -> str:
    return f"{line.event_id}.{line.index}"


def _place(cursor: str) -> tuple[int, int]:
    """Event and line behind which a page begins. Raises `InvalidInput` for what no page has handed out."""
    event, _, index = cursor.partition(".")
    if not cursor:
        return 0, -1
    if all(part.isascii() and part.isdecimal() and len(part) < 10 for part in (event, index or "0")):
        return int(event), int(index) if index else _ALL
    raise InvalidInput("This is no cursor.", problems=[Problem("/cursor", "bad_cursor", "Use a page's meta.cursor.")])

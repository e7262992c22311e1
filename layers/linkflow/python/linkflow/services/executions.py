"""Runs, as people look at them and handle them. All of it asks the execution plane, in the asker's name."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import ControlRequest, DescribeRequest, Execution, HistoryRequest, ListRequest
from linkflow.contracts.searching import RunFilter
from linkflow.domain.definition import Node
from linkflow.domain.errors import NotFound
from linkflow.domain.ids import is_uuid
from linkflow.domain.state import State, split_key
from linkflow.domain.state import decode as decode_state

from .definitions import Definitions
from .noderuns import NodeRuns, NodeView
from .payloads import SHOWN, Reader, holds_references
from .workspaces import Membership

MAX_WAIT = 20.0
"""Seconds of a long poll."""

MAX_MADE = 100
"""Forks and reruns that a run names; the list of runs has all of them."""

_PAGE = 1000
_events = msgspec.json.Decoder(list[dict[str, Any]])


class Events(Struct, frozen=True):
    """Stored events (flat), the id of the last one, and whether there are more now."""

    events: list[dict[str, Any]]
    last: int
    more: bool


class Runs(Struct, frozen=True):
    """A page of runs, and the id below which the next one begins; empty at the end."""

    runs: tuple[Execution, ...]
    next: str


class RunOfNode(Struct, frozen=True):
    """A node run, its node in the definition, and what it was given."""

    view: NodeView
    node: Node | None
    input: Any


class Executions:
    """Reading and controlling runs of one workspace."""

    def __init__(self, frontend: FrontendApi, definitions: Definitions) -> None:
        self._frontend = frontend
        self._definitions = definitions
        self._payloads = Reader(frontend)

    async def page(
        self, who: Membership, *, workflow_id: str, status: str, mode: str, before: str, limit: int,
        source_id: str = "", filter: RunFilter | None = None,
    ) -> Runs:  # fmt: skip
        """Newest first; `before` is the id after which the page starts. Empty filters let everything through. With a
        `filter` a page may have fewer runs than there are, and says where to go on."""
        narrow = filter if filter != RunFilter() else None
        asked = limit if narrow else limit + 1
        request = ListRequest(who.workspace_id, workflow_id, status, mode, before, asked, source_id, narrow)
        with acting_as(who.caller()):
            found = await self._frontend.list(request)
        runs = found.executions
        if narrow:
            return Runs(runs, found.next)
        return Runs(runs[:limit], runs[limit - 1].id if len(runs) > limit else "")

    async def made_from(self, who: Membership, execution_id: str) -> list[dict[str, Any]]:
        """The newest forks and reruns of a run."""
        request = ListRequest(who.workspace_id, source_id=execution_id, limit=MAX_MADE)
        with acting_as(who.caller()):
            found = (await self._frontend.list(request)).executions
        return [{"id": run.id, "mode": run.mode, "status": run.status} for run in found]

    async def show(self, who: Membership, execution_id: str) -> tuple[Execution, State | None]:
        """Raises `NotFound`."""
        execution = await self.described(who, execution_id, with_state=True, in_full=True)
        if execution.state is None:
            return execution, None
        state = decode_state(execution.state)
        if holds_references(execution.state):
            state.result, state.trigger = await self._payloads.show(who.caller(), [state.result, state.trigger])
        return execution, state

    async def nodes(self, who: Membership, execution_id: str) -> list[RunOfNode]:
        """Every node run, in the order in which they came up. Raises `NotFound`."""
        execution = await self.described(who, execution_id, in_full=True)
        runs = NodeRuns()
        async for page in self.pages(who, execution_id):
            runs.feed(page)
        runs.beat(execution.beats)
        nodes = await self.nodes_of(execution)
        return [RunOfNode(view, nodes.get(split_key(view.key)[0]), runs.input_of(view)) for view in runs.views.values()]

    async def filled(self, who: Membership, found: Sequence[RunOfNode], budget: int = SHOWN) -> list[RunOfNode]:
        """The same with large inputs and outputs, as far as `budget` bytes of them go."""
        values = [[run.input, run.view.output] for run in found]
        shown = await self._payloads.show(who.caller(), values, budget)
        if shown is values:
            return list(found)
        return [
            RunOfNode(replace(run.view, output=output), run.node, input)
            for run, (input, output) in zip(found, shown, strict=True)
        ]

    async def payload(self, who: Membership, execution_id: str, name: str, at: int = -1) -> Any:
        """What a run keeps outside of its rows, or one item of it. Raises `NotFound`."""
        return await self._payloads.one(who.caller(), execution_id, name, at)

    async def control(self, who: Membership, execution_id: str, verb: str, reason: str = "") -> str:
        """A verb of `ControlRequest`; returns the run's status. Raises `NotFound` and `Conflict`."""
        _check_id(execution_id)
        request = ControlRequest(execution_id, who.workspace_id, verb, who.actor, reason)
        with acting_as(who.caller()):
            return (await self._frontend.control(request)).status

    async def described(
        self, who: Membership, execution_id: str, with_state: bool = False, in_full: bool = False
    ) -> Execution:
        """The run's row; `in_full` with what is beside it. Raises `NotFound`."""
        _check_id(execution_id)
        request = DescribeRequest((execution_id,), who.workspace_id, with_state, in_full)
        with acting_as(who.caller()):
            reply = await self._frontend.describe(request)
        if not reply.executions:
            raise _unknown()
        return reply.executions[0]

    async def pages(self, who: Membership, execution_id: str, after: int = 0) -> AsyncIterator[list[dict[str, Any]]]:
        """All events up to now behind one, page by page. Raises `NotFound`."""
        more = True
        while more:
            found = await self.events(who, execution_id, after, _PAGE)
            yield found.events
            after, more = found.last, found.more and bool(found.events)

    async def events(self, who: Membership, execution_id: str, after: int, limit: int) -> Events:
        """Events after an id, those that there are now. Raises `NotFound`."""
        _check_id(execution_id)
        with acting_as(who.caller()):
            reply = await self._frontend.history(HistoryRequest(execution_id, who.workspace_id, after, limit))
        return Events(_events.decode(reply.events), reply.last, reply.more)

    async def nodes_of(self, execution: Execution) -> dict[str, Node]:
        """The nodes of the version that a run has, by id; none where that is gone."""
        try:
            definition = await self._definitions.get(execution.workflow_id, execution.workflow_version)
        except NotFound:
            return {}
        return {node.id: node for node in definition.nodes}


def _check_id(execution_id: str) -> None:
    if not is_uuid(execution_id):
        raise _unknown()


def _unknown() -> NotFound:
    return NotFound("There is no such execution.")

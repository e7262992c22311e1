"""New runs from old ones: fork, reset, rerun."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from linkflow.contracts.controlling import ForkReply, ForkRequest
from linkflow.contracts.history import Execution
from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.comparing import Plan, compare
from linkflow.domain.errors import InvalidInput, LimitExceeded, NotFound, Problem
from linkflow.domain.forking import Ask, plan
from linkflow.domain.graph import Graph
from linkflow.domain.ids import execution_id, is_uuid, shard_of_execution
from linkflow.domain.payloads import refuse_reserved
from linkflow.ports import Clock, EventStore

from .lanes import Commits
from .loading import load_one
from .messages import Messenger
from .transition import reset_of

FORK, RESET, RERUN = "fork", "reset", "rerun"
FORKS = (FORK, RESET, RERUN)
LATEST = -1
PAGE = 5000
"""Events read at once."""
ROOM = 100
"""Events that a fork needs besides those it keeps."""


class _Made(Struct, frozen=True):
    """What a new run starts with."""

    trigger_node: str
    trigger: Any
    plan: Plan
    fork: c.Fork | None = None


class Forker:
    """Plans and starts. Whether the source may be seen is for the caller to know."""

    def __init__(
        self, store: EventStore, committer: Commits, messenger: Messenger, clock: Clock, max_events: int
    ) -> None:
        self._store = store
        self._committer = committer
        self._messenger = messenger
        self._clock = clock
        self._max_events = max_events

    async def fork(self, request: ForkRequest) -> ForkReply:
        """Raises `NotFound`, `InvalidInput` for what cannot be done with this run, `LimitExceeded`."""
        if request.verb not in FORKS:
            raise InvalidInput(f"Unknown verb {request.verb!r}; use one of {', '.join(FORKS)}.")
        if request.new_id and not is_uuid(request.new_id):
            raise InvalidInput("An id of a run is a UUIDv7.")
        refuse_reserved(request.input, "/input")
        source = await self._source(request)
        version = await self._version(request, source)
        made = await (self._rerun if request.verb == RERUN else self._fork)(request, source, version)
        mode = RERUN if request.verb == RERUN else FORK
        reply = ForkReply("", source.workflow_id, version, mode, plan=made.plan)
        if request.dry_run:
            return reply
        command = c.Start(
            request.new_id or self._new_id(source.id), source.workspace_id, source.workflow_id, version,
            made.trigger_node, made.trigger, mode, request.actor, request.idempotency_key,
            source_id=source.id, fork=made.fork,
        )  # fmt: skip
        written = await self._committer.start(command)
        if not written.duplicate and (end := reset_of(written.decision)) is not None:
            await self._messenger.end_source(end)  # at once; the message says it again, should we fall in between
        return ForkReply(
            written.duplicate or command.execution_id, source.workflow_id, version, mode, not written.duplicate,
            made.plan,
        )  # fmt: skip

    def _new_id(self, source_id: str) -> str:
        return execution_id(self._clock.now_ms(), shard_of_execution(source_id), self._clock.rand_bits(62))

    async def _source(self, request: ForkRequest) -> Execution:
        found = await self._store.describe([request.execution_id], request.workspace_id, False)
        if not found:
            raise NotFound("There is no such run.")
        return found[0]

    async def _version(self, request: ForkRequest, source: Execution) -> int:
        if request.version != LATEST:
            return request.version or source.workflow_version
        current = await self._store.workflow(source.workflow_id)
        if current is None:
            raise InvalidInput("The workflow was deleted: it has no latest version. Leave the version out.")
        return current[1]

    async def _definition(self, source: Execution, version: int) -> d.Definition:
        data = await self._store.definition(source.workflow_id, version)
        if data is None:
            message = f"The workflow has no version {version}."
            raise InvalidInput(message, problems=[Problem("/version", "unknown_version", message)])
        return d.decode(data)

    async def _fork(self, request: ForkRequest, source: Execution, version: int) -> _Made:
        after = await self._definition(source, version)
        before = await self._definition(source, source.workflow_version)
        reason = request.reason
        ask = Ask(request.node, version, request.edited, request.input, request.verb == RESET, reason)
        planned = plan(source.id, await self._events(source.id), before, after, ask)
        if len(planned.fork.kept) + ROOM > self._max_events:
            raise LimitExceeded(f"What the fork keeps has nearly {self._max_events:,} events, the limit of a history.")
        return _Made(planned.source.trigger_node, planned.trigger, planned.plan, planned.fork)

    async def _rerun(self, request: ForkRequest, source: Execution, version: int) -> _Made:
        state = await load_one(self._store, source.id)
        if state is None:
            raise NotFound("There is no such run.")
        after = await self._definition(source, version)
        if state.trigger_node not in {node.id for node in after.nodes}:
            message = f"Version {version} has no node {state.trigger_node!r} to start from."
            raise InvalidInput(message, problems=[Problem("/version", "no_trigger", message)])
        graph = Graph(after, state.trigger_node)
        runs = tuple(id for id in graph.top if id != graph.trigger)
        report = None
        if version != source.workflow_version:
            report = compare(await self._definition(source, source.workflow_version), after)
        trigger = request.input if request.edited else state.trigger
        return _Made(state.trigger_node, trigger, Plan((), runs, report=report))

    async def _events(self, execution_id: str) -> list[e.Event]:
        events: list[e.Event] = []
        after, more = 0, True
        while more:
            page = await self._store.history(execution_id, after, PAGE)
            events += e.decode(page.events)
            after, more = page.last, page.more
        return events

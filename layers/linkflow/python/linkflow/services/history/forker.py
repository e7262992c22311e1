"""New runs from old ones: fork, reset, rerun."""

from __future__ import annotations

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from linkflow.contracts.controlling import ForkReply, ForkRequest
from linkflow.contracts.history import Execution
from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain import events as e
from linkflow.domain.comparing import Plan, Report, compare
from linkflow.domain.cutting import check_target, cut, cut_definition
from linkflow.domain.errors import InvalidInput, LimitExceeded, NotFound, Problem
from linkflow.domain.forking import Ask, plan
from linkflow.domain.graph import Graph
from linkflow.domain.ids import execution_id, is_uuid, shard_of_execution
from linkflow.domain.payloads import refuse_reserved
from linkflow.domain.state import split_key
from linkflow.domain.trial import TEST, Trial
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
    environment: str
    fork: c.Fork | None = None
    pins: bool = False


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
        mode = TEST if request.trial is not None else RERUN if request.verb == RERUN else FORK
        reply = ForkReply("", source.workflow_id, version, mode, plan=made.plan)
        if request.dry_run:
            return reply
        command = c.Start(
            request.new_id or self._new_id(source.id), source.workspace_id, source.workflow_id, version,
            made.trigger_node, made.trigger, mode, request.actor, request.idempotency_key,
            source_id=source.id, fork=made.fork, trial=request.trial, pins=made.pins, environment=made.environment,
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
        state = await load_one(self._store, source.id)
        current = await self._store.workflow(source.workflow_id, state.environment if state else "")
        if current is None:
            raise InvalidInput("The workflow was deleted: it has no latest version. Leave the version out.")
        if not current[1]:
            raise InvalidInput("The workflow has no release in this run's environment any more. Name a version.")
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
        ask = Ask(request.node, version, request.edited, request.input, request.verb == RESET, request.reason)
        if request.trial is not None:
            stale = _stale(compare(before, after) if request.fresh else Report(), request.trial)
            ask = replace(ask, stale=stale, on_the_way=True)
            after = await self._part(source, after, request.trial)
        planned = plan(source.id, await self._events(source.id), before, after, ask)
        if len(planned.fork.kept) + ROOM > self._max_events:
            raise LimitExceeded(f"What the fork keeps has nearly {self._max_events:,} events, the limit of a history.")
        past = planned.source
        return _Made(
            past.trigger_node, planned.trigger, planned.plan, past.environment, planned.fork, past.goes_by_pins
        )

    async def _part(self, source: Execution, after: d.Definition, trial: Trial) -> d.Definition:
        """The part of the definition that a test run goes by."""
        state = await load_one(self._store, source.id)
        if state is None or state.trigger_node not in {node.id for node in after.nodes}:
            return after  # which the plan refuses
        graph = Graph(after, state.trigger_node)
        check_target(graph, trial.up_to, "/node")
        return cut_definition(after, cut(graph, trial))

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
        return _Made(
            state.trigger_node, trigger, Plan((), runs, report=report), state.environment, pins=state.goes_by_pins
        )

    async def _events(self, execution_id: str) -> list[e.Event]:
        events: list[e.Event] = []
        after, more = 0, True
        while more:
            page = await self._store.history(execution_id, after, PAGE)
            events += e.decode(page.events)
            after, more = page.last, page.more
        return events


def _stale(report: Report, trial: Trial) -> tuple[str, ...]:
    """Nodes of which a test run wants a new result: they have changed since, or have a mock now."""
    mocked = (split_key(key)[0] for key in trial.mocks)
    return tuple(dict.fromkeys((*(change.node for change in report.changed), *report.rewired, *mocked)))

"""Trying workflows: test runs, of the whole or of a part, and outputs pinned to nodes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from linkflow.contracts.base import acting_as
from linkflow.contracts.controlling import ForkRequest
from linkflow.contracts.frontend import FrontendApi, RunRequest
from linkflow.domain.cutting import check_alone, check_target
from linkflow.domain.definition import TRIGGERS, Definition, encode
from linkflow.domain.errors import InvalidInput, NotFound, Problem
from linkflow.domain.graph import Graph
from linkflow.domain.hints import did_you_mean
from linkflow.domain.outcomes import NodeError
from linkflow.domain.payloads import references
from linkflow.domain.state import CLOSED, key_of, split_key
from linkflow.domain.trial import TEST, Trial
from linkflow.ports import Clock

from .control_ports import Workflow
from .executions import Executions, RunOfNode
from .payloads import Reader
from .workflows import Shown, Workflows
from .workspaces import Membership

LAST = "last"
LOOKED_AT = 20
"""Runs among which the last one that came to a node is looked for."""
MAX_PINNED = 256 * 1024
"""Bytes of a pinned output: it is a part of the definition."""
RUN, FAIL = "run", "fail"

_builtin = msgspec.json.decode


class Acting(Protocol):
    """The node types, as far as a test has to know them."""

    def acts(self, type: str, version: int = 0) -> bool: ...


class Ask(Struct, frozen=True, kw_only=True):
    """A test run as it is asked for. `node` is the one node to run, `up_to` the last one; `version` 0 is the current
    one. `from_execution` is a run (or ``last``) whose results are used again. `unmocked` says what becomes of nodes
    that act outside and have no mock: ``run``, or ``fail``, but for those that `allow` names by id or type."""

    input: Any = None
    given: bool = False
    trigger_node: str = ""
    version: int = 0
    mocks: Any = None
    node: str = ""
    up_to: str = ""
    from_execution: str = ""
    skip_delays: bool = False
    unmocked: str = RUN
    allow: tuple[str, ...] = ()
    error_workflow: bool = False
    limits: bool = False


class Tried(Struct, frozen=True):
    """The test run, and how it ended if it did within the wait."""

    workflow: Workflow
    version: int
    execution_id: str
    created: bool = True
    status: str = "running"
    closed: bool = False
    result: Any = None
    error: Any = None


class Trials:
    """Test runs and pins of one workspace's workflows."""

    def __init__(
        self, workflows: Workflows, executions: Executions, frontend: FrontendApi, acting: Acting, clock: Clock
    ) -> None:
        self._workflows = workflows
        self._executions = executions
        self._frontend = frontend
        self._acting = acting
        self._clock = clock

    async def run(self, who: Membership, workflow_id: str, ask: Ask, *, wait: float = 0.0, key: str = "") -> Tried:
        """Start a test run; with `wait` (seconds), answer when it ended or after so long.

        Raises `NotFound`, and `InvalidInput` with every fault of what is asked.
        """
        shown = await self._workflows.show(who, workflow_id, ask.version)
        await self._workflows.check_use(who, workflow_id, ask.version or shown.workflow.version, shown.definition)
        ask = await self._with_source(who, shown, ask)
        trigger = await self._trigger(who, shown, ask)
        trial = self._trial(shown.definition, Graph(shown.definition, trigger), ask)
        if ask.from_execution and (ask.node or ask.up_to):
            return await self._fork(who, shown, ask, trial, wait, key)
        if ask.from_execution and not ask.given:
            _, state = await self._executions.show(who, ask.from_execution)
            ask = msgspec.structs.replace(ask, input=state.trigger if state else None)
        request = RunRequest(
            workspace_id=who.workspace_id,
            workflow_id=shown.workflow.id,
            workflow_version=ask.version or shown.workflow.version,
            trigger_node=trigger,
            trigger=None if ask.node else ask.input,
            mode=TEST,
            actor=who.actor,
            idempotency_key=f"api:{TEST}:{key}" if key else "",
            wait=wait,
            trial=trial,
        )
        with acting_as(who.caller()):
            run = await self._frontend.run(request)
        return Tried(
            shown.workflow, request.workflow_version, run.execution_id, run.created, run.status, run.closed, run.result,
            run.error,
        )  # fmt: skip

    async def _with_source(self, who: Membership, shown: Shown, ask: Ask) -> Ask:
        """With the id of the run that is meant by ``last``; a node alone without an input has that of its last run."""
        wanted = split_key(ask.node)[0]
        known = {node.id for node in shown.definition.nodes}
        if wanted and not {wanted, ask.node} & known:
            hint = did_you_mean(wanted, known)
            raise _refused("/node", "unknown_node", f"The workflow has no node {wanted!r}.{hint}")
        if ask.node and not ask.given and not ask.from_execution:
            ask = msgspec.structs.replace(ask, from_execution=LAST)
        if ask.from_execution != LAST:
            return ask
        found = await self._executions.page(
            who, workflow_id=shown.workflow.id, status="", mode="", before="", limit=LOOKED_AT
        )
        for run in found.runs:
            if not wanted:
                return msgspec.structs.replace(ask, from_execution=run.id)
            nodes = await self._executions.nodes(who, run.id)
            if any(one.node and one.node.id == wanted and one.view.status != "skipped" for one in nodes):
                return msgspec.structs.replace(ask, from_execution=run.id)
        message = f"None of the latest {LOOKED_AT} runs came to {wanted!r}." if wanted else "There was no run yet."
        if ask.node:
            raise _refused("/input", "missing_field", f"{message} Give the node an input.")
        raise _refused("/from_execution", "no_run", f"{message} Leave it out.")

    async def _trigger(self, who: Membership, shown: Shown, ask: Ask) -> str:
        """The trigger node of the run: of one that goes on from another, that one's."""
        if ask.from_execution:
            execution, state = await self._executions.show(who, ask.from_execution)
            if execution.workflow_id != shown.workflow.id:
                raise _refused("/from_execution", "other_workflow", "That run is of another workflow.")
            known = {node.id for node in shown.definition.nodes}
            if state is not None and state.trigger_node in known:
                return state.trigger_node
        usable = [node for node in shown.definition.triggers if not node.disabled]
        if ask.trigger_node:
            usable = [node for node in usable if node.id == ask.trigger_node]
        if not usable:
            what = "There is no such trigger node." if ask.trigger_node else "The workflow has no trigger node."
            raise _refused("/trigger_node", "no_trigger", what)
        target = split_key(ask.node or ask.up_to)[0]
        leading = [node for node in usable if not target or target in Graph(shown.definition, node.id).nodes]
        first = leading or usable
        return next((node for node in first if node.type == "trigger_manual"), first[0]).id

    def _trial(self, definition: Definition, graph: Graph, ask: Ask) -> Trial:
        from linkflow.domain.mocking import (  # here: a cold start without them is shorter
            blocked,
            check_mocks,
            read_mocks,
        )

        mocks, problems = read_mocks(ask.mocks)
        problems += check_mocks(mocks, graph)
        if ask.unmocked not in (RUN, FAIL):
            problems.append(Problem("/unmocked", "invalid_value", f"Must be {RUN} or {FAIL}."))
        if ask.node and ask.up_to:
            problems.append(Problem("/up_to", "invalid_value", "Give node, or up_to, but not both."))
        kinds = {node.id: node.type for node in definition.nodes}
        problems += [
            Problem(f"/allow/{place}", "unknown_node", f"There is no node with the id or type {name!r}.")
            for place, name in enumerate(ask.allow)
            if name not in kinds and name not in kinds.values()
        ]
        target = "/node" if ask.node else "/up_to"
        id = _id_of(ask.node or ask.up_to, graph)
        try:
            if ask.node:
                check_alone(graph, id, target)
            elif ask.up_to:
                check_target(graph, id, target)
        except InvalidInput as error:
            problems += error.problems
        if problems:
            count = len(problems)
            raise InvalidInput(f"The test run has {count} {'fault' if count == 1 else 'faults'}.", problems=problems)
        alone = bool(ask.node) and not ask.from_execution
        return Trial(
            mocks=mocks,
            up_to="" if alone else id,
            alone=id if alone else "",
            given=alone,
            input=ask.input if alone else None,
            blocked=blocked(definition, mocks, self._acting.acts, ask.allow, id if ask.node else "")
            if ask.unmocked == FAIL
            else (),
            skip_delays=ask.skip_delays,
            error_workflow=ask.error_workflow,
            limits=ask.limits,
        )

    async def _fork(self, who: Membership, shown: Shown, ask: Ask, trial: Trial, wait: float, key: str) -> Tried:
        """Go on from what another run has done."""
        node = ask.node or ask.up_to
        graph = Graph(shown.definition, await self._trigger(who, shown, ask))
        if node in graph.nodes:  # without an iteration the first is meant
            node = key_of(node, tuple(0 for _ in graph.nodes[node].path))
        request = ForkRequest(
            ask.from_execution, who.workspace_id, "fork", node, ask.given, ask.input,
            ask.version or shown.workflow.version, actor=who.actor, trial=trial, fresh=bool(ask.up_to),
            idempotency_key=f"api:{TEST}:{key}" if key else "",
        )  # fmt: skip
        with acting_as(who.caller()):
            made = await self._frontend.fork(request)
        tried = Tried(shown.workflow, made.workflow_version, made.execution_id, made.created)
        return await self._waited(who, tried, wait) if wait > 0 else tried

    async def _waited(self, who: Membership, tried: Tried, wait: float) -> Tried:
        until, pause = self._clock.now_ms() + wait * 1000, 0.02
        while True:
            execution, state = await self._executions.show(who, tried.execution_id)
            if execution.status in CLOSED and state is not None:
                error = msgspec.to_builtins(state.error)
                return msgspec.structs.replace(
                    tried, status=execution.status, closed=True, result=state.result, error=error
                )
            left = (until - self._clock.now_ms()) / 1000
            if left <= 0:
                return msgspec.structs.replace(tried, status=execution.status)
            await self._clock.sleep(min(left, pause))
            pause = min(pause * 1.5, 0.5)

    async def saved(
        self, who: Membership, execution_id: str, nodes: Sequence[str] = (), ignore: Sequence[str] = (),
        by_id: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """A closed run as a test: its document, with the workflow in it, or `by_id`.

        Raises `NotFound`, `InvalidInput` for a run that goes on or whose payloads are too large.
        """
        from linkflow.domain.cases.facts import facts_of
        from linkflow.domain.cases.saving import save, slim

        execution = await self._executions.described(who, execution_id)
        if execution.status not in CLOSED:
            raise _refused("", "still_open", f"The run is {execution.status}: it can be saved when it has ended.")
        shown = await self._workflows.show(who, execution.workflow_id, execution.workflow_version)
        events = [event async for page in self._executions.pages(who, execution_id) for event in page]
        facts = facts_of(await Reader(self._frontend).show(who.caller(), events))
        graph = Graph(shown.definition, facts.trigger_node)
        unknown = [id for id in nodes if split_key(id)[0] not in graph.nodes and id not in graph.nodes]
        if unknown:
            raise _refused("/node", "unknown_node", f"The workflow has no node {unknown[0]!r}.")
        acting = {node.id for node in shown.definition.nodes if self._acting.acts(node.type, node.version)}
        stood_in = {run.id for run in facts.runs.values() if any(came.by == "mocked" for came in run.attempts)}
        document = save(
            facts, graph, name=f"{shown.definition.name}: {facts.status}", acting=acting | stood_in,
            workflow={"id": shown.workflow.id, "version": execution.workflow_version} if by_id
            else slim(msgspec.to_builtins(shown.definition)),
            started_at=execution.started_at, execution_id=execution_id, nodes=nodes, ignore=ignore,
        )  # fmt: skip
        if next(references(document), None) is not None:
            raise _refused("", "too_large", "What the run was given or came to is too large for a test file.")
        return document

    # Pins

    async def pin(
        self, who: Membership, workflow_id: str, node_id: str, pinned: Mapping[str, Any],
        expected: frozenset[int] | None = None,
    ) -> Shown:  # fmt: skip
        """Pin an `output`, an `error`, or what a node run of a past run came to (`execution_id`, and its key `node` if
        that is another). A new version of the definition.

        Raises `NotFound`, `InvalidInput`, and `VersionConflict` where the workflow is not as `expected`.
        """
        shown = await self._workflows.show(who, workflow_id)
        self._pinnable(shown.definition, node_id)
        kinds = [name for name in ("output", "error", "execution_id") if pinned.get(name) is not None]
        if len(kinds) != 1:
            fix = "Give an output (not null), an error, or an execution_id."
            raise _refused("", "invalid_value", fix)
        if kinds == ["execution_id"]:
            node_key = pinned.get("node") or node_id
            output, error = await self._past(who, shown, str(pinned["execution_id"]), node_id, str(node_key))
        elif kinds == ["error"]:
            from linkflow.domain.mocking import read_error

            read, problems = read_error(pinned["error"], "/error")
            if problems:
                raise InvalidInput("The error cannot be read.", problems=problems)
            output, error = None, read
        else:
            output, error = pinned["output"], None
        size = len(msgspec.json.encode(output))
        if size > MAX_PINNED:
            message = f"A pinned output may have {MAX_PINNED:,} bytes; this one has {size:,}. Give a test run a mock."
            raise _refused("/output", "too_large", message)
        return await self._set(who, workflow_id, shown, node_id, output, error, expected)

    async def unpin(
        self, who: Membership, workflow_id: str, node_id: str, expected: frozenset[int] | None = None
    ) -> Shown:
        """Take away what is pinned to a node. Raises `NotFound`, and `VersionConflict` as `pin`."""
        shown = await self._workflows.show(who, workflow_id)
        if node_id not in {node.id for node in shown.definition.nodes}:
            raise NotFound("There is no such node.")
        return await self._set(who, workflow_id, shown, node_id, None, None, expected)

    def _pinnable(self, definition: Definition, node_id: str) -> None:
        node = next((node for node in definition.nodes if node.id == node_id), None)
        if node is None:
            hint = did_you_mean(node_id, (one.id for one in definition.nodes))
            raise NotFound(f"There is no such node.{hint}")
        if node.type in TRIGGERS:
            raise _refused("", "is_trigger", "A trigger's output is the run's input: give the test run that.")

    async def _past(
        self, who: Membership, shown: Shown, execution_id: str, node_id: str, key: str
    ) -> tuple[Any, NodeError | None]:
        """What a node run of a past run came to."""
        if split_key(key)[0] != node_id and key != node_id:
            raise _refused("/node", "other_node", f"{key!r} is no run of {node_id!r}.")
        runs = await self._executions.nodes(who, execution_id)
        found = [run for run in runs if run.view.key == key]
        if not found or not await self._is_of(who, execution_id, shown.workflow.id):
            raise _refused("/execution_id", "never_reached", f"That is no run of this workflow that came to {key!r}.")
        (run,) = await self._executions.filled(who, found)
        if run.view.status == "failed" and run.view.error:
            return None, msgspec.convert(run.view.error, NodeError)
        if run.view.status != "completed" or run.view.output is None or _is_partial(run):
            over = "gave null" if run.view.status == "completed" else "did not complete"
            why = "is too large" if _is_partial(run) else over
            raise _refused("/execution_id", "no_output", f"{key!r} {why}: there is no output to pin.")
        return run.view.output, None

    async def _is_of(self, who: Membership, execution_id: str, workflow_id: str) -> bool:
        execution, _ = await self._executions.show(who, execution_id)
        return execution.workflow_id == workflow_id

    async def _set(
        self, who: Membership, workflow_id: str, shown: Shown, node_id: str, output: Any, error: NodeError | None,
        expected: frozenset[int] | None,
    ) -> Shown:  # fmt: skip
        nodes = [
            msgspec.structs.replace(node, pinned_output=output, pinned_error=error) if node.id == node_id else node
            for node in shown.definition.nodes
        ]
        changed = msgspec.structs.replace(shown.definition, nodes=tuple(nodes))
        part = {"nodes": _builtin(encode(changed))["nodes"]}
        at = expected if expected is not None else frozenset((shown.workflow.lock_version,))
        return await self._workflows.amend(who, workflow_id, part, at)


def _id_of(key: str, graph: Graph) -> str:
    return key if key in graph.nodes else split_key(key)[0]


def _is_partial(run: RunOfNode) -> bool:
    """Is its output so large that it does not come along?"""
    return next(references(run.view.output), None) is not None


def _refused(path: str, code: str, message: str) -> InvalidInput:
    return InvalidInput(message, problems=[Problem(path, code, message)])

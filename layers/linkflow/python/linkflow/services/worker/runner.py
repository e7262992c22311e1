"""Run one node: resolve its parameters, run it, and turn whatever happens into an outcome."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, get_args

import msgspec
from pydantic import ValidationError

from linkflow import tracing
from linkflow.domain.draft import input_of
from linkflow.domain.events import iso
from linkflow.domain.expressions import ExpressionError, Scope, compile_expression
from linkflow.domain.outcomes import Completed, Failed, NodeError, Outcome
from linkflow.domain.payloads import MARK, RESERVED, reserved
from linkflow.domain.policy import OPEN, type_fault
from linkflow.domain.redaction import Redactor
from linkflow.domain.state import State, decode, encode, split_key
from linkflow.metrics import NODE_SECONDS
from linkflow.nodes.base import Context, Egress, NodeFailure, NodeType
from linkflow.nodes.files import Files
from linkflow.nodes.given import takes_secrets
from linkflow.nodes.registry import told
from linkflow.nodes.scripts import Scripts
from linkflow.observability import Concealed, logger
from linkflow.ports import Clock
from linkflow.services.approval_links import ApprovalLinks

from .asking import links_of
from .beating import Pulse
from .bound import HostBound
from .concealing import conceal
from .plans import Plan, Step
from .reaching import Reaches
from .scope import scope_of
from .scripting import answers
from .speaking import Speaker
from .stepping import Opener
from .vault import Opened, Vault

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Outcome).decode

OUTCOMES: tuple[type, ...] = get_args(Outcome)
Ran = tuple[Outcome, int]
MAX_LOGS = 200
NO_ANSWERS: Mapping[str, Any] = MappingProxyType({})


class Runner:
    """Runs node runs. `egress` and `connections` are for nodes that go out, `scripts` runs what is a script."""

    def __init__(
        self, clock: Clock, egress: Egress | None, connections: Mapping[str, Mapping[str, Any]], max_payload: int,
        scripts: Scripts | None = None, reach: Reaches | None = None, steps: Opener | None = None,
        speaker: Speaker | None = None, vault: Vault | None = None, files: Callable[[str], Files] | None = None,
        links: ApprovalLinks | None = None,
    ) -> None:  # fmt: skip
        """`reach` gives the client for a workspace, in place of one for all, and its policy; `steps` what records the
        steps of a node run; `speaker` hears what nodes say while they run; `vault` opens credentials; `files` gives a
        workspace's files; `links` makes those by which people decide."""
        self._links = links
        self._steps = steps
        self._speaker = speaker
        self._vault = vault
        self._files = files
        self._scripts = scripts
        self._clock = clock
        self._egress_of: Callable[[str], Egress | None] = reach.of if reach else (lambda _workspace: egress)
        self._reach = reach
        self._connections = connections
        self._max_payload = max_payload

    def run_pure(self, plan: Plan, step: Step, state: State, key: str, attempt: int) -> Ran:
        """Run a pure node, here and now. Returns the outcome and about how many bytes it is."""
        context, scope = self._context(plan, step, state, key, attempt)
        logs: list[str] = []
        began = time.perf_counter()
        try:
            context.log = logs.append
            outcome = step.type.run(step.params(scope), context)
            if not isinstance(outcome, OUTCOMES) and inspect.isawaitable(outcome):
                raise TypeError(f"{step.type.type} says that it is pure, yet it waits.")
            ran = self._checked(outcome, logs)
        except Exception as error:
            ran = self._checked(_failed(step.type, error, logs), [])
        if tracing.on():
            _traced(step, state, key, attempt, time.perf_counter() - began, ran[0])
        return ran

    async def run(self, plan: Plan, step: Step, state: State, key: str, attempt: int, pulse: Pulse) -> Ran:
        """Run any node, within its start-to-close timeout. Returns the outcome and about how many bytes it is."""
        began = time.perf_counter()
        with Concealed() as secrets:
            outcome, size = await self._run(plan, step, state, key, attempt, pulse, secrets)
            if secrets.end is not None:
                secrets.end()
        if pulse.told is not None and isinstance(outcome, Failed):
            outcome = msgspec.structs.replace(outcome, heartbeat=pulse.told)
        took = time.perf_counter() - began
        NODE_SECONDS.observe(took, step.type.type, type(outcome).__name__.lower())
        if tracing.on():
            _traced(step, state, key, attempt, took, outcome)
        return outcome, size

    async def _run(
        self, plan: Plan, step: Step, state: State, key: str, attempt: int, pulse: Pulse, secrets: Concealed
    ) -> Ran:
        logs: list[str] = []
        limit = step.node.timeout.start_to_close if step.node.timeout else 0
        bound: asyncio.Timeout | None = None
        try:
            if not limit:
                outcome, most = await self._outcome(plan, step, state, key, attempt, pulse, secrets, logs)
            else:
                async with asyncio.timeout(limit) as bound:
                    outcome, most = await self._outcome(plan, step, state, key, attempt, pulse, secrets, logs)
            return self._checked(outcome, logs, secrets.by, most)
        except TimeoutError as error:
            if bound is None or not bound.expired():
                return self._checked(_failed(step.type, error, logs), [], secrets.by)
            late = NodeError("timeout", f"The attempt passed its start_to_close timeout of {limit:g} s.")
            return self._checked(Failed(late, timed_out="start_to_close", logs=tuple(logs[:MAX_LOGS])), [], secrets.by)
        except Exception as error:
            return self._checked(_failed(step.type, error, logs), [], secrets.by)

    async def _outcome(
        self, plan: Plan, step: Step, state: State, key: str, attempt: int, pulse: Pulse, secrets: Concealed,
        logs: list[str],
    ) -> tuple[Any, int]:  # fmt: skip
        """What the node gives, and how many bytes it may have by the workspace's policy."""
        found: dict[str, Any] = {}
        opened = None if step.type.pure else await self._opened(plan, step, state)
        secrets.by = opened.redactor if opened else None
        context, scope = self._context(plan, step, state, key, attempt, found, opened)
        context.scripts, context.random = None if step.type.pure else self._scripts, self._clock.random
        context.files = self._files(context.workspace_id) if self._files and not step.type.pure else None
        context.heartbeat, context.heartbeat_details = pulse.give, pulse.earlier
        context.log = logs.append
        if self._steps is not None:
            context.steps = self._steps(state, key, attempt)
        if self._speaker is not None:
            context.say = self._speaker.voice(state.execution_id, key, attempt)
        if opened is not None:
            secrets.end = conceal(context, opened.redactor)
        if step.scripts:
            found.update(await answers(self._scripts, step.scripts, scope or Scope(), self._clock))
        if self._reach is not None and not step.type.pure:
            context.spent = state.spent.cost if state.spent else 0
            context.policy = await self._reach.policy(state.workspace_id) or OPEN
            if fault := type_fault(context.policy, step.type.type):
                raise NodeFailure("policy_violation", fault, retryable=False)
        outcome = step.type.run(step.params(scope), context)
        if not isinstance(outcome, OUTCOMES) and inspect.isawaitable(outcome):
            outcome = await outcome
        return outcome, context.policy.max_payload

    async def _opened(self, plan: Plan, step: Step, state: State) -> Opened | None:
        """What the node may use that is secret; None where that is nothing."""
        opened = await self._vault.open(plan, step, state) if self._vault is not None else None
        return Opened(Redactor()) if opened is None and step.asks else opened

    def _context(
        self, plan: Plan, step: Step, state: State, key: str, attempt: int, answers: Mapping[str, Any] = NO_ANSWERS,
        opened: Opened | None = None,
    ) -> tuple[Context, Scope | None]:  # fmt: skip
        """What the node may use, and what its expressions see; `answers` may still be filled in."""
        if not step.ours:  # what it may change is its own
            state = decode(encode(state))
        run = state.runs[key]
        input = input_of(state, plan.graph, key)
        clock, graph = self._clock, plan.graph

        def scope() -> Scope:
            made = scope_of(state, graph, key, input, plan.definition.name, lambda: iso(clock.now_ms()), clock.random)
            made.answers = answers
            if opened is not None and takes_secrets(step.type):
                made.credentials = opened.named
                made.vars = {**made.vars, **opened.variables} if opened.variables else made.vars
                if step.asks and self._links is not None:
                    made.approvals = links_of(self._links, state, graph, key, clock.now_ms(), opened.redactor)
            return made

        many = len(run.sources) > 1 and (key not in state.edited or isinstance(input, dict))
        context = Context(
            input=input,
            execution_id=state.execution_id,
            node_id=step.node.id,
            node_name=step.node.label,
            workflow_id=state.workflow_id,
            workspace_id=state.workspace_id,
            idempotency_key=f"{state.execution_id}/{key}",
            attempt=attempt,
            now_ms=clock.now_ms(),
            trigger=state.trigger,
            inputs=input if many else {split_key(run.sources[0])[0]: input} if run.sources else {},
            egress=None if step.type.pure else self._egress_of(state.workspace_id),
            connections={} if step.type.pure else self._connections,
            credentials=opened.credentials if opened is not None else {},
            evaluate=lambda text: compile_expression(text).evaluate(scope()),
        )
        if opened is not None and opened.hosts and context.egress is not None:
            context.egress = HostBound(context.egress, opened.hosts)
        return context, None if step.is_constant and not step.scripts else scope()

    def _checked(self, outcome: Any, logs: list[str], secrets: Redactor | None = None, most: int = 0) -> Ran:
        """The outcome as it will be recorded: what JSON cannot carry, or what is too large, fails the node instead.
        Nothing in it is secret."""
        if logs and isinstance(outcome, Completed):
            outcome = msgspec.structs.replace(outcome, logs=tuple(logs[:MAX_LOGS]))
        try:
            data = _encode(outcome)
        except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"The result cannot be written as JSON: {type(error).__name__}."
            return Failed(NodeError("output_not_json", message, False)), 256
        if secrets and secrets.has(data):
            try:
                outcome = _decode(_encode(secrets.value(msgspec.json.decode(data))))
            except msgspec.ValidationError:  # a name of ours was in it
                return Failed(NodeError("result_redacted", "The result cannot be freed of secrets.", False)), 256
            data = _encode(outcome)
        if MARK in data and (at := reserved(msgspec.json.decode(data))):
            message = f"Names that begin with {RESERVED} are LinkFlow's own; the result has one at {at}."
            return Failed(NodeError("reserved_name", message, False)), 256
        most = min(most, self._max_payload) if most else self._max_payload
        if len(data) > most and (size := _largest(outcome, len(data))) > most:
            message = f"The output has {size:,} bytes; the limit is {most:,}."
            return Failed(NodeError("output_too_large", message, False)), 256
        if b"null" in data:  # perhaps a NaN, which JSON has not: what is recorded is what is written
            outcome = _decode(data)
        result: Outcome = outcome
        return result, len(data)


def _largest(outcome: Outcome, size: int) -> int:
    """Bytes of the largest value in an outcome of `size` bytes: an answer mostly holds the output once more."""
    if not isinstance(outcome, Completed) or not outcome.answers:
        return size
    return max(len(_encode(outcome.output)), len(_encode(outcome.respond)))


def _failed(node: NodeType, error: Exception, logs: list[str]) -> Failed:
    kept = tuple(logs[:MAX_LOGS])
    if isinstance(error, NodeFailure):
        return Failed(error.error, retry_after=error.retry_after, logs=kept, fresh=error.fresh)
    if isinstance(error, ExpressionError):
        return Failed(NodeError("expression_error", str(error), False), logs=kept)
    if isinstance(error, ValidationError):
        problems = told(node, error)[:10]
        message = " ".join(
            ["The parameters are not valid."] + [f"{one.path or '/'}: {one.message}" for one in problems]
        )
        details = {"problems": [{"path": one.path, "code": one.code, "message": one.message} for one in problems]}
        return Failed(NodeError("invalid_params", message, False, details), logs=kept)
    logger.error("A node crashed", exc_info=error)
    return Failed(NodeError("node_crashed", f"The node crashed with {type(error).__name__}.", False), logs=kept)


def _traced(step: Step, state: State, key: str, attempt: int, seconds: float, outcome: Outcome) -> None:
    """An attempt of a node is a span of its run."""
    end = time.time_ns()
    about: dict[str, str | int | float | bool] = {
        "linkflow.node": key, "linkflow.node.type": step.type.type, "linkflow.attempt": attempt,
        "linkflow.outcome": type(outcome).__name__.lower(),
    }  # fmt: skip
    error = outcome.error.code if isinstance(outcome, Failed) else ""
    start = end - int(seconds * 1e9)
    tracing.run_span(
        state.execution_id, f"node {step.type.type}", start, end, ("node", key, attempt), attributes=about, error=error
    )

"""Steps inside a node, recorded with History as they are done.

What was recorded is asked for when the node takes its first step, and not taken from the task: that may be as old as
the attempt, and somebody else may have worked on it since. Nodes without steps pay nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import msgspec

from linkflow.contracts.history import CompleteBatch, HistoryApi, LoadRequest, Recorded, StepReport
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.payloads import MARK, RESERVED, reserved
from linkflow.domain.state import SCHEDULED, State, decode
from linkflow.domain.steps import MAX_STEPS, Step, Stepped
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.steps import Done, Steps, Work
from linkflow.observability import logger
from linkflow.ports import Clock
from linkflow.services.payloads import Payloads

from .reporter import PASSING

FIRST_WAIT, LONGEST_WAIT = 0.1, 2.0

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Stepped).decode

Opener = Callable[[State, str, int], Steps]
"""Gives the steps of a node run: state, key, attempt."""


class Recorders:
    """Makes the steps of node runs. `max_payload` and `max_resolved` are bytes: of one step, and of all that are read
    again."""

    def __init__(
        self, history: HistoryApi, payloads: Payloads | None, clock: Clock, worker: str, max_payload: int,
        max_resolved: int,
    ) -> None:  # fmt: skip
        self.history = history
        self.payloads = payloads
        self.clock = clock
        self.worker = worker
        self.max_payload = max_payload
        self.max_resolved = max_resolved

    def of(self, state: State, key: str, attempt: int) -> Steps:
        return Recorder(self, state.workspace_id, state.execution_id, key, attempt)


class Recorder:
    """Implements `linkflow.nodes.steps.Steps` for one attempt."""

    def __init__(self, shared: Recorders, workspace_id: str, execution_id: str, key: str, attempt: int) -> None:
        self._shared = shared
        self._workspace = workspace_id
        self._execution = execution_id
        self._key = key
        self._attempt = attempt
        self._known: dict[str, Done] | None = None
        self._loading = asyncio.Lock()

    async def find(self, id: str) -> Done | None:
        return (await self._recorded()).get(id)

    async def run(self, id: str, work: Work, *, kind: str = "", name: str = "", input: object = None) -> Done:
        known = await self._recorded()
        if id in known:
            return known[id]
        if len(known) >= MAX_STEPS:
            message = f"A node run takes at most {MAX_STEPS:,} steps. Let a sub-workflow do a part of it."
            raise NodeFailure("too_many_steps", message, retryable=False)
        started, clock = self._shared.clock.now_ms(), time.perf_counter()
        done = await work()
        took = round((time.perf_counter() - clock) * 1_000_000)
        step = self._checked(Stepped(id, kind, name, input, done.output, done.error, done.usage, started, took))
        answer = await self._offer(StepReport(self._execution, self._key, self._attempt, step, self._shared.worker))
        if answer.error is not None:
            raise NodeFailure("step_refused", f"The step could not be recorded: {answer.error.message}")
        if not answer.recorded:
            # Our own report whose answer was lost, or another worker was first: what is there counts for all.
            known = await self._recorded(again=True)
            if id in known:
                return known[id]
            raise self._over()
        known[id] = Done(step.output, step.error, step.usage)
        return known[id]

    def _checked(self, step: Stepped) -> Stepped:
        """The step as it will be recorded, and read again."""
        try:
            data = _encode(step)
        except (UnicodeEncodeError, TypeError, ValueError, OverflowError, RecursionError) as error:
            message = f"What the step {step.id!r} came to cannot be written as JSON: {type(error).__name__}."
            raise NodeFailure("step_not_json", message, retryable=False) from None
        if MARK in data and (at := reserved([step.input, step.output])):
            message = f"Names that begin with {RESERVED} are LinkFlow's own; the step {step.id!r} has one at {at}."
            raise NodeFailure("reserved_name", message, retryable=False)
        limit = self._shared.max_payload
        if len(data) > limit and max(len(_encode(step.input)), len(_encode(step.output))) > limit:
            message = f"The step {step.id!r} has more than {limit:,} bytes, the limit of a payload."
            raise NodeFailure("step_too_large", message, retryable=False)
        return _decode(data)

    async def _offer(self, report: StepReport) -> Recorded:
        """Offer until History has taken it."""
        wait = FIRST_WAIT
        while True:
            try:
                reply = await self._shared.history.complete(CompleteBatch(steps=(report,), worker=self._shared.worker))
            except LinkFlowError as error:
                if not error.retryable:
                    raise NodeFailure("step_refused", f"The step could not be recorded: {error.message}") from None
                logger.warning("History does not take a step now", extra={"code": error.code})
            else:
                if not reply.steps:  # a History of a release that knows none: one of ours comes soon
                    raise NodeFailure("step_refused", "History does not record steps yet.")
                answer = reply.steps[0]
                if answer.error is None or answer.error.code not in PASSING:
                    return answer
            await asyncio.sleep(wait)
            wait = min(wait * 2, LONGEST_WAIT)

    async def _recorded(self, again: bool = False) -> dict[str, Done]:
        async with self._loading:
            if self._known is None or again:
                self._known = {**(self._known or {}), **await self._load()}
            return self._known

    async def _load(self) -> dict[str, Done]:
        reply = await self._shared.history.load(LoadRequest((self._execution,)))
        state = next((decode(item.state) for item in reply.states), None)
        run = state.runs.get(self._key) if state is not None and not state.closed else None
        if run is None or run.status != SCHEDULED or run.attempt != self._attempt:
            raise self._over()
        steps = run.progress.steps if run.progress else ()
        outputs = await self._whole([step.output for step in steps]) if steps else []
        return {step.id: _done(step, output) for step, output in zip(steps, outputs, strict=True)}

    async def _whole(self, outputs: list[object]) -> list[object]:
        payloads = self._shared.payloads
        if payloads is None:
            return outputs
        try:
            found: list[object] = await payloads.resolve(self._workspace, outputs, self._shared.max_resolved)
        except LinkFlowError as error:
            code = "step_unreadable" if error.retryable else "payload_lost"
            raise NodeFailure(code, error.message, retryable=error.retryable, details=error.details) from None
        return found

    def _over(self) -> NodeFailure:
        return NodeFailure("attempt_over", "This attempt is over: another one goes on, or the run has ended.")


def _done(step: Step, output: object) -> Done:
    return Done(output, step.error)

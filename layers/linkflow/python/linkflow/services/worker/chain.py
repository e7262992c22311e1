"""Fusion: run a task, and then the pure nodes that it makes due, one after another.

They are recorded together with the task's own result. A crash runs again only what was never recorded and, but for the
task itself, had no effect outside. History decides all of it again on the true state, so a forecast that was overtaken
by a parallel branch is refused there and costs nothing but time.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

from linkflow.contracts.history import Report, Task
from linkflow.domain import commands as c
from linkflow.domain.decider import Session
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.limits import LimitReached
from linkflow.domain.outcomes import Completed, Failed, Iterate, NodeError, Outcome, Repeat
from linkflow.domain.packing import pack
from linkflow.domain.payloads import Stowage
from linkflow.domain.state import SCHEDULED, State, key_of, split_key
from linkflow.ports import Clock

from .beating import Pulse
from .forecasts import Forecasts
from .hydration import Hydration
from .plans import Plan, Step
from .runner import Ran, Runner
from .spell import Spell

MAX_CHAIN = 2000
"""Results recorded in one go."""
MAX_BYTES = 1024 * 1024
"""A chain whose results are larger is recorded before it goes on."""
MAX_ASIDE = 8 * 1024 * 1024
"""The same for results that are set aside, which a chain holds twice."""
PACKED = 1024
"""About how many bytes a result is whose payload was set aside."""
BREATH = 50
"""Results after which the other tasks of this worker get a turn."""
MAX_SECONDS = 0.125
"""A chain that took more, and as much again of CPU (so that a busy machine cuts it no shorter), is recorded before it
goes on."""


class Chain:
    """One task and what follows from it. `reports` is what there is to record."""

    def __init__(
        self, task: Task, plan: Plan, state: State, runner: Runner, clock: Clock, worker: str, blob_limit: int,
        hydrate: Callable[[State], Hydration] | None = None, forecasts: Forecasts | None = None,
    ) -> None:  # fmt: skip
        """Results over `blob_limit` bytes are set aside. `hydrate` brings in what the state refers to; None where it
        refers to nothing. `forecasts` are shared with other tasks of the run."""
        self._task = task
        self._plan = plan
        self._clock = clock
        self._forecasts = forecasts if hydrate is None else None  # what is brought in is not for the others
        self._session = self._forecast(state) if hydrate or plan.leads_on(task.node_key) else None
        self._state = self._session.state if self._session else state
        self._runner = runner
        self._worker = worker
        run = state.runs.get(task.node_key)
        self.pulse = Pulse(run.beat if run is not None else None)
        self._stow = Stowage(state.workspace_id, state.execution_id, blob_limit)
        self._hydration = hydrate(self._state) if hydrate else None
        self.reports: list[Report] = []
        self.size = self.aside = 0
        self._fault: Ran | None = None
        self._path = split_key(task.node_key)[1]
        self._loops: set[str] = set()
        self._over = False

    def _forecast(self, state: State) -> Session:
        """Not made where nothing can be fused on: then the state stays as it is."""
        if self._forecasts is not None:
            session = self._forecasts.of(self._plan, state, self._clock.now_ms())
            if _is_due(session.state, self._task):
                return session  # else another task's forecast ends this one, and History may see it otherwise
        return Session(self._plan.graph, self._plan.definition.settings, state, self._clock.now_ms())

    @property
    def stow(self) -> Stowage:
        """What has to be kept before the results are recorded."""
        return self._stow

    @property
    def is_current(self) -> bool:
        """Is the task still due in the state it came with? An older state knows nothing of a later attempt."""
        return _is_due(self._state, self._task)

    def step(self, key: str) -> Step | None:
        id = key if key in self._plan.graph.nodes else split_key(key)[0]
        return self._plan.step(id)

    async def prepare(self) -> None:
        """Bring in what the task's node reads. Raises where a store does not answer now."""
        key = self._task.node_key
        step = self.step(key)
        if step is not None:
            self._fault = await self._hydrate(step, key)

    async def run(self) -> None:
        """Run the task, then what is fusible behind it."""
        spell = Spell(MAX_SECONDS)
        key, attempt = self._task.node_key, self._task.attempt
        step = self.step(key)
        started, clock = self._clock.now_ms(), time.perf_counter()
        if step is None:
            node = self._plan.graph.nodes[split_key(key)[0]].node
            what = f"node type {node.type!r}" + (f" in version {node.version}" if node.version > 1 else "")
            unknown = NodeError("unknown_node_type", f"This worker has no {what}.", False)
            ran: Ran = (Failed(unknown), 256)
        elif self._fault is not None:
            ran = self._fault
        elif step.fusible:
            ran = self._runner.run_pure(self._plan, step, self._state, key, attempt)
        else:
            ran = await self._runner.run(self._plan, step, self._state, key, attempt, self.pulse)
        due = deque(self._record(key, attempt, ran, started, clock))
        while due and not self._over and self.size < MAX_BYTES and self.aside < MAX_ASIDE:
            if len(self.reports) >= MAX_CHAIN:
                break
            if spell.over:
                break
            await self._next(due)
            if len(self.reports) % BREATH == 0:
                await asyncio.sleep(0)

    async def _next(self, due: deque[tuple[str, int]]) -> None:
        key, attempt = due.popleft()
        step = self.step(key)
        if step is None or not step.fusible or not self._is_ours(key):
            return
        started, clock = self._clock.now_ms(), time.perf_counter()
        try:
            ran = self._hydration and await self._hydrate(step, key)
        except LinkFlowError:  # what is done is recorded; the rest comes back as a task, and rests there
            self._over = True
            return
        ran = ran or self._runner.run_pure(self._plan, step, self._state, key, attempt)
        due.extend(self._record(key, attempt, ran, started, clock))

    async def _hydrate(self, step: Step, key: str) -> Ran | None:
        """Bring in what the node run reads; how it ends where that cannot be had."""
        fault = await self._hydration.prepare(step, key) if self._hydration else None
        return (Failed(fault), 256) if fault else None

    def _is_ours(self, key: str) -> bool:
        """Is this node run surely nobody else's? What lies behind the task in its own iteration, and loops that began
        here, are; the next item of a loop that others work on as well is for History to give out."""
        node, path = split_key(key) if key not in self._plan.graph.nodes else (key, ())
        loop = self._plan.graph.nodes[node].loop
        return path == self._path[: len(path)] or key_of(loop or "", path[:-1]) in self._loops

    def _record(self, key: str, attempt: int, ran: Ran, started: int, clock: float) -> list[tuple[str, int]]:
        outcome, size = ran
        if isinstance(outcome, Iterate | Repeat):
            self._loops.add(key)
        took = round((time.perf_counter() - clock) * 1_000_000)
        told: Outcome = outcome
        if size > self._stow.limit:
            told = pack(outcome, self._stow)
            if told is not outcome:
                self.aside += size
                size = PACKED
        self.size += size
        if self._hydration and isinstance(outcome, Completed):
            self._hydration.made(key)
        self.reports.append(Report(self._task.execution_id, key, attempt, told, started, took, self._worker))
        if self._session is None:
            return []
        command = c.Complete(key, attempt, outcome, started, took, self._worker)
        try:
            return self._session.complete(command, self._clock.now_ms())
        except LimitReached:  # History says what becomes of that
            self._over = True
            if self._forecasts is not None:
                self._forecasts.drop(self._task.execution_id)
            return []


def _is_due(state: State, task: Task) -> bool:
    run = state.runs.get(task.node_key)
    return run is not None and run.status == SCHEDULED and run.attempt == task.attempt

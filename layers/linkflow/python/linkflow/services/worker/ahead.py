"""The head start: pure nodes at the front of a run are run in the run's very first transaction.

A run of pure nodes alone is then one commit, with no task, no stream and no second transaction; any other run is handed
over at its first node that has an effect. Nothing of it was promised to anybody before the commit, so a crash leaves
nothing behind and the repeated start does it again.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque

from linkflow.domain import commands as c
from linkflow.domain.decider import Session
from linkflow.domain.definition import Definition
from linkflow.domain.outcomes import Iterate
from linkflow.domain.state import split_key
from linkflow.nodes.registry import Registry
from linkflow.ports import Clock

from .plans import Plan
from .runner import Runner
from .spell import Spell

MAX_RESULTS = 200
MAX_BYTES = 256 * 1024
MAX_ITEMS = 50
"""Iterations of a loop: a longer one is a worker's from its beginning, in one chain. Of what the head start left, each
item would be a task of its own."""
MAX_SECONDS = 0.01
"""Seconds, and then as many of CPU, so that a busy machine does no less. A front that is longer than any of these goes
on in a worker: other starts wait for the same commit."""


class HeadStart:
    """Implements `linkflow.ports.Ahead`."""

    def __init__(self, registry: Registry, clock: Clock, max_payload: int, name: str, size: int = 512) -> None:
        self._registry = registry
        self._clock = clock
        self._runner = Runner(clock, None, {}, max_payload)
        self._name = name
        self._size = size
        self._plans: OrderedDict[tuple[str, int, str], Plan] = OrderedDict()

    def run(self, start: c.Start, definition: Definition, session: Session) -> None:
        """Complete what is pure, from the front on, in `session`. It never raises: what fails is a failed node run."""
        plan = self._plan(start, definition)
        due, spell = deque(session.due()), Spell(MAX_SECONDS)
        count = size = 0
        while due and count < MAX_RESULTS and size < MAX_BYTES and not spell.over:
            key, attempt = due.popleft()
            step = plan.step(key if key in plan.graph.nodes else split_key(key)[0])
            if step is None or not step.fusible:
                continue
            started, clock = self._clock.now_ms(), time.perf_counter()
            outcome, bytes_ = self._runner.run_pure(plan, step, session.state, key, attempt)
            if isinstance(outcome, Iterate) and len(outcome.items) > MAX_ITEMS:
                continue
            took = round((time.perf_counter() - clock) * 1_000_000)
            command = c.Complete(key, attempt, outcome, started, took, self._name)
            due.extend(session.complete(command, self._clock.now_ms()))
            count, size = count + 1, size + bytes_

    def _plan(self, start: c.Start, definition: Definition) -> Plan:
        key = (start.workflow_id, start.workflow_version, start.trigger_node)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plans[key] = Plan(definition, start.trigger_node, self._registry)
            plan.import_types()
            if len(self._plans) > self._size:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

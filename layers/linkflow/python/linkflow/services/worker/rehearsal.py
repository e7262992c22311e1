"""A workflow played in memory: the real decider and the real runner, but no stores, no queue and no other process.

It is how examples of node types are tried, on the command line and in tests. What waits for the world (a delay, an
event, people, a sub-workflow) is left waiting: the rehearsal ends there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Session
from linkflow.domain.definition import Definition
from linkflow.domain.outcomes import Failed, NodeError, Outcome
from linkflow.domain.state import State, split_key
from linkflow.domain.trial import MANUAL, TEST, Trial
from linkflow.nodes.base import Egress
from linkflow.nodes.files import Files
from linkflow.nodes.registry import Registry
from linkflow.nodes.scripts import Scripts
from linkflow.ports import Clock

from .beating import Pulse
from .plans import Plan
from .runner import Runner

MAX_RUNS = 10_000
"""Node runs after which a rehearsal gives up."""


class Played(Struct, frozen=True):
    """How a rehearsal ended: the run's state, and what each node run came to last, by its key."""

    state: State
    outcomes: Mapping[str, Outcome]
    events: tuple[e.Event, ...] = ()


class Rehearsal:
    """Plays definitions with the node types of `registry`. `egress` and `connections` are for nodes that go out."""

    def __init__(
        self, registry: Registry, clock: Clock, egress: Egress | None = None,
        connections: Mapping[str, Mapping[str, Any]] | None = None, max_payload: int = 1024 * 1024,
        scripts: Scripts | None = None, files: Callable[[str], Files] | None = None,
    ) -> None:  # fmt: skip
        self._registry = registry
        self._clock = clock
        self._runner = Runner(clock, egress, connections or {}, max_payload, scripts, files=files)

    async def play(self, definition: Definition, data: Any, trigger: str = "", trial: Trial | None = None) -> Played:
        """Run `definition` from `trigger` (else its first one) with this trigger data, as far as it goes by itself; as
        a test run with a `trial`."""
        entry = trigger or definition.triggers[0].id
        plan = Plan(definition, entry, self._registry)
        start = c.Start("rehearsal", "workspace", "workflow", 1, entry, data, TEST if trial else MANUAL, trial=trial)
        session = Session.of_start(plan.graph, definition.settings, start, self._clock.now_ms(), 0.0)
        outcomes: dict[str, Outcome] = {}
        due = session.due()
        while due and len(outcomes) < MAX_RUNS:
            key, attempt = due.pop(0)
            outcome = outcomes[key] = await self._run(plan, session.state, key, attempt)
            now = self._clock.now_ms()
            due += session.complete(c.Complete(key, attempt, outcome, now, 0, "rehearsal"), now)
        return Played(session.state, outcomes, session.decision().events)

    async def _run(self, plan: Plan, state: State, key: str, attempt: int) -> Outcome:
        step = plan.step(key if key in plan.graph.nodes else split_key(key)[0])
        if step is None:
            return Failed(NodeError("unknown_node_type", "There is no such node type.", False))
        return (await self._runner.run(plan, step, state, key, attempt, Pulse()))[0]

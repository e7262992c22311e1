"""Playing test cases in this process: the real engine, with a clock that stands, and no stores."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from linkflow.domain import events as e
from linkflow.domain.cases.facts import Facts, facts_of
from linkflow.domain.cases.model import Case
from linkflow.domain.cutting import check_target
from linkflow.domain.definition import Definition
from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.graph import Graph
from linkflow.domain.mocking import blocked, check_mocks
from linkflow.domain.trial import Trial
from linkflow.nodes.base import Egress
from linkflow.nodes.registry import Registry
from linkflow.nodes.scripts import Scripts
from linkflow.services.worker.rehearsal import Rehearsal

from .trying import Connections, FixedClock, files

_events = msgspec.json.Decoder(list[dict[str, Any]])


class StandingClock(FixedClock):
    """One moment, chosen by the test."""

    def __init__(self, now_ms: int) -> None:
        self._now = now_ms or super().now_ms()

    def now_ms(self) -> int:
        return self._now


def check_case(case: Case, definition: Definition, registry: Registry) -> list[Problem]:
    """What of a test does not fit its workflow: nodes that are not there."""
    problems: list[Problem] = []
    triggers = [node.id for node in definition.triggers if not node.disabled]
    if case.trigger and case.trigger not in triggers:
        message = f"The workflow has no trigger {case.trigger!r}; it has {', '.join(triggers)}."
        return [Problem("/trigger", "no_trigger", message)]
    if not triggers:
        return [Problem("/workflow", "no_trigger", "The workflow has no trigger to start from.")]
    graph = Graph(definition, trigger_of(case, definition))
    problems += check_mocks(case.mocks, graph)
    if case.up_to:
        try:
            check_target(graph, case.up_to, "/up_to")
        except InvalidInput as error:
            problems += error.problems
    kinds = {node.id: node.type for node in definition.nodes}
    for place, name in enumerate(case.allow):
        if name not in kinds and registry.canonical(name) not in kinds.values():
            message = f"The workflow has no node with the id or type {name!r}."
            problems.append(Problem(f"/allow/{place}", "unknown_node", message))
    named = {f"/expect/nodes/{_escape(key)}": key for key in case.expect.nodes}
    path = case.expect.path
    named |= {f"/expect/path/{place}": id for place, id in enumerate(path)} if isinstance(path, tuple) else {}
    for at, key in named.items():
        if key not in kinds and key.partition("[")[0] not in kinds:
            problems.append(Problem(at, "unknown_node", f"The workflow has no node {key!r}."))
    return problems


def _escape(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


def trigger_of(case: Case, definition: Definition) -> str:
    """The trigger node that a test starts from."""
    usable = [node for node in definition.triggers if not node.disabled]
    manual = (node.id for node in usable if node.type == "trigger_manual")
    return case.trigger or next(manual, usable[0].id)


def trial_of(case: Case, definition: Definition, registry: Registry) -> Trial:
    """How the test's run differs from others: mocks, no delays, and nothing that acts unless it is allowed."""
    allow = (*case.allow, *(type for name in case.allow if (type := registry.canonical(name))))
    stopped = blocked(definition, case.mocks, registry.acts, allow)
    return Trial(mocks=case.mocks, up_to=case.up_to, blocked=stopped, skip_delays=True)


class Player:
    """Plays cases. `egress` and `connections` are for nodes that a test allows to act."""

    def __init__(
        self, registry: Registry, egress: Egress | None, connections: Connections, scripts: Scripts | None
    ) -> None:
        self._registry = registry
        self._egress = egress
        self._connections: Mapping[str, Mapping[str, Any]] = connections
        self._scripts = scripts

    async def play(self, case: Case, definition: Definition) -> Facts:
        """The case's run, as far as it goes by itself."""
        clock = StandingClock(case.now)
        rehearsal = Rehearsal(
            self._registry, clock, self._egress, self._connections, scripts=self._scripts, files=files(clock)
        )
        trial = trial_of(case, definition, self._registry)
        played = await rehearsal.play(definition, case.input, trigger_of(case, definition), trial)
        return facts_of(_events.decode(e.encode(played.events)))

"""Making a scenario smaller while the two still disagree about it."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import replace

from linkflow.domain.definition import Definition, Settings

from .play import Play
from .scenario import Scenario
from .stage import Stage
from .stepping import perform
from .world import World

ROUNDS = 40


async def shrink(stage: Stage, scenario: Scenario, interpreter: type[World] = World) -> Play:
    """The play of the smallest scenario found: each round tries every smaller one at once."""
    smallest = Play(scenario, 1, interpreter)
    await perform(stage, [smallest])
    for round in range(1, ROUNDS):
        plays = [
            Play(smaller, round * 10_000 + place, interpreter)
            for place, smaller in enumerate(_smaller(smallest.scenario))
        ]
        await perform(stage, plays)
        found = next((play for play in plays if play.fault), None)
        if found is None:
            break
        smallest = found
    return smallest


def _smaller(scenario: Scenario) -> Iterator[Scenario]:
    """Every scenario with one thing less, the largest steps first."""
    for name, definition in scenario.workflows.items():
        for node in definition.nodes:
            if node.id != "t":
                yield scenario.with_workflow(name, _without_node(definition, node.id))
    for index in range(len(scenario.verbs)):
        yield scenario.without_verb(index)
    for name, definition in scenario.workflows.items():
        if definition.settings != Settings():
            yield scenario.with_workflow(name, replace(definition, settings=Settings()))
        for index in range(len(definition.edges)):
            edges = definition.edges[:index] + definition.edges[index + 1 :]
            yield scenario.with_workflow(name, _reachable(replace(definition, edges=edges)))
        for index, node in enumerate(definition.nodes):
            for field in ("retry", "timeout", "on_error", "join", "disabled", "pinned_output", "pinned_error"):
                plain = {"retry": None, "timeout": None, "on_error": "stop", "join": "all", "disabled": False}.get(
                    field
                )
                if getattr(node, field) != plain:
                    nodes = list(definition.nodes)
                    nodes[index] = replace(node, **{field: plain})
                    yield scenario.with_workflow(name, replace(definition, nodes=tuple(nodes)))


def _without_node(definition: Definition, id: str) -> Definition:
    nodes = tuple(node for node in definition.nodes if node.id != id)
    edges = tuple(edge for edge in definition.edges if id not in (edge.source, edge.target))
    return _reachable(replace(definition, nodes=nodes, edges=edges))


def _reachable(definition: Definition) -> Definition:
    """Without what the trigger does not reach any more."""
    found = {"t"}
    while more := {edge.target for edge in definition.edges if edge.source in found} - found:
        found |= more
    nodes = tuple(node for node in definition.nodes if node.id in found)
    return replace(definition, nodes=nodes, edges=tuple(edge for edge in definition.edges if edge.source in found))

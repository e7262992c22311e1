"""Faults in how nodes are joined: ends that lead nowhere, cycles, loop bodies that are not closed."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from linkflow.domain.definition import EACH, LOOPS, NOTE, TRIGGERS, Definition, Edge, Node
from linkflow.domain.graph import adjacency, leads_cleanup, loop_body, reachable, topological
from linkflow.domain.validation.cleanup import check_cleanup
from linkflow.domain.validation.findings import Findings
from linkflow.domain.validation.places import show

Placed = list[tuple[int, Edge]]
"""Edges with their places in the definition."""

_NAMED = 8
"""Nodes of a cycle that a message names."""


def check_structure(definition: Definition, findings: Findings) -> None:
    """All structural faults. Edges with an unknown end are reported, and then as if they were not there."""
    by_id: dict[str, Node] = {}
    for node in definition.nodes:
        by_id.setdefault(node.id, node)
    edges = _sound_edges(definition, by_id, findings)
    _check_triggers(by_id, edges, findings)
    leads = [(place, edge) for place, edge in edges if leads_cleanup(edge, by_id)]
    edges = [(place, edge) for place, edge in edges if not leads_cleanup(edge, by_id)]
    outgoing = adjacency([edge for _, edge in edges], by_id)
    bodies = {id: loop_body(id, outgoing) for id, node in by_id.items() if node.type in LOOPS}
    _check_cycles(by_id, edges, bodies, findings)
    triggers = [id for id, node in by_id.items() if node.type in TRIGGERS]
    if triggers:
        if leads:
            reached = check_cleanup(triggers, leads, edges, outgoing, bodies, findings)
        else:
            reached = reachable(triggers, outgoing)
        _check_reach(definition, reached, findings)
        starts = [*triggers, *(edge.target for _, edge in leads)]
        _check_bodies(starts, edges, outgoing, bodies, findings)


def _sound_edges(definition: Definition, by_id: Mapping[str, Node], findings: Findings) -> Placed:
    sound: Placed = []
    ids: set[str] = set()
    for place, edge in enumerate(definition.edges):
        path = f"/edges/{place}"
        if edge.id in ids:
            findings.error(f"{path}/id", "duplicate_edge_id", f"Another edge has the id {show(edge.id)} already.")
        ids.add(edge.id)
        if edge.source not in by_id:
            findings.error(f"{path}/source", "edge_source_missing", f"There is no node {show(edge.source)}.")
        if edge.target not in by_id:
            findings.error(f"{path}/target", "edge_target_missing", f"There is no node {show(edge.target)}.")
        if edge.source in by_id and edge.source == edge.target:
            findings.error(path, "self_edge", f"Node {show(edge.source)} is joined to itself.")
        elif edge.source in by_id and edge.target in by_id:
            sound.append((place, edge))
    return sound


def _check_triggers(by_id: Mapping[str, Node], edges: Placed, findings: Findings) -> None:
    if not any(node.type in TRIGGERS for node in by_id.values()):
        findings.error("/nodes", "no_trigger", f"A workflow needs a trigger: a node of type {' or '.join(TRIGGERS)}.")
    for place, edge in edges:
        if by_id[edge.target].type in TRIGGERS:
            message = f"{show(edge.target)} is a trigger: a run starts there, so no edge can lead to it."
            findings.error(f"/edges/{place}", "trigger_with_incoming_edge", message)


def _check_reach(definition: Definition, reached: Collection[str], findings: Findings) -> None:
    for place, node in enumerate(definition.nodes):
        if node.id not in reached and node.type != NOTE and not findings.is_reported(f"/nodes/{place}/id"):
            message = f"No trigger leads to {show(node.label)}, so it is not part of any run."
            findings.warn(f"/nodes/{place}", "unreachable", message)


def _check_cycles(
    by_id: Mapping[str, Node], edges: Placed, bodies: Mapping[str, Collection[str]], findings: Findings
) -> None:
    """One problem for each group of nodes that wait for each other, at the edge that closes a shortest cycle in it."""
    forward = [(place, edge) for place, edge in edges if edge.source not in bodies.get(edge.target, ())]
    left = set(by_id) - set(topological(list(by_id), [edge for _, edge in forward]))
    # From the other end: what is only behind a cycle falls away as well.
    reverse = [Edge(id="", source=edge.target, target=edge.source) for _, edge in forward if edge.target in left]
    left -= set(topological([id for id in by_id if id in left], reverse))
    outgoing: dict[str, Placed] = {}
    for place, edge in forward:
        if edge.source in left and edge.target in left:
            outgoing.setdefault(edge.source, []).append((place, edge))
    for start in by_id:
        if start in left and (cycle := _shortest_cycle(start, outgoing)):
            names = " → ".join(show(edge.source) for _, edge in cycle[:_NAMED])
            more = f" → … ({len(cycle)} nodes)" if len(cycle) > _NAMED else ""
            message = f"These nodes wait for each other: {names}{more} → {show(start)}. Only a loop may lead back."
            findings.error(f"/edges/{cycle[-1][0]}", "cycle", message)
            left -= _tangle(start, outgoing)


def _shortest_cycle(start: str, outgoing: Mapping[str, Placed]) -> Placed:
    """The edges of a shortest way from `start` back to it (breadth first); empty where there is none."""
    came: dict[str, tuple[int, Edge]] = {}
    queue = [start]
    for id in queue:
        for place, edge in outgoing.get(id, ()):
            if edge.target in came:
                continue
            came[edge.target] = (place, edge)
            if edge.target == start:
                return _way_back(start, came)
            queue.append(edge.target)
    return []


def _way_back(start: str, came: Mapping[str, tuple[int, Edge]]) -> Placed:
    way = [came[start]]
    while way[-1][1].source != start:
        way.append(came[way[-1][1].source])
    return way[::-1]


def _tangle(start: str, outgoing: Mapping[str, Placed]) -> set[str]:
    """All nodes on a cycle with `start`: its strongly connected component."""
    ahead = {id: [edge for _, edge in edges] for id, edges in outgoing.items()}
    back: dict[str, list[Edge]] = {}
    for edges in ahead.values():
        for edge in edges:
            back.setdefault(edge.target, []).append(Edge(id="", source=edge.target, target=edge.source))
    return reachable([start], ahead) & reachable([start], back)


def _check_bodies(
    starts: list[str],
    edges: Placed,
    outgoing: Mapping[str, list[Edge]],
    bodies: Mapping[str, Collection[str]],
    findings: Findings,
) -> None:
    """A node of a loop's body must not also run outside of it: it would run once for each item and once besides."""
    for loop, body in bodies.items():
        without_each = {**outgoing, loop: [edge for edge in outgoing.get(loop, ()) if edge.source_output != EACH]}
        outside = reachable(starts, without_each)
        shared = outside & set(body)
        if findings.is_full:
            return  # each further loop costs a walk of the graph
        if shared and loop in outside:
            _report_shared(loop, shared, edges, bodies, findings)


def _report_shared(
    loop: str, shared: Collection[str], edges: Placed, bodies: Mapping[str, Collection[str]], findings: Findings
) -> None:
    """At each edge that leads out of the body to a node that runs after the loop, or else into the body past `each`."""
    body = bodies[loop]
    later = _after(loop, edges, bodies)
    for place, edge in edges:
        if edge.target not in shared or edge.source in shared:
            continue
        inner = edge.source in body or (edge.source == loop and edge.source_output == EACH)
        names = f"{show(edge.source)} → {show(edge.target)}"
        if inner and edge.target in later:
            message = f"{names} leads out of the body of loop {show(loop)}; go on from the loop's output 'done'."
            findings.error(f"/edges/{place}", "loop_body_leaks", message)
        elif not inner and edge.target not in later:
            message = f"{names} leads into the body of loop {show(loop)}; only its output 'each' may."
            findings.error(f"/edges/{place}", "loop_body_entered_from_outside", message)


def _after(loop: str, edges: Placed, bodies: Mapping[str, Collection[str]]) -> set[str]:
    """What runs after the loop: behind its own outputs but `each` and its enclosing loops', and these loops."""
    ended = {loop, *(other for other, body in bodies.items() if loop in body)}
    forward = [
        edge
        for _, edge in edges
        if edge.source not in bodies.get(edge.target, ()) and not (edge.source in ended and edge.source_output == EACH)
    ]
    return reachable(ended, adjacency(forward, {id for edge in forward for id in (edge.source, edge.target)}))

"""Clean-up branches, which edges from `cancelled` lead: apart from the ordinary flow, and from loops' bodies."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from linkflow.domain.definition import Edge
from linkflow.domain.graph import Adjacency, adjacency, reachable
from linkflow.domain.validation.findings import Findings
from linkflow.domain.validation.places import show

Placed = list[tuple[int, Edge]]


def check_cleanup(
    triggers: Iterable[str], leads: Placed, flow: Placed, outgoing: Adjacency, bodies: Mapping[str, Collection[str]],
    findings: Findings,
) -> set[str]:  # fmt: skip
    """`leads` are the edges that lead a branch; `flow`, and `outgoing` by source, all others. Gives what a
    run can come to with the branches."""
    ordinary = reachable(triggers, outgoing)
    branches = reachable((edge.target for _, edge in leads), outgoing) - ordinary
    for place, edge in leads:
        _check_lead(place, edge, branches, bodies, findings)
    for place, edge in (*leads, *((place, edge) for place, edge in flow if edge.source in branches)):
        if edge.target in ordinary:
            message = (
                f"{_names(edge)} leads from a clean-up branch into the ordinary flow; "
                "give the branch nodes of its own."
            )  # fmt: skip
            findings.error(f"/edges/{place}", "cleanup_joins_flow", message)
    every = [edge for _, edge in (*leads, *flow)]
    return reachable(triggers, adjacency(every, {id for edge in every for id in (edge.source, edge.target)}))


def _check_lead(
    place: int, edge: Edge, branches: Collection[str], bodies: Mapping[str, Collection[str]], findings: Findings
) -> None:
    loop = next((loop for loop, body in bodies.items() if edge.source in body), None)
    if loop is not None:
        message = f"{_names(edge)} starts in the body of loop {show(loop)}; start it from the loop's own 'cancelled'."
        findings.error(f"/edges/{place}", "cleanup_in_loop_body", message)
    elif edge.source in branches:
        message = f"{_names(edge)} starts in a clean-up branch, which is never cancelled itself; remove the edge."
        findings.error(f"/edges/{place}", "cleanup_of_cleanup", message)


def _names(edge: Edge) -> str:
    return f"{show(edge.source)} → {show(edge.target)}"

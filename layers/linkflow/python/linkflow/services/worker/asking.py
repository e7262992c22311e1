"""`$approval.NODE` in the expressions of nodes that go out: links by which people decide."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from linkflow.domain.graph import Graph
from linkflow.domain.redaction import Redactor
from linkflow.domain.state import State, key_of, split_key
from linkflow.services.approval_links import ApprovalLinks

APPROVAL = "approval"


def links_of(
    links: ApprovalLinks, state: State, graph: Graph, key: str, now_ms: int, secrets: Redactor
) -> Callable[[str], dict[str, Any] | None]:
    """Finds an approval node by its id or name, in the same turn of the loops that both are in. Whoever reads the
    node's result must not be able to decide, so what is given out is taken out of that."""

    def find(name: str) -> dict[str, Any] | None:
        id = name if name in graph.nodes else graph.labels.get(name)
        if id is None or graph.nodes[id].node.type != APPROVAL:
            return None
        own, path = split_key(key)
        around, mine = _loops(graph, id), _loops(graph, own)
        if around != mine[: len(around)]:
            return None  # in a loop of its own there are many of it
        token = links.token(state.workspace_id, state.execution_id, key_of(id, path[: len(around)]), now_ms)
        secrets.add((token,))
        return links.urls(token)

    return find


def _loops(graph: Graph, id: str) -> tuple[str, ...]:
    """The loops that a node is in, from outside in."""
    found: list[str] = []
    loop = graph.nodes[id].loop
    while loop is not None:
        found.append(loop)
        loop = graph.nodes[loop].loop
    return tuple(reversed(found))

"""The compiled plan of a run: what the trigger that fired can reach, as plain dicts and tuples for the decider.

A plan is immutable. Building one costs O(edges x loops); callers keep it by workflow version and trigger.

Loops: the *body* of a loop is every node that its output ``each`` reaches without passing the loop itself. An edge from
the body back to its loop is a *back edge*: permitted, because people draw it, and left out of the plan, because an
iteration ends when its body has nothing left to run. Within an iteration the edge from ``each`` to an entry counts as
an incoming edge like any other.

Clean-up branches: what is behind an edge from the output ``cancelled`` of a node at the top level, and not part of the
ordinary flow. They run when the run is cancelled; until then they are as if they were not there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heappush

from linkflow.domain.definition import CANCELLED, EACH, LOOPS, NAMED_OUTPUTS, Definition, Edge, Node
from linkflow.domain.errors import InvalidDefinition, Problem

Adjacency = Mapping[str, Sequence[Edge]]
"""Outgoing edges by source id."""


class GraphNode:
    """One node of a plan.

    `incoming` and `outgoing` hold edges within the plan, in definition order, without back edges. `path` names the
    enclosing loops, outermost first; `loop` is the innermost, or None at the top level. Of a node in a clean-up branch
    (`cleanup`) `incoming` holds also the edges that lead it, which are among nobody's `outgoing`.
    """

    __slots__ = ("cleanup", "id", "incoming", "index", "is_loop", "loop", "node", "outgoing", "path")

    def __init__(
        self, node: Node, index: int, incoming: tuple[Edge, ...], outgoing: tuple[Edge, ...], path: tuple[str, ...],
        cleanup: bool = False,
    ) -> None:  # fmt: skip
        self.id = node.id
        self.node = node
        self.index = index
        self.incoming = incoming
        self.outgoing = outgoing
        self.path = path
        self.loop = path[-1] if path else None
        self.is_loop = node.type in LOOPS
        self.cleanup = cleanup

    def __repr__(self) -> str:
        return f"GraphNode({self.id!r}, {self.node.type!r}, path={self.path!r})"


class Graph:
    """The part of a definition that a run from one trigger executes.

    nodes       plan nodes by id, in topological order
    order       their ids in that order: sources first, by place in the definition where the edges leave a choice
    index       id -> place in `order`
    entries     loop id -> body nodes that its ``each`` leads to
    body        loop id -> nodes whose innermost loop it is (an inner loop's node is here, that loop's own body is not)
    back_edges  edges from a body to its loop
    top         ids at the top level without the clean-up branches, in order
    cleanup     ids at the top level of the clean-up branches, in order
    leads       edges that lead a clean-up branch
    labels      name -> id for ``$node["Name"]``; an id stands for itself unless another node has it as its name,
                and the first node of the definition wins where a name is given twice
    cuts        parts of this plan that test runs go by, see `cutting`
    """

    __slots__ = (
        "back_edges", "body", "cleanup", "cuts", "entries", "index", "labels", "leads", "nodes", "order",
        "pinned_errors", "top", "trigger",
    )  # fmt: skip

    def __init__(self, definition: Definition, trigger_node_id: str) -> None:
        """Raises `InvalidDefinition` where there is no such node, or a cycle that is not a loop's body."""
        by_id = _by_id(definition.nodes)
        if trigger_node_id not in by_id:
            raise InvalidDefinition(f"The workflow has no node {trigger_node_id!r} to start from.")
        leads = [edge for edge in definition.edges if leads_cleanup(edge, by_id)]
        flow = [edge for edge in definition.edges if not leads_cleanup(edge, by_id)] if leads else definition.edges
        outgoing = adjacency(flow, by_id)
        ordinary = reachable([trigger_node_id], outgoing)
        inside = {id for loop in ordinary if by_id[loop].type in LOOPS for id in loop_body(loop, outgoing)}
        self.leads = tuple(e for e in leads if e.source in ordinary - inside and e.target not in ordinary)
        cleaning = reachable((edge.target for edge in self.leads), outgoing) - ordinary if self.leads else set()
        plan = ordinary | cleaning
        bodies = {id: loop_body(id, outgoing) for id in by_id if id in plan and by_id[id].type in LOOPS}
        # An edge from a clean-up branch into the ordinary flow is refused when the workflow is saved.
        edges = [
            edge
            for edge in flow
            if edge.target in by_id and edge.source in (ordinary if edge.target in ordinary else plan)
        ]

        self.trigger = trigger_node_id
        self.back_edges = tuple(edge for edge in edges if edge.source in bodies.get(edge.target, ()))
        kept = _without(edges, self.back_edges)
        self.order = _order_or_raise([id for id in by_id if id in plan], [*kept, *self.leads])
        self.index = {id: place for place, id in enumerate(self.order)}
        self.nodes = _nodes(self.order, by_id, kept, _paths(self.order, bodies), self.leads, cleaning)
        at_top = [node for node in self.nodes.values() if node.loop is None]
        self.top = tuple(node.id for node in at_top if not node.cleanup)
        self.cleanup = tuple(node.id for node in at_top if node.cleanup)
        self.entries = {id: _entries(self.nodes[id]) for id in self.order if id in bodies}
        self.body = {id: tuple(n for n in self.order if self.nodes[n].loop == id) for id in self.entries}
        self.labels = _labels([node for node in by_id.values() if node.id in plan])
        self.pinned_errors = any(node.node.pinned_error is not None for node in self.nodes.values())
        self.cuts: dict[tuple[str, ...], Graph] = {}

    def is_loop(self, id: str) -> bool:
        """Does this plan node lead a loop body?"""
        return id in self.body

    def terminals(self, loop: str | None = None) -> tuple[str, ...]:
        """Nodes without outgoing edges: of the run's top level, or of a loop's body. Their outputs are its result."""
        ids = self.top if loop is None else self.body[loop]
        return tuple(id for id in ids if self.nodes[id].loop == loop and not self.nodes[id].outgoing)


def leads_cleanup(edge: Edge, by_id: Mapping[str, Node]) -> bool:
    """Does this edge, of which both ends are known, lead a clean-up branch?"""
    if edge.source_output != CANCELLED or edge.target not in by_id:
        return False
    source = by_id.get(edge.source)
    return source is not None and source.type not in NAMED_OUTPUTS


def adjacency(edges: Iterable[Edge], known: Collection[str]) -> dict[str, list[Edge]]:
    """Edges by source, in the order given; those from or to an unknown node are left out."""
    outgoing: dict[str, list[Edge]] = {}
    for edge in edges:
        if edge.source in known and edge.target in known:
            outgoing.setdefault(edge.source, []).append(edge)
    return outgoing


def reachable(starts: Iterable[str], outgoing: Adjacency, barrier: str | None = None) -> set[str]:
    """Ids reachable from `starts`, these included, without entering `barrier`."""
    seen = {id for id in starts if id != barrier}
    stack = list(seen)
    while stack:
        for edge in outgoing.get(stack.pop(), ()):
            if edge.target not in seen and edge.target != barrier:
                seen.add(edge.target)
                stack.append(edge.target)
    return seen


def loop_body(loop: str, outgoing: Adjacency) -> set[str]:
    """Ids that the loop's output ``each`` reaches without passing the loop itself, inner loops' bodies included."""
    starts = (edge.target for edge in outgoing.get(loop, ()) if edge.source_output == EACH)
    return reachable(starts, outgoing, barrier=loop)


def topological(ids: Sequence[str], edges: Iterable[Edge]) -> list[str]:
    """`ids` with sources before targets, as near to the given order as that allows (Kahn's algorithm with a heap).

    Nodes on a cycle, or behind one, are left out: a result shorter than `ids` means there is a cycle.
    """
    place = {id: i for i, id in enumerate(ids)}
    waiting = dict.fromkeys(ids, 0)
    targets: dict[str, list[str]] = {id: [] for id in ids}
    for edge in edges:
        if edge.source in place and edge.target in place:
            waiting[edge.target] += 1
            targets[edge.source].append(edge.target)
    ready = [place[id] for id, count in waiting.items() if not count]
    heapify(ready)
    order: list[str] = []
    while ready:
        id = ids[heappop(ready)]
        order.append(id)
        for target in targets[id]:
            waiting[target] -= 1
            if not waiting[target]:
                heappush(ready, place[target])
    return order


def _by_id(nodes: Iterable[Node]) -> dict[str, Node]:
    found: dict[str, Node] = {}
    for node in nodes:
        found.setdefault(node.id, node)
    return found


def _without(edges: Sequence[Edge], left_out: Sequence[Edge]) -> list[Edge]:
    gone = {id(edge) for edge in left_out}
    return [edge for edge in edges if id(edge) not in gone]


def _order_or_raise(ids: Sequence[str], edges: Sequence[Edge]) -> tuple[str, ...]:
    order = topological(ids, edges)
    if len(order) < len(ids):
        stuck = set(ids) - set(order)
        names = ", ".join(repr(id) for id in ids if id in stuck)
        problem = Problem("/edges", "cycle", f"These nodes wait for each other: {names}.")
        raise InvalidDefinition("The workflow has a cycle that is not a loop's body.", problems=[problem])
    return tuple(order)


def _paths(ids: Sequence[str], bodies: Mapping[str, Collection[str]]) -> dict[str, tuple[str, ...]]:
    """Enclosing loops by node. An enclosing body strictly contains the inner one, so size orders them."""
    outermost_first = sorted(bodies, key=lambda loop: -len(bodies[loop]))
    return {id: tuple(loop for loop in outermost_first if id in bodies[loop]) for id in ids}


def _nodes(
    order: Sequence[str], by_id: Mapping[str, Node], edges: Sequence[Edge], paths: Mapping[str, tuple[str, ...]],
    leads: Sequence[Edge], cleaning: Collection[str],
) -> dict[str, GraphNode]:  # fmt: skip
    incoming: dict[str, list[Edge]] = {id: [] for id in order}
    outgoing: dict[str, list[Edge]] = {id: [] for id in order}
    for edge in edges:
        incoming[edge.target].append(edge)
        outgoing[edge.source].append(edge)
    for edge in leads:
        incoming[edge.target].append(edge)
    return {
        id: GraphNode(by_id[id], place, tuple(incoming[id]), tuple(outgoing[id]), paths[id], id in cleaning)
        for place, id in enumerate(order)
    }


def _entries(loop: GraphNode) -> tuple[str, ...]:
    return tuple(dict.fromkeys(edge.target for edge in loop.outgoing if edge.source_output == EACH))


def _labels(nodes: Sequence[Node]) -> dict[str, str]:
    labels: dict[str, str] = {}
    for node in nodes:
        if node.name:
            labels.setdefault(node.name, node.id)
    for node in nodes:
        labels.setdefault(node.id, node.id)
    return labels

"""Parts of a plan that test runs go by: one node and what leads to it, or one node alone."""

from __future__ import annotations

import msgspec

from .definition import MAIN, Definition, Edge, Node
from .errors import InvalidInput, Problem
from .graph import Graph, GraphNode, loop_body
from .hints import did_you_mean
from .trial import Trial

KEPT = 32
"""Parts that are kept with their plan."""


def cut(graph: Graph, trial: Trial) -> Graph:
    """The part of a plan that a test run goes by."""
    name = ("up_to", trial.up_to) if trial.up_to else ("alone", trial.alone, *sorted(trial.mocks))
    found = graph.cuts.get(name)
    if found is None:
        if len(graph.cuts) >= KEPT:
            graph.cuts.clear()
        found = graph.cuts[name] = _up_to(graph, trial.up_to) if trial.up_to else _alone(graph, trial)
    return found


def cut_definition(definition: Definition, graph: Graph) -> Definition:
    """The definition of a part of a plan."""
    edges = tuple(edge for node in graph.nodes.values() for edge in node.outgoing)
    return msgspec.structs.replace(definition, nodes=tuple(node.node for node in graph.nodes.values()), edges=edges)


def check_target(graph: Graph, id: str, path: str) -> GraphNode:
    """The node that a test run goes up to. Raises `InvalidInput` where it cannot."""
    node = graph.nodes.get(id)
    if node is None:
        raise _refusal(path, "unknown_node", _unknown(graph, id))
    if node.cleanup:
        raise _refusal(path, "unknown_node", f"{id!r} cleans up after a cancel: no test run comes to it.")
    return node


def check_alone(graph: Graph, id: str, path: str) -> GraphNode:
    """The node that a test run consists of. Raises `InvalidInput` where it cannot."""
    node = graph.nodes.get(id)
    if node is None:
        raise _refusal(path, "unknown_node", _unknown(graph, id))
    if id == graph.trigger:
        raise _refusal(path, "is_trigger", "A trigger only hands on its data: run another node, or the workflow.")
    if node.node.type == "while":
        message = "A while loop goes by what its body does: run the workflow up to it, with mocks for its body."
        raise _refusal(path, "is_while", message)
    return node


def _unknown(graph: Graph, id: str) -> str:
    return f"The trigger {graph.trigger!r} leads to no node {id!r}.{did_you_mean(id, graph.nodes)}"


def _refusal(path: str, code: str, message: str) -> InvalidInput:
    return InvalidInput(message, problems=[Problem(path, code, message)])


def _up_to(graph: Graph, target: str) -> Graph:
    """The target and all that leads to it. A loop on the way goes whole, unless the target is inside it."""
    outgoing = {id: node.outgoing for id, node in graph.nodes.items()}
    keep, work = {graph.trigger}, [target]
    while work:
        id = work.pop()
        if id in keep or id not in graph.nodes:
            continue
        keep.add(id)
        node = graph.nodes[id]
        work += [edge.source for edge in node.incoming]
        if node.is_loop and id != target and id not in graph.nodes[target].path:
            work += loop_body(id, outgoing)
    nodes = tuple(graph.nodes[id].node for id in graph.order if id in keep)
    edges = tuple(
        edge for id in graph.order if id in keep and id != target for edge in graph.nodes[id].outgoing
        if edge.target in keep
    )  # fmt: skip
    return Graph(Definition("", nodes, edges), graph.trigger)


def _alone(graph: Graph, trial: Trial) -> Graph:
    """The node right behind the trigger, with those that have mocks beside it, so that expressions can name them."""
    mocked = [id for id in trial.mocks if id in graph.nodes and id not in (graph.trigger, trial.alone)]
    node = msgspec.structs.replace(
        graph.nodes[trial.alone].node, join="all", disabled=False, pinned_output=None, pinned_error=None
    )
    ways = [(graph.trigger, trial.alone), *((graph.trigger, id) for id in mocked), *((id, node.id) for id in mocked)]
    nodes: list[Node] = [graph.nodes[graph.trigger].node, *(graph.nodes[id].node for id in mocked), node]
    edges = tuple(Edge(f"alone/{place}", source, to, MAIN) for place, (source, to) in enumerate(ways))
    return Graph(Definition("", tuple(nodes), edges), graph.trigger)

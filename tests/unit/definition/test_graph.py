"""The plan of a run: what is part of it, in which order, and what loops enclose."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.domain.definition import Definition, Edge, Node
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.graph import Graph, topological
from tests.unit.definition.literal_catalogue import definition


def test_only_what_the_trigger_reaches_is_part_of_the_plan() -> None:
    graph = Graph(definition("t>a a>b u>b t2>c"), "t")
    assert graph.order == ("t", "a", "b")
    assert [edge.source for edge in graph.nodes["b"].incoming] == ["a"]


def test_each_trigger_has_its_own_plan() -> None:
    drawn = definition("t>a t2>b a>c b>c")
    assert Graph(drawn, "t2").order == ("t2", "b", "c")


def test_outgoing_edges_keep_the_order_of_the_definition() -> None:
    graph = Graph(definition("t>c t>a t>b"), "t")
    assert [edge.target for edge in graph.nodes["t"].outgoing] == ["c", "a", "b"]
    assert graph.order == ("t", "c", "a", "b")


def test_order_follows_the_definition_where_edges_leave_a_choice() -> None:
    assert topological(["d", "c", "b", "a"], []) == ["d", "c", "b", "a"]
    assert topological(["b", "a"], [Edge("e", "a", "b")]) == ["a", "b"]


def test_a_join_has_all_its_edges() -> None:
    graph = Graph(definition("t>c c:true>a c:false>b a>j b>j"), "t")
    assert [edge.id for edge in graph.nodes["j"].incoming] == ["e4", "e5"]
    assert graph.terminals() == ("j",)


def test_a_loop_has_entries_a_body_and_no_way_back() -> None:
    graph = Graph(definition("t>L L:each>a a>b b>L L:done>c"), "t")
    assert graph.is_loop("L")
    assert not graph.is_loop("a")
    assert graph.entries == {"L": ("a",)}
    assert graph.body == {"L": ("a", "b")}
    assert [edge.id for edge in graph.back_edges] == ["e4"]
    assert [edge.id for edge in graph.nodes["L"].incoming] == ["e1"]
    assert graph.nodes["b"].outgoing == ()
    assert graph.terminals("L") == ("b",)
    assert graph.terminals() == ("c",)


def test_the_edge_from_each_is_incoming_for_an_entry() -> None:
    graph = Graph(definition("t>L L:each>a L:each>b a>b"), "t")
    assert [edge.id for edge in graph.nodes["b"].incoming] == ["e3", "e4"]
    assert graph.entries == {"L": ("a", "b")}


def test_loops_nest() -> None:
    graph = Graph(definition("t>L L:each>M M:each>x M:done>y x>M y>L L:done>z", M="loop"), "t")
    assert graph.body == {"L": ("M", "y"), "M": ("x",)}
    assert graph.nodes["x"].path == ("L", "M")
    assert graph.nodes["x"].loop == "M"
    assert graph.nodes["y"].path == ("L",)
    assert graph.nodes["z"].loop is None
    assert len(graph.back_edges) == 2


def test_a_loop_without_a_body_and_the_triggers_plan() -> None:
    graph = Graph(definition("t>L L:done>a"), "t")
    assert graph.is_loop("L")
    assert graph.entries == {"L": ()}
    assert graph.body == {"L": ()}


def test_labels_prefer_names_to_ids_and_the_first_of_two() -> None:
    drawn = definition("t>a t>b t>c u>a")
    named = [
        msgspec.structs.replace(node, name={"a": "Get", "b": "Get", "c": "a", "u": "Far"}.get(node.id, ""))
        for node in drawn.nodes
    ]
    graph = Graph(msgspec.structs.replace(drawn, nodes=tuple(named)), "t")
    assert graph.labels == {"Get": "a", "a": "c", "t": "t", "b": "b", "c": "c"}


def test_a_cycle_is_refused() -> None:
    with pytest.raises(InvalidDefinition) as caught:
        Graph(definition("t>a a>b b>a"), "t")
    assert [problem.code for problem in caught.value.problems] == ["cycle"]


def test_a_cycle_elsewhere_does_not_matter() -> None:
    assert Graph(definition("t>a u>v v>u"), "t").order == ("t", "a")


def test_an_unknown_trigger_is_refused() -> None:
    with pytest.raises(InvalidDefinition, match="no node 'x'"):
        Graph(definition("t>a"), "x")


@st.composite
def drawn_graphs(draw: st.DrawFn, *, forward: bool) -> Definition:
    """A trigger and up to 12 nodes, some of them loops; with `forward` no edge leads back."""
    count = draw(st.integers(1, 12))
    kinds = draw(st.lists(st.sampled_from(["transform", "loop"]), min_size=count, max_size=count))
    nodes = [Node("t", "trigger_manual"), *(Node(f"n{i}", kind) for i, kind in enumerate(kinds))]
    pairs = draw(st.lists(st.tuples(st.integers(0, count), st.integers(0, count), st.booleans()), max_size=30))
    edges: list[Edge] = []
    for one, other, each in pairs:
        source, target = (min(one, other), max(one, other)) if forward else (one, other)
        if source == target or target == 0:
            continue
        output = "main" if nodes[source].type != "loop" else "each" if each else "done"
        edges.append(Edge(f"e{len(edges)}", nodes[source].id, nodes[target].id, output))
    order = draw(st.permutations(nodes))
    return Definition("Random", tuple(order), tuple(edges))


@given(drawn_graphs(forward=True))
def test_on_forward_graphs_order_is_topological_and_edges_agree(drawn: Definition) -> None:
    _agrees(drawn, Graph(drawn, "t"))


@settings(max_examples=300)
@given(drawn_graphs(forward=False))
def test_on_any_graph_a_plan_agrees_or_is_refused(drawn: Definition) -> None:
    try:
        graph = Graph(drawn, "t")
    except InvalidDefinition:
        return
    _agrees(drawn, graph)


def _agrees(drawn: Definition, graph: Graph) -> None:
    reached, size = {"t"}, 0
    while size < len(reached):
        size = len(reached)
        reached |= {edge.target for edge in drawn.edges if edge.source in reached}
    assert set(graph.order) == set(graph.nodes) == set(graph.index) == reached
    outgoing = [edge for node in graph.nodes.values() for edge in node.outgoing]
    incoming = [edge for node in graph.nodes.values() for edge in node.incoming]
    everything = [edge for edge in drawn.edges if edge.source in reached]
    assert {edge.id for edge in outgoing} == {edge.id for edge in incoming}
    assert {edge.id for edge in everything} == {edge.id for edge in (*outgoing, *graph.back_edges)}
    assert len(everything) == len(outgoing) + len(graph.back_edges)
    assert all(graph.index[edge.source] < graph.index[edge.target] for edge in outgoing)
    for id, node in graph.nodes.items():
        assert all(edge.source == id for edge in node.outgoing)
        assert all(edge.target == id for edge in node.incoming)
        assert node.index == graph.index[id]

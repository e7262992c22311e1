"""What of a definition a run goes through: sets of ids, found by plain search."""

from __future__ import annotations

from collections.abc import Iterable

from linkflow.domain.definition import Definition, Edge, Node


class Plan:
    """The nodes that the trigger reaches, each in the loop whose body it is part of ("" for none). What only edges
    from ``cancelled`` lead to are the clean-up branches."""

    def __init__(self, definition: Definition) -> None:
        self._nodes = {node.id: node for node in definition.nodes}
        self.trigger = next(node for node in definition.nodes if node.type == "trigger_manual")
        part = self._reach([self.trigger.id], definition.edges, "")
        edges = [edge for edge in definition.edges if edge.source in part]
        loops = [id for id in part if self._nodes[id].type in ("loop", "while")]
        self._inside = {
            loop: self._reach(
                [edge.target for edge in edges if edge.source == loop and edge.source_output == "each"], edges, loop
            )
            for loop in loops
        }
        back = [edge for edge in edges if edge.source in self._inside.get(edge.target, ())]
        self._edges = [edge for edge in edges if edge not in back]
        plain = [edge for edge in edges if not self.cleans_up(edge)]
        self._flow = self._reach([self.trigger.id], plain, "")
        self._order = [node.id for node in definition.nodes if node.id in part and node.id != self.trigger.id]

    def _reach(self, starts: Iterable[str], edges: Iterable[Edge], around: str) -> set[str]:
        """All that can be reached from `starts`, these included, without going through `around`."""
        edges = list(edges)
        found = set(starts) - {around}
        while more := {edge.target for edge in edges if edge.source in found} - found - {around}:
            found |= more
        return found

    def cleans_up(self, edge: Edge) -> bool:
        return edge.source_output == "cancelled"

    def loop_of(self, node: str) -> str:
        """The innermost loop around a node: the one with the smallest body."""
        around = [loop for loop, body in self._inside.items() if node in body]
        return min(around, key=lambda loop: len(self._inside[loop]), default="")

    def members(self, loop: str) -> list[Node]:
        """The nodes of a scope, without those of loops in it. A node that iterates and has no body has none."""
        if loop:
            return [self._nodes[id] for id in self._order if self.loop_of(id) == loop] if loop in self._inside else []
        return [self._nodes[id] for id in self._order if not self.loop_of(id) and id in self._flow]

    def cleanup(self) -> list[Node]:
        """The nodes of the clean-up branches, without those of loops in them."""
        return [self._nodes[id] for id in self._order if not self.loop_of(id) and id not in self._flow]

    def inside(self, loop: str) -> set[str]:
        """The whole body of a loop, with the bodies of loops in it."""
        return self._inside.get(loop, set())

    def into(self, node: str) -> list[Edge]:
        return [edge for edge in self._edges if edge.target == node]

    def out_of(self, node: str) -> list[Edge]:
        return [edge for edge in self._edges if edge.source == node]

    def out(self, node: str) -> list[Edge]:
        """Edges to what comes after a node: not those into its own body, and no clean-up branch."""
        return [edge for edge in self.out_of(node) if edge.source_output != "each" and not self.cleans_up(edge)]

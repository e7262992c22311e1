"""What is known about an expression without evaluating it."""

from __future__ import annotations

from dataclasses import dataclass

_NO_NAMES: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Facts:
    """`nodes` are names in ``$node["…"]``, so nodes for certain; `names` are bare names: nodes, or else variables."""

    nodes: frozenset[str] = _NO_NAMES
    names: frozenset[str] = _NO_NAMES
    credentials: frozenset[str] = _NO_NAMES
    uses_clock: bool = False
    uses_random: bool = False
    fixed: frozenset[str] = _NO_NAMES
    """Fixed names that are read, such as ``trigger``; a member of `loop` as ``loop.item``."""
    any_node: bool = False
    """A node is looked up by a computed name."""
    prev: bool = False
    """A script reads ``$node.prev``."""

    def __or__(self, other: Facts) -> Facts:
        return Facts(
            self.nodes | other.nodes,
            self.names | other.names,
            self.credentials | other.credentials,
            self.uses_clock or other.uses_clock,
            self.uses_random or other.uses_random,
            self.fixed | other.fixed,
            self.any_node or other.any_node,
            self.prev or other.prev,
        )


NO_FACTS = Facts()

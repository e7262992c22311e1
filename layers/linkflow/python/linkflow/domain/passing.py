"""Which outputs a node takes that does not run itself: a disabled or pinned one; and what a decision takes."""

from __future__ import annotations

from typing import Any

from .definition import DONE, ERROR, MAIN, NAMED_OUTPUTS
from .graph import GraphNode

APPROVAL = "approval"
APPROVED, REJECTED = "approved", "rejected"
_OTHERWISE = ("true", "default", "else")
"""What a choice takes that nobody makes: as if a condition held, or as if no case fitted."""


def passed_ports(planned: GraphNode, output: Any) -> tuple[str, ...]:
    """The outputs of a node that hands on `output` without running.

    A pinned decision says itself what it came to. A disabled one goes on: an approval as approved, a condition as true,
    a switch by its default, and where no edge leads there, by the output of the node's first edge.
    """
    node = planned.node
    if planned.is_loop:
        return (DONE, MAIN)
    if not node.disabled and isinstance(output, dict):
        said = output.get("decision" if node.type == APPROVAL else "output")
        if said in (APPROVED, REJECTED) and node.type == APPROVAL:
            return decided_ports(said)
        if isinstance(said, str) and said and node.type in NAMED_OUTPUTS:
            return (said,)
    if node.type == APPROVAL:
        return decided_ports(APPROVED)
    ways = [edge.source_output for edge in planned.outgoing if edge.source_output != ERROR]
    if not ways or node.type not in NAMED_OUTPUTS:
        return (MAIN,)
    return (next((way for way in _OTHERWISE if way in ways), ways[0]), MAIN)


def decided_ports(decision: str) -> tuple[str, ...]:
    """Plain edges go on only if it was approved."""
    return (APPROVED, MAIN) if decision == APPROVED else (REJECTED,)

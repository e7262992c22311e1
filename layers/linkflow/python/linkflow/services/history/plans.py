"""Plans: definitions compiled for the decider, kept by their immutable version."""

from __future__ import annotations

from collections import OrderedDict

import msgspec

from linkflow.domain import definition as d
from linkflow.domain.admission import Gate, gate_of
from linkflow.domain.errors import NotFound
from linkflow.domain.graph import Graph
from linkflow.domain.secrets import Refs, refs_of
from linkflow.ports import EventStore

from .agreements import Agreement, agreement_of

ATTRIBUTES = ("set_attributes", "search_attributes")
"""Types of nodes whose output's ``attributes`` the run is found by."""


class Plan(msgspec.Struct, frozen=True):
    """What one run goes by: the definition and the graph from its trigger."""

    definition: d.Definition
    graph: Graph
    gate: Gate | None = None
    """How its runs are let in, None where they are as they come."""
    attributes: frozenset[str] = frozenset()
    """Nodes that say what a run is found by."""
    refs: Refs = Refs()
    """What it refers to outside of itself."""
    agreement: Agreement | None = None
    """What its runs are started with, where it says so."""


class Plans:
    """Loads a plan once and keeps the most recently used ones."""

    def __init__(self, store: EventStore, size: int = 1024) -> None:
        self._store = store
        self._size = size
        self._plans: OrderedDict[tuple[str, int, str], Plan] = OrderedDict()

    async def get(self, workflow_id: str, version: int, trigger_node: str) -> Plan:
        """Raises `NotFound` for an unknown version, `InvalidDefinition` for an unknown trigger."""
        key = (workflow_id, version, trigger_node)
        plan = self._plans.get(key)
        if plan is None:
            data = await self._store.definition(workflow_id, version)
            if data is None:
                raise NotFound(f"There is no version {version} of this workflow.")
            definition = d.decode(data)
            plan = self._plans[key] = Plan(
                definition, Graph(definition, trigger_node), gate_of(definition),
                frozenset(node.id for node in definition.nodes if node.type in ATTRIBUTES), refs_of(definition),
                agreement_of(definition, trigger_node),
            )  # fmt: skip
            if len(self._plans) > self._size:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

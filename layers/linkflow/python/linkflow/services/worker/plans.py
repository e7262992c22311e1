"""Plans: definitions compiled for running, kept by their immutable version."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

from linkflow.contracts.history import DefinitionRequest, HistoryApi
from linkflow.domain import definition as d
from linkflow.domain.expressions import Compiled, compile_value
from linkflow.domain.expressions.facts import Facts
from linkflow.domain.expressions.names import APPROVAL
from linkflow.domain.expressions.script import Script
from linkflow.domain.graph import Graph
from linkflow.domain.secrets import Refs, refs_in, refs_of
from linkflow.nodes.base import NodeType, Params
from linkflow.nodes.registry import Registry

from .reading import facts_of, scripts_of


class Step:
    """One node, ready to run: its type, and its config with the expressions compiled."""

    __slots__ = (
        "_compiled", "_constant", "_facts", "_raw", "_refs", "asks", "fusible", "node", "ours", "scripts", "type",
    )  # fmt: skip

    def __init__(self, node: d.Node, type: NodeType) -> None:
        self.node = node
        self.type = type
        raw = (*type.expression_fields, *type.literal_fields)
        self._raw = {name: node.config[name] for name in raw if name in node.config}
        expressions = [self._raw[name] for name in type.expression_fields if name in self._raw]
        self._compiled: Compiled = compile_value({k: v for k, v in node.config.items() if k not in self._raw})
        self._constant: Params | None = None
        self._facts: Facts | None = None
        self._refs: Refs | None = None
        self.ours = type.__class__.__module__.startswith("linkflow.")
        """Known to leave what it is given as it is."""
        self.scripts: tuple[Script, ...] = (*self._compiled.scripts, *scripts_of(expressions))
        """What the JavaScript engine has to answer before the parameters are known."""
        self.asks = any(name.startswith(APPROVAL) for name in self._compiled.facts.fixed)
        """Its expressions have links to approvals in them."""
        self.fusible = type.pure and node.queue == "default" and node.timeout is None and not self.scripts

    @property
    def facts(self) -> Facts:
        """What the config reads; reckoned when first asked for."""
        if self._facts is None:
            self._facts = facts_of(self.node.config, tuple(self._raw))
        return self._facts

    @property
    def refs(self) -> Refs:
        """What the node refers to outside of the workflow."""
        if self._refs is None:
            self._refs = refs_in(iter((self.node,)))
        return self._refs

    @property
    def is_constant(self) -> bool:
        """True where no expression has to be evaluated to get the parameters."""
        return self._compiled.is_constant

    def params(self, scope: Any) -> Params:
        """Validated parameters. Raises pydantic's `ValidationError` and `ExpressionError`."""
        if self._constant is not None:
            return self._constant
        config: Mapping[str, Any] = self._compiled.evaluate(scope)
        params = self.type.params.model_validate({**config, **self._raw})
        if self._compiled.is_constant:
            self._constant = params
        return params


class Plan:
    """A workflow version from one trigger: graph, settings, and steps by node id."""

    def __init__(self, definition: d.Definition, trigger_node: str, registry: Registry) -> None:
        self.definition = definition
        self.graph = Graph(definition, trigger_node)
        self._refs: Refs | None = None
        self._registry = registry
        self._steps: dict[str, Step] = {}
        self._leads_on: dict[str, bool] = {}

    @property
    def refs(self) -> Refs:
        """What its nodes refer to outside of the workflow; told when first asked for."""
        if self._refs is None:
            self._refs = refs_of(self.definition)
        return self._refs

    def leads_on(self, key: str) -> bool:
        """May a pure node follow at once on this node run? In loops the next iteration does, too."""
        node = self.graph.nodes.get(key)
        if node is None or node.loop is not None or node.is_loop or self.definition.settings.max_parallel:
            return True
        found = self._leads_on.get(key)
        if found is None:
            found = self._leads_on[key] = any(map(self._is_quick, {edge.target for edge in node.outgoing}))
        return found

    def _is_quick(self, id: str) -> bool:
        node, step = self.graph.nodes[id].node, self.step(id)
        return node.disabled or node.pinned_output is not None or (step is not None and step.fusible)

    def import_types(self) -> None:
        """Import the types of its nodes now, where whoever needs one first has little time."""
        for type, version in {(at.node.type, at.node.version) for at in self.graph.nodes.values()}:
            self._registry.resolve(type, version)

    def step(self, node_id: str) -> Step | None:
        """The step of a node; None where this worker does not know the type."""
        step = self._steps.get(node_id)
        if step is None:
            node = self.graph.nodes[node_id].node
            found = self._registry.resolve(node.type, node.version)
            if found is None:
                return None
            step = self._steps[node_id] = Step(node, found)
        return step


class Plans:
    """Fetches a definition once and keeps the most recently used plans."""

    def __init__(self, history: HistoryApi, registry: Registry, size: int = 512) -> None:
        self._history = history
        self._registry = registry
        self._size = size
        self._plans: OrderedDict[tuple[str, int, str], Plan] = OrderedDict()

    async def get(self, workflow_id: str, version: int, trigger_node: str) -> Plan:
        key = (workflow_id, version, trigger_node)
        plan = self._plans.get(key)
        if plan is None:
            reply = await self._history.definition(DefinitionRequest(workflow_id, version))
            plan = self._plans[key] = Plan(d.decode(bytes(reply.definition)), trigger_node, self._registry)
            if len(self._plans) > self._size:
                self._plans.popitem(last=False)
        else:
            self._plans.move_to_end(key)
        return plan

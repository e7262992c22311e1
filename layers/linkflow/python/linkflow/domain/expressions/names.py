"""What the names stand for: the fixed ones, a node by its id, or a variable."""

from __future__ import annotations

from typing import Any

from linkflow.domain.expressions.context import Closure, Context
from linkflow.domain.expressions.errors import Fault, NeedsEngine
from linkflow.domain.expressions.functions import CONSTANTS, NAMESPACES
from linkflow.domain.expressions.scope import NodeRecord
from linkflow.domain.expressions.script_names import SCRIPT_CONSTANTS
from linkflow.domain.expressions.syntax import Index, Member, Name, Node
from linkflow.domain.expressions.values import member, to_text

APPROVAL = "$approval"
NEEDS_APPROVAL = "$approval needs the name of an approval node, written out, as in $approval.ask.url"

FIXED: dict[str, Closure] = {
    "trigger": lambda run: run.scope.trigger,
    "input": lambda run: run.scope.input,
    "$input": lambda run: run.scope.input,
    "$json": lambda run: run.scope.input,
    "$": lambda run: run.scope.input,
    "loop": lambda run: run.scope.loop,
    "vars": lambda run: dict(run.scope.vars),
    "env": lambda run: dict(run.scope.vars),
    "workflow": lambda run: run.scope.workflow,
    "execution": lambda run: run.scope.execution,
}


def compile_name(context: Context, node: Name) -> Closure:
    """A bare name: a parameter, a fixed name, a node's output, a variable, or null, in this order."""
    name = node.name
    if name in context.parameters:
        place = context.parameters[name]
        return lambda run: run.locals[place]
    if name in FIXED:
        context.fixed.add(name)
        return FIXED[name]
    if name == "$node":
        raise Fault('$node needs a node\'s name, as in $node["Fetch order"].output', node.at)
    if name == "credential":
        raise Fault("credential needs a name written out, as in credential.api_key", node.at)
    if name == APPROVAL:
        raise Fault(NEEDS_APPROVAL, node.at)
    context.names.setdefault(name, node.at)

    def closure(run: Any) -> Any:
        record = run.scope.node(name)
        return run.scope.vars.get(name) if record is None else record.get("output")

    return closure


def compile_special(context: Context, node: Member) -> Closure | None:
    """`vars.x`, `credential.x`, `$approval.x`, `Math.PI`, `$node["x"]` and `$node["x"].output`; None where `node` is
    none of these."""
    owner = _free_name(context, node.object)
    if owner == "$node":
        return _whole(_record(context, node))
    if owner in ("vars", "env"):
        name = node.name
        return lambda run: run.scope.vars.get(name)
    if owner == "credential":
        return _credential(context, node.name)
    if owner == APPROVAL:
        return _approval(context, node.name)
    if owner == "loop":
        return _of_loop(context, node.name)
    if owner in NAMESPACES:
        constant = CONSTANTS.get(f"{owner}.{node.name}")
        if constant is None and f"{owner}.{node.name}" in SCRIPT_CONSTANTS:
            raise NeedsEngine(f"{owner}.{node.name}", node.at)
        if constant is None:
            raise Fault(f"{owner}.{node.name[:40]} is no value; functions are called, as in Math.max(1, 2)", node.at)
        return lambda run: constant
    if isinstance(node.object, Member | Index) and _free_name(context, node.object.object) == "$node":
        return _record_member(_record(context, node.object), node.name)
    return None


def compile_node_lookup(context: Context, node: Index) -> Closure | None:
    """`$node[name]` with a computed name; None where `node` is something else."""
    if _free_name(context, node.object) == APPROVAL:
        raise Fault(NEEDS_APPROVAL, node.at)
    return _whole(_record(context, node)) if _free_name(context, node.object) == "$node" else None


def _free_name(context: Context, node: Node) -> str:
    return node.name if isinstance(node, Name) and node.name not in context.parameters else ""


def _of_loop(context: Context, key: str) -> Closure:
    context.fixed.add(f"loop.{key}")

    def closure(run: Any) -> Any:
        value = run.scope.loop
        return value.get(key) if type(value) is dict else member(value, key)

    return closure


def _credential(context: Context, name: str) -> Closure:
    context.credentials.add(name)

    def closure(run: Any) -> Any:
        known = run.scope.credentials
        return None if known is None else known.get(name)

    return closure


def _approval(context: Context, name: str) -> Closure:
    context.fixed.add(f"{APPROVAL}.{name}")
    return lambda run: run.scope.approvals(name)


def _record(context: Context, node: Member | Index) -> Closure:
    """A node's record, or None."""
    if isinstance(node, Index):
        computed = context.compile(node.index)
        context.any_node = True
        return lambda run: run.scope.node(to_text(computed(run), run))
    name = node.name
    if name == "prev":
        return lambda run: run.scope.prev
    context.nodes.setdefault(name, node.at)
    return lambda run: run.scope.node(name)


def _record_member(record: Closure, key: str) -> Closure:
    # `json` is the original's other name for the output; a record need not repeat it.
    other = "output" if key == "json" else key

    def closure(run: Any) -> Any:
        found = record(run)
        return None if found is None else found[key] if key in found else found.get(other)

    return closure


def _whole(record: Closure) -> Closure:
    def closure(run: Any) -> dict[str, Any] | None:
        found: NodeRecord | None = record(run)
        return None if found is None else {"json": found.get("output"), **found}

    return closure

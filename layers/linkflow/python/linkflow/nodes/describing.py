"""A node type as JSON: for the console, the pages of docs/nodes and `linkflow node show`."""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.nodes.base import NodeType
from linkflow.nodes.credentials import describe_kind
from linkflow.nodes.forms import form
from linkflow.nodes.slots import Slot

EVERY_NODE = (
    ("expression_error", "An expression of the config could not be evaluated.", False),
    ("invalid_params", "With its expressions evaluated the config is not valid.", False),
    ("output_too_large", "The output is over the limit (docs/limits.md).", False),
    ("output_not_json", "The output has something that JSON lacks.", False),
    ("timeout", "A timeout of the node passed.", True),
)
"""Faults that any node may end with: code, meaning, whether it is tried again."""


def describe(node: NodeType, versions: tuple[int, ...]) -> dict[str, Any]:
    """All that a node type says about itself."""
    return {
        "type": node.type,
        "version": node.version,
        "versions": list(versions),
        "aliases": list(node.aliases),
        "name": node.name,
        "description": node.description,
        "help": node.help,
        "category": node.category,
        "pure": node.pure,
        "outputs": list(node.outputs({})),
        "produces": {name: dict(schema) for name, schema in node.produces.items()},
        "credentials": [_slot(slot) for slot in node.slots],
        "faults": [msgspec.to_builtins(fault) for fault in node.faults],
        "examples": [
            {"name": example.name, "node": example.fragment(node.type, node.version), "input": example.input,
             **({"inputs": example.inputs} if example.inputs else {}),
             **({"outcome": example.outcome} if example.outcome else {"output": example.output})}
            for example in node.examples
        ],
        "schema": form(node.params),
    }  # fmt: skip


def _slot(slot: Slot) -> dict[str, Any]:
    return {
        "slot": slot.name,
        "description": slot.description,
        "required": slot.required,
        "kinds": [describe_kind(kind) for kind in slot.kinds],
    }

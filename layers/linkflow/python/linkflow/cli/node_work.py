"""`linkflow node list|show|test`."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from linkflow import config as configuration
from linkflow.domain.errors import InvalidDefinition
from linkflow.domain.outcomes import Completed, Failed
from linkflow.local.trying import Connections, try_example, try_input, try_refusal
from linkflow.nodes.base import NodeType
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.registry import Registry

from .client import say
from .node_pages import page


def list_types(as_json: bool) -> int:
    types = Registry.load().describe()
    if as_json:
        print(json.dumps(types, indent=2))
        return 0
    for about in types:
        kind = "pure" if about["pure"] else ""
        print(f"{about['category']:<9} {about['type']:<22} {kind:<5} {about['description']}")
    return 0


def show(type: str, version: int, as_json: bool) -> int:
    registry = Registry.load()
    node = registry.resolve(type, version)
    if node is None:
        return _unknown(type, registry)
    about = next(one for one in registry.describe(True) if (one["type"], one["version"]) == (node.type, node.version))
    print(json.dumps(about, indent=2) if as_json else page(about).rstrip())
    return 0


def test(what: str, config: str | None, data: str | None) -> int:
    """Examples and refusals, or one input. 1 where something is not as it says, 2 where there is nothing to run."""
    registry = Registry.load()
    try:
        node = _from_file(Path(what)) if what.endswith(".py") else registry.resolve(what)
        given, value = _json(config, {}), _json(data, None)
    except (OSError, ValueError, ImportError, SyntaxError, AttributeError) as error:
        say(str(error))
        return 2
    if node is None:
        return _unknown(what, registry)
    if what.endswith(".py"):
        others = (one for one in registry.every() if (one.type, one.version) != (node.type, node.version))
        registry = Registry([*others, node])
    settings = configuration.load()
    if config is None and data is None:
        return asyncio.run(_examples(registry, node, settings.connections))
    return asyncio.run(_once(registry, node, given, value, settings))


async def _examples(registry: Registry, node: NodeType, connections: Connections) -> int:
    failed = 0
    for example in node.examples:
        tried = await try_example(registry, node, example, connections)
        mark = "left out" if tried.left_out else "FAILED" if tried.fault else "ok"
        print(f"{mark:<9} {tried.name}" + (f": {tried.left_out}" if tried.left_out else ""))
        if tried.fault:
            failed += 1
            print(tried.fault)
    for refusal in node.refuses:
        fault = try_refusal(registry, node, refusal)
        print(f"{'FAILED' if fault else 'ok':<9} refuses {json.dumps(refusal.config)}: {refusal.path} {refusal.code}")
        if fault:
            failed += 1
            print(fault)
    if not node.examples and not node.refuses:
        say(f"{node.type} has no examples.")
        return 2
    return 1 if failed else 0


async def _once(registry: Registry, node: NodeType, config: dict[str, Any], data: Any,
                settings: configuration.Config) -> int:  # fmt: skip
    client = EgressClient(settings.egress)
    try:
        outcome = await try_input(registry, node, config, data, client, settings.connections)
    except InvalidDefinition as error:
        for problem in error.problems:
            say(f"{problem.path}: {problem.message}")
        return 1
    finally:
        await client.aclose()
    logs = outcome.logs if isinstance(outcome, Completed | Failed) else ()
    for line in logs:
        say(line)
    shown = outcome.output if isinstance(outcome, Completed) else msgspec.to_builtins(outcome)
    print(json.dumps(shown, indent=2, ensure_ascii=False))
    return 1 if isinstance(outcome, Failed) else 0


def _from_file(path: Path) -> NodeType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise ImportError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # pydantic looks up its annotations there
    spec.loader.exec_module(module)
    node: NodeType = module.node
    return node


def _json(text: str | None, default: Any) -> Any:
    if text is None:
        return default
    return json.loads(Path(text[1:]).read_text() if text.startswith("@") else text)


def _unknown(type: str, registry: Registry) -> int:
    fault = registry.check(type, {})
    say(fault[0].message if fault else f"There is no such version of {type!r}.")
    return 2

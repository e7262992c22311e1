"""Small workflows, as people write them."""

from __future__ import annotations

import itertools
from typing import Any

_numbers = itertools.count(1)


def node(id: str, type: str, config: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {"id": id, "type": type, "name": id.capitalize(), "config": config or {}, **more}


def edge(source: str, target: str, output: str = "main") -> dict[str, Any]:
    return {"source": source, "target": target, "source_output": output}


def workflow(*nodes: dict[str, Any], edges: list[dict[str, Any]] | None = None, **more: Any) -> dict[str, Any]:
    """Nodes behind a manual trigger, one after another unless `edges` says how; a first node that is a trigger is it."""
    every = list(nodes) if nodes[0]["type"].startswith("trigger_") else [node("begin", "trigger_manual"), *nodes]
    if edges is None:
        edges = [edge(a["id"], b["id"]) for a, b in itertools.pairwise(every)]
    numbered = [{"id": f"e{at}", **found} for at, found in enumerate(edges)]
    return {"name": f"Test {next(_numbers)}", "nodes": every, "edges": numbered, **more}


def http(id: str, url: str, **how: Any) -> dict[str, Any]:
    """An HTTP node; what is no config of it (retry, on_error …) goes beside the config."""
    beside = {name: how.pop(name) for name in ("retry", "on_error", "timeout", "queue") if name in how}
    return node(id, "action_http_request", {"url": url, **how}, **beside)

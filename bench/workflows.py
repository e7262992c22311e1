"""The workflows that are measured, as the API takes them."""

from __future__ import annotations

from typing import Any

NODES = 10
"""Nodes of a chain, as the peers' chains have them."""

STEP_QUEUE = "bench-steps"
"""A task queue of its own keeps a pure node from being fused with the next one: it is recorded by itself."""


def _chained(name: str, trigger: dict[str, Any], nodes: list[dict[str, Any]]) -> dict[str, Any]:
    every = [trigger, *nodes]
    edges = [
        {"id": f"e{at}", "source": a["id"], "target": b["id"]}
        for at, (a, b) in enumerate(zip(every, nodes, strict=False))
    ]
    return {"name": name, "nodes": every, "edges": edges}


def _manual() -> dict[str, Any]:
    return {"id": "start", "type": "trigger_manual"}


def _webhook(mode: str) -> dict[str, Any]:
    return {"id": "start", "type": "trigger_webhook", "config": {"method": "POST", "response_mode": mode}}


def _sets(queue: str = "default", first: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What every peer's step does: ``data["k<i>"] = i * 2`` and ``i += 1``, in ten transform nodes."""
    nodes = []
    for at in range(NODES):
        config: dict[str, Any] = {"fields": {f"k{at}": "{{ input.i * 2 }}", "i": "{{ input.i + 1 }}"}}
        if at == 0 and first is not None:
            config = first
        nodes.append({"id": f"set{at}", "type": "transform", "config": config, "queue": queue})
    return nodes


def chain_pure() -> dict[str, Any]:
    return _chained("bench chain-pure", _manual(), _sets())


def chain_step(address: str) -> dict[str, Any]:
    """Ten calls of a service on loopback; each result is recorded before the next call is made."""
    nodes = [
        {
            "id": f"call{at}",
            "type": "action_http_request",
            "config": {"method": "POST", "url": f"http://{address}/step/{at}", "body": {"i": at, "name": "order-42"}},
        }
        for at in range(NODES)
    ]
    return _chained("bench chain-step", _manual(), nodes)


def chain_step_bare() -> dict[str, Any]:
    """Ten transform nodes that are recorded one by one: chain-step without the HTTP client's cost."""
    return _chained("bench chain-step-bare", _manual(), _sets(STEP_QUEUE))


def webhook(mode: str) -> dict[str, Any]:
    """Ten transform nodes behind a webhook; `mode` is ``wait`` or ``immediate``."""
    first = {
        "keep": False,
        "fields": {
            "name": "{{ input.body.name }}",
            "k0": "{{ input.body.i * 2 }}",
            "i": "{{ input.body.i + 1 }}",
        },
    }
    return _chained(f"bench webhook-{mode}", _webhook(mode), _sets(first=first))


def fan_out(concurrency: int) -> dict[str, Any]:
    """A loop over the trigger's items with one transform node for each."""
    body = {"id": "each", "type": "transform", "config": {"keep": False, "fields": {"double": "{{ loop.item * 2 }}"}}}
    loop = {"id": "loop", "type": "loop", "config": {"items": "{{ trigger.items }}", "concurrency": concurrency}}
    edges = [
        {"id": "e0", "source": "start", "target": "loop"},
        {"id": "e1", "source": "loop", "target": "each", "source_output": "each"},
    ]
    return {"name": "bench fan-out", "nodes": [_manual(), loop, body], "edges": edges}


def timer() -> dict[str, Any]:
    """A delay until the time that the start says, in ms since the epoch."""
    wait = {"id": "wait", "type": "delay", "config": {"until": "{{ trigger.until }}"}}
    return _chained("bench timers", _manual(), [wait])

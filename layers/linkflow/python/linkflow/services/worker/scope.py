"""What the expressions of a node run can see."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from linkflow.domain.definition import WHILE
from linkflow.domain.draft import input_of, item_of, source_output
from linkflow.domain.environments import shown
from linkflow.domain.events import iso
from linkflow.domain.evolve import error_data, output_of
from linkflow.domain.expressions import Scope
from linkflow.domain.graph import Graph
from linkflow.domain.state import DONE, State, key_of, split_key


def scope_of(
    state: State, graph: Graph, key: str, input: Any, name: str, now: Callable[[], str], random: Callable[[], float]
) -> Scope:
    """The scope of one node run. Other nodes are looked up when an expression asks for them."""
    path = split_key(key)[1] if graph.entries else ()
    run = state.runs.get(key)

    def node(name: str) -> dict[str, Any] | None:
        id = name if name in graph.nodes else graph.labels.get(name)
        return None if id is None else _record(state, id, path)

    sources = run.sources if run else ()
    prev = {"output": source_output(state, graph, key, sources[0])} if sources else {"output": state.trigger}
    return Scope(
        trigger=state.trigger,
        input=input,
        node=node,
        prev=prev,
        loop=_loop(state, graph, key, path),
        workflow={"id": state.workflow_id, "version": state.workflow_version, "name": name},
        vars=state.vars,
        execution={
            "id": state.execution_id,
            "started_at": _iso(state.started_at),
            "mode": state.mode,
            "environment": shown(state.environment),
        },
        now=now,
        random=random,
    )


_iso = lru_cache(maxsize=4096)(iso)


def _record(state: State, id: str, path: tuple[int, ...]) -> dict[str, Any] | None:
    """A node's record in the nearest scope that has it: this iteration, then the ones around it."""
    for depth in range(len(path), -1, -1):
        key = key_of(id, path[:depth])
        run = state.runs.get(key)
        if run is not None:
            output = output_of(state, key) if run.status == DONE else None
            return {"output": output, "status": run.status, "error": error_data(run.error) if run.error else None}
    return None


def _loop(state: State, graph: Graph, key: str, path: tuple[int, ...]) -> dict[str, Any] | None:
    """`loop` inside a body; a while loop's own condition sees the turn that would be the next."""
    node = graph.nodes[split_key(key)[0]] if graph.entries else None
    if node is None:
        return None
    if node.node.type == WHILE:
        loop = state.loops.get(key)
        if loop is None:
            return {"item": input_of(state, graph, key), "index": 0, "output": None}
        return _turn(state, graph, key, loop.ended)
    outer = key_of(node.loop or "", path[:-1])
    loop = state.loops.get(outer) if path else None
    if loop is None:
        return None
    index = path[-1]
    if loop.turns:
        return _turn(state, graph, outer, index)
    before = loop.results.get(index - 1)
    return {"item": loop.item(index), "index": index, "items": loop.all_items(), "output": before}


def _turn(state: State, graph: Graph, key: str, index: int) -> dict[str, Any]:
    before = state.loops[key].results.get(index - 1)
    return {"item": item_of(state, graph, key, index), "index": index, "output": before}

"""A run as a test: its input, mocks for what acted outside, and what it came to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from linkflow.domain.events import iso
from linkflow.domain.graph import Graph
from linkflow.domain.passing import passed_ports
from linkflow.domain.state import key_of, split_key

from .facts import Came, Facts, Ran
from .paths import show, walk

UNSEEN = ("position", "viewport", "icon", "color")


def save(
    facts: Facts, graph: Graph, *, name: str, workflow: Mapping[str, Any], acting: Collection[str], started_at: int,
    execution_id: str, nodes: Collection[str] = (), ignore: Collection[str] = (),
) -> dict[str, Any]:  # fmt: skip
    """The test as a document. `acting` are nodes that get mocks, `nodes` those whose outputs are expected."""
    expect: dict[str, Any] = {"status": facts.status}
    if facts.status == "completed":
        expect["result"] = facts.result
    if facts.error:
        expect["error"] = {"code": facts.error["code"], **({"node": facts.node} if facts.node else {})}
    wanted = {id: _wish(facts, id) for id in nodes}
    expect["path"] = [id for id in facts.path if id != facts.trigger_node]
    if wanted:
        expect["nodes"] = wanted
    volatile = [show(place) for place, value in walk(expect) if isinstance(value, str) and execution_id in value]
    document: dict[str, Any] = {"name": name, "workflow": workflow, "trigger": facts.trigger_node}
    document |= {"input": facts.trigger, "now": iso(started_at)}
    if mocks := mocks_of(facts, graph, acting):
        document["mocks"] = mocks
    if left_out := list(dict.fromkeys((*ignore, *volatile))):
        document["ignore"] = left_out
    return document | {"expect": expect}


def _wish(facts: Facts, id: str) -> dict[str, Any]:
    runs = [run for run in facts.of(id) if run.has_run]
    if not runs:
        return {"runs": 0}
    if len(runs) > 1:
        return {"runs": len(runs)}
    run = runs[0]
    return {"output": run.output} if run.status == "completed" else {"status": run.status}


def mocks_of(facts: Facts, graph: Graph, acting: Collection[str]) -> dict[str, Any]:
    """Mocks that say again what these nodes came to."""
    found: dict[str, Any] = {}
    for id in graph.order:
        runs = [run for run in facts.of(id) if run.attempts] if id in acting else []
        if not runs:
            continue
        by_path = {split_key(run.key)[1] if graph.nodes[id].path else (): _mock(run, graph) for run in runs}
        if list(by_path) == [()]:
            found[id] = by_path[()]
        elif (listed := _listed(by_path, len(graph.nodes[id].path))) is not None:
            found[id] = {"iterations": listed}
        else:
            found |= {key_of(id, path): mock for path, mock in by_path.items()}
    return found


def _mock(run: Ran, graph: Graph) -> dict[str, Any]:
    answers = [_answer(run, came, graph) for came in run.attempts]
    first = answers[0]
    if len(answers) == 1:
        return first
    if "error" in first and "output" in answers[-1] and all(one == first for one in answers[:-1]):
        return {"error": first["error"], "fail_first": len(answers) - 1, **answers[-1]}
    return {"attempts": answers}


def _answer(run: Ran, came: Came, graph: Graph) -> dict[str, Any]:
    if came.error is not None:
        error = {"code": came.error["code"], "message": came.error.get("message", "")}
        if came.error.get("retryable") is False:
            error["retryable"] = False
        if details := came.error.get("details"):
            error["details"] = details
        return {"error": error}
    answer: dict[str, Any] = {"output": came.output}
    if tuple(came.outputs) != passed_ports(graph.nodes[run.id], came.output):
        answer["outputs"] = list(came.outputs)
    return answer


def _listed(by_path: dict[tuple[int, ...], Any], depth: int) -> list[Any] | None:
    """Nested lists, where no iteration is left out."""
    firsts = sorted({path[0] for path in by_path})
    if firsts != list(range(len(firsts))):
        return None
    listed: list[Any] = []
    for index in firsts:
        inside = {path[1:]: mock for path, mock in by_path.items() if path[0] == index}
        one = inside[()] if depth == 1 else _listed(inside, depth - 1)
        if one is None:
            return None
        listed.append(one)
    return listed


def slim(document: Mapping[str, Any]) -> dict[str, Any]:
    """A workflow's document without what only an editor draws."""
    nodes = [{name: value for name, value in node.items() if name not in UNSEEN} for node in document["nodes"]]
    rest = {name: value for name, value in document.items() if name not in UNSEEN}
    return {**rest, "nodes": nodes}

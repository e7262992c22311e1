"""How a run moves on: edges settle, nodes become ready or are skipped, iterations begin and end, the run closes."""

from __future__ import annotations

from collections import deque
from typing import Any

from . import events as e
from .definition import DONE as DONE_PORT
from .definition import EACH, MAIN
from .draft import Draft, Path, terminal_outputs
from .evolve import output_of
from .graph import GraphNode
from .limits import PENDING, LimitReached, Use
from .outcomes import NodeError
from .passing import passed_ports
from .state import ACTIVE, CANCELLED, CANCELLING, DONE, HELD, LOOPING, PAUSED, PUT_OFF, CancelRequest, key_of, split_key


def advance(draft: Draft, key: str) -> None:
    """A node run has settled: look at what its edges lead to, then at whether that ended an iteration."""
    node, path = draft.node_of(key)
    settle(draft, node, path)
    if path and not draft.state.closed:
        end_item_if_done(draft, draft.loop_key(node, path), path)


def settle(draft: Draft, node: GraphNode, path: Path) -> None:
    """Consider every node behind `node`; a skipped one settles its own edges in turn."""
    work = deque([node])
    while work:
        for edge in work.popleft().outgoing:
            if edge.source_output == EACH and edge.target in _body(draft, edge.source):
                continue  # into a loop's body: iterations do that
            target = draft.graph.nodes[edge.target]
            if consider(draft, target, path):
                work.append(target)


def _body(draft: Draft, id: str) -> tuple[str, ...]:
    return draft.graph.body.get(id, ())


def consider(draft: Draft, node: GraphNode, path: Path) -> bool:
    """Start `node` if its join is satisfied, skip it if nothing can reach it. True where its edges are settled now."""
    key = key_of(node.id, path)
    if key in draft.state.runs:
        return False
    sources, still_open = _arrivals(draft, node, path)
    if still_open and not (sources and node.node.join == "any"):
        return False
    if not sources:
        draft.emit(e.NodeSkipped, node=key)
        return True
    if not draft.has_room():
        return False
    return schedule(draft, key, sources, 1 + draft.state.floor if path else 1)


def _arrivals(draft: Draft, node: GraphNode, path: Path) -> tuple[tuple[str, ...], bool]:
    """Sources whose edges were taken, and whether any edge is still open."""
    if node.cleanup and node.loop is None:
        return _cleanup_arrivals(draft, node)
    sources: list[str] = []
    still_open = False
    runs = draft.state.runs
    for edge in node.incoming:
        if edge.source == node.loop and edge.source_output == EACH:
            source = draft.loop_key(node, path)
            if source not in sources:
                sources.append(source)
            continue
        source = key_of(edge.source, path)
        run = runs.get(source)
        if run is None or run.status in ACTIVE:
            still_open = True
        elif run.status == DONE and edge.source_output in run.ports and source not in sources:
            sources.append(source)
    return tuple(sources), still_open


def _cleanup_arrivals(draft: Draft, node: GraphNode) -> tuple[tuple[str, ...], bool]:
    """As `_arrivals`; an edge that leads the branch was taken if its node had started when the run was cancelled."""
    sources: list[str] = []
    still_open = False
    for edge in node.incoming:
        run = draft.state.runs.get(edge.source)
        if not draft.graph.nodes[edge.source].cleanup:
            taken = run is not None and run.status in (DONE, CANCELLED)
        elif run is None or run.status in ACTIVE:
            taken, still_open = False, True
        else:
            taken = run.status == DONE and edge.source_output in run.ports
        if taken and edge.source not in sources:
            sources.append(edge.source)
    return tuple(sources), still_open


def schedule(draft: Draft, key: str, sources: tuple[str, ...], attempt: int) -> bool:
    """Hand a node run to the workers; a disabled or pinned one completes on the spot (then True: it is settled)."""
    planned = draft.node_of(key)[0]
    node = planned.node
    emit_scheduled(draft, key, sources, attempt)
    if not node.disabled and (node.pinned_output is None or not draft.is_pinned(key, node.id)):
        return False
    handed = draft.input_of(key) if node.disabled else node.pinned_output
    ports, output = passed_ports(planned, handed), draft.keep(handed)
    draft.emit(e.NodeCompleted, node=key, attempt=attempt, output=output, ports=ports, pinned=True)
    return True


def emit_scheduled(draft: Draft, key: str, sources: tuple[str, ...], attempt: int, close_by: int = 0) -> None:
    """A node run is due for a worker. `close_by` is what an earlier attempt's schedule-to-close timeout left."""
    timeout = draft.node_of(key)[0].node.timeout
    edited = draft.state.edited
    given = {"edited": True, "input": edited[key]} if edited and key in edited else {}
    if draft.stand_ins is not None:
        draft.stand_ins.append((key, attempt))
    if timeout is None:
        draft.emit(e.NodeScheduled, node=key, attempt=attempt, sources=sources, **given)
        return
    start_by = draft.at + round(timeout.schedule_to_start * 1000) if timeout.schedule_to_start else 0
    if timeout.schedule_to_close and not close_by:
        close_by = draft.at + round(timeout.schedule_to_close * 1000)
    times = {"start_by": start_by, "close_by": close_by}
    draft.emit(e.NodeScheduled, node=key, attempt=attempt, sources=sources, **times, **given)


def begin_items(draft: Draft, key: str) -> None:
    """Start as many iterations as the loop's concurrency allows; complete the loop when all have ended."""
    node, path = draft.node_of(key)
    while key in draft.state.loops:
        loop = draft.state.loops[key]
        if loop.turns:
            next_turn(draft, key)
            return
        total, running = loop.total, loop.started - loop.ended
        if loop.ended == total:
            complete_loop(draft, key)
            return
        room = total - loop.started
        if loop.concurrency:
            room = min(room, loop.concurrency - running)
        if room <= 0:
            return
        if running + room > draft.limits.pending_nodes:  # before it costs anything
            raise LimitReached(Use(PENDING, running + room, draft.limits.pending_nodes))
        first = loop.started
        draft.emit(e.LoopItemsStarted, node=key, first=first, count=room)
        for index in range(first, first + room):
            if key not in draft.state.loops:
                return
            _begin_item(draft, node, key, (*path, index))
        if loop.ended < loop.started:
            return


def _begin_item(draft: Draft, node: GraphNode, key: str, path: Path) -> None:
    for id in draft.graph.entries.get(node.id, ()):
        entry = draft.graph.nodes[id]
        if consider(draft, entry, path):
            settle(draft, entry, path)
    _end_item(draft, key, path)


def end_item_if_done(draft: Draft, loop_key: str, path: Path) -> None:
    """End the iteration if nothing of it is active, and begin the next ones."""
    if _end_item(draft, loop_key, path):
        begin_items(draft, loop_key)


def _end_item(draft: Draft, key: str, path: Path) -> bool:
    loop = draft.state.loops.get(key)
    if loop is None or loop.has_ended(path[-1]) or draft.active(split_key(key)[0], path) or _held(draft, key, path):
        return False
    sources = terminal_outputs(draft, loop.body, path)
    draft.emit(e.LoopItemCompleted, node=key, index=path[-1], sources=sources)
    return True


def _held(draft: Draft, key: str, path: Path) -> bool:
    """Under `max_parallel` or in a pause, a ready node may be held back: then its iteration is not over."""
    if not draft.settings.max_parallel and draft.state.status != PAUSED and not draft.letting_in:
        return False
    for id in draft.state.loops[key].body:
        if key_of(id, path) not in draft.state.runs and _arrivals(draft, draft.graph.nodes[id], path)[0]:
            return True
    return False


def complete_loop(draft: Draft, key: str) -> None:
    """All iterations ended: the loop completes with its results in the items' order."""
    loop, run = draft.state.loops[key], draft.state.runs[key]
    results = [loop.results[index] for index in range(loop.total)]
    output: dict[str, Any] = {"results": draft.keep_list(results), "count": len(results)}
    if loop.errors:
        output["errors"] = loop.errors
    draft.emit(e.NodeCompleted, node=key, attempt=run.attempt, output=output, ports=(DONE_PORT, MAIN))
    advance(draft, key)


def begin_turn(draft: Draft, key: str) -> None:
    """A while loop's condition holds: run its body once more. One that ends on the spot asks the condition again."""
    node, path = draft.node_of(key)
    index = draft.state.loops[key].started
    draft.emit(e.LoopItemsStarted, node=key, first=index)
    _begin_item(draft, node, key, (*path, index))
    next_turn(draft, key)


def next_turn(draft: Draft, key: str) -> None:
    """A while loop whose turn is over is due again, for its condition."""
    loop, run = draft.state.loops.get(key), draft.state.runs.get(key)
    if loop is None or run is None or run.status != LOOPING or loop.started > loop.ended or not draft.has_room():
        return
    emit_scheduled(draft, key, run.sources, run.attempt + 1)


def resume_scan(draft: Draft) -> None:
    """Under `max_parallel`, start ready nodes that were held back for want of room."""
    if draft.settings.max_parallel and not draft.state.closed and draft.has_room():
        let_in_all(draft)


def let_in_all(draft: Draft) -> None:
    """Start every ready node that was held back."""
    for key in [key for key, run in draft.state.runs.items() if run.status == PUT_OFF]:
        if draft.has_room():
            emit_scheduled(draft, key, draft.state.runs[key].sources, draft.state.runs[key].attempt)
    draft.letting_in = True
    for id in draft.graph.cleanup if draft.state.status == CANCELLING else draft.graph.top:
        _let_in(draft, id, ())
    for key in list(draft.state.loops):
        outer, loop = split_key(key)[1], draft.state.loops.get(key)
        for index in loop.under_way() if loop else ():
            _scan_item(draft, key, (*outer, index))
        if loop is not None and loop.turns:
            next_turn(draft, key)
    draft.letting_in = False


def _scan_item(draft: Draft, key: str, path: Path) -> None:
    for id in _body(draft, split_key(key)[0]):
        loop = draft.state.loops.get(key)
        if loop is None or loop.has_ended(path[-1]):  # a node that was let in may have ended its own iteration
            return
        _let_in(draft, id, path)


def _let_in(draft: Draft, id: str, path: Path) -> None:
    key = key_of(id, path)
    if key not in draft.state.runs and consider(draft, draft.graph.nodes[id], path):
        advance(draft, key)


def close_if_done(draft: Draft) -> None:
    """Complete the run when nothing is to come."""
    state = draft.state
    if state.closed or state.status in HELD or draft.active():
        return
    if state.status == CANCELLING:
        close_cancelled(draft, state.error, state.failed_node)
        return
    draft.emit(e.ExecutionCompleted, result=state.result if state.answered else _result(draft))


def close_cancelled(draft: Draft, error: NodeError | None, node: str = "") -> None:
    """The clean-up is over: the run is cancelled."""
    asked = draft.state.cancelling or CancelRequest()
    draft.emit(e.ExecutionCancelled, actor=asked.actor, reason=asked.reason, error=error, node=node)


def _result(draft: Draft) -> Any:
    """The output of the terminal nodes: one as it is, several by node id."""
    keys = terminal_outputs(draft, draft.graph.top, ())
    if len(keys) == 1:
        return output_of(draft.state, keys[0])
    return draft.keep({key: output_of(draft.state, key) for key in keys}) if keys else None

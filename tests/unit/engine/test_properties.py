"""What holds for every definition, whatever the world does: in which order, how often, how late.

`Run` checks after every transition: ids without gaps, the fold of the stored events is the stored state byte for byte,
`decide` leaves its input alone, and the task and timer tables are what the state calls for.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Session, decide
from linkflow.domain.definition import Definition
from linkflow.domain.draft import input_of
from linkflow.domain.evolve import evolve
from linkflow.domain.graph import Graph, GraphNode
from linkflow.domain.state import ACTIVE, encode, key_of, new, split_key
from tests.unit.engine.drawing import World, busy, definitions
from tests.unit.engine.support import AT, ID, Run, start

ENGINE = settings(
    max_examples=int(os.environ.get("ENGINE_EXAMPLES", "150")),
    deadline=None,
    report_multiple_bugs=False,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
SEEDS = st.integers(0, 2**32 - 1)
STEPS = 2_000
"""More than any drawn run needs: one that is not over by then never ends."""


def play(definition: Definition, seed: int, **how: float) -> Run:
    """A run from its start to its end, in batches of up to three commands."""
    run = Run(definition)
    world = World(run.graph, seed, **how)
    for _ in range(STEPS):
        if run.state.closed and not world.wants_retry(run.state):
            return run
        at = run.at + world.random.choice([0, 0, 1, 40, 2000])
        chance = world.random.choice([0.0, 0.5])
        state, batch = run.state, []
        for _ in range(world.random.choice([1, 1, 2, 3])):
            command = world.command(state, at)
            batch.append(command)
            state = decide(run.graph, definition.settings, state, (command,), at, chance).state
        run.when(*batch, at=at, chance=chance)
        assert encode(run.state) == encode(state), "a batch is its commands one by one"
        check_bounds(run)
    raise AssertionError("the run does not end")


def check_bounds(run: Run) -> None:
    """`max_parallel` and the loops' concurrency."""
    bound = run.definition.settings.max_parallel
    if bound:
        assert busy(run.state) <= bound
    for loop in run.state.loops.values():
        assert loop.started <= (4 if loop.turns else len(loop.items))
        assert not loop.concurrency or loop.started - loop.ended <= loop.concurrency
    for key, run_ in run.state.runs.items():
        if run_.status == "scheduled":
            input_of(run.state, run.graph, key)  # always there to be read
    state, settings = run.state, run.definition.settings
    if settings.timeout and not settings.timeout_counts_waiting and not state.closed:
        works = any(run_.status in ("scheduled", "backoff", "calling") for run_ in state.runs.values())
        late = 0 < state.timeout_at <= state.at
        assert (state.timeout_at > 0) == (works or late)
        assert (state.timeout_left > 0) == (not state.timeout_at)
    looping = {key for key, r in run.state.runs.items() if r.status == "looping"}
    asking = {key for key, loop in run.state.loops.items() if loop.turns and not loop.under_way()}
    assert looping <= set(run.state.loops) <= looping | asking
    assert all(run.state.runs[key].status in ACTIVE for key in asking)


@ENGINE
@given(definitions(), SEEDS)
def test_every_run_ends_whatever_happens(definition: Definition, seed: int):
    run = play(definition, seed)
    check_once(run)
    check_paths(run)


@ENGINE
@given(definitions(), SEEDS)
def test_a_run_that_nobody_disturbs_completes_or_fails(definition: Definition, seed: int):
    run = play(definition, seed, trouble=0.0, stops=0.0)
    assert run.state.status in ("completed", "failed")
    check_once(run)
    check_paths(run)


@ENGINE
@given(definitions(), SEEDS)
def test_clean_up_runs_on_cancel_alone_and_comes_to_an_end(definition: Definition, seed: int):
    run = play(definition, seed, stops=0.1)
    asked = [event.event_id for event in run.all(e.ExecutionCancelRequested)]
    cleaned = [event for event in run.events if _cleans(run, event)]
    assert len(asked) <= 1
    assert all(asked and event.event_id > asked[0] for event in cleaned)
    if asked:
        assert run.state.status in ("cancelled", "terminated", "timed_out")
        assert not [event for event in run.all(e.NodeScheduled) if event.event_id > asked[0] and event not in cleaned]
        if run.state.status == "cancelled":
            assert set(run.graph.cleanup) <= set(run.state.runs), "a clean-up node never settled"
    check_once(run)


def _cleans(run: Run, event: e.Event) -> bool:
    key = getattr(event, "node", "")
    return bool(key) and run.graph.nodes[split_key(key)[0]].cleanup


@ENGINE
@given(definitions(), SEEDS, st.randoms(use_true_random=False))
def test_one_event_at_a_time_is_the_fold(definition: Definition, seed: int, random: Any):
    run = play(definition, seed)
    state = new(ID)
    cut = random.randint(0, len(run.events))
    for event in run.events[:cut]:
        before = encode(state)
        following = evolve(state, event)
        assert encode(state) == before
        state = following
    for event in run.events[cut:]:
        state = evolve(state, event)
    assert encode(state) == encode(run.state)


@ENGINE
@given(definitions(pure=True), SEEDS)
def test_a_session_forecasts_what_decide_decides(definition: Definition, seed: int):
    """The worker's session against decide, command by command, with failures, sleeps and calls among the results."""
    graph = Graph(definition, "t")
    world = World(graph, seed, stops=0.0)
    state = decide(graph, definition.settings, new(ID), (start(),), AT).state
    session, due = Session(graph, definition.settings, state, AT), set()
    for step in range(60):
        command = world.command(state, AT)
        if not isinstance(command, c.Complete):
            continue
        decision = decide(graph, definition.settings, state, (command,), AT + step)
        due = {(event.node, event.attempt) for event in decision.events if isinstance(event, e.NodeScheduled)}
        state = decision.state
        made_due = session.complete(command, AT + step)
        assert encode(session.state) == encode(state)
        expected = {(k, a) for k, a in due if k in state.runs and state.runs[k].status == "scheduled"}
        assert set(made_due) == (set() if state.closed else expected)
        if state.closed:
            break


# What a history as a whole must show


CLOSING = (e.ExecutionCompleted, e.ExecutionFailed, e.ExecutionTimedOut, e.ExecutionCancelled, e.ExecutionTerminated)


def rounds(events: list[e.Event]) -> list[list[e.Event]]:
    """The history, cut where the run was retried by hand: then loops run all over again."""
    parts: list[list[e.Event]] = [[]]
    for event in events:
        if isinstance(event, e.ExecutionRetried):
            parts.append([])
        parts[-1].append(event)
    return parts


def check_once(run: Run) -> None:
    """Every attempt is scheduled once and completed at most once; so a join runs once."""
    attempts = Counter((event.node, event.attempt) for event in run.events if isinstance(event, e.NodeScheduled))
    assert max(attempts.values(), default=1) == 1, "an attempt's number came again after a retry by hand"
    for part in rounds(run.events):
        scheduled = Counter((event.node, event.attempt) for event in part if isinstance(event, e.NodeScheduled))
        completed = Counter(event.node for event in part if isinstance(event, e.NodeCompleted))
        skipped = Counter(event.node for event in part if isinstance(event, e.NodeSkipped))
        items = Counter((event.node, event.index) for event in part if isinstance(event, e.LoopItemCompleted))
        assert not [key for counts in (scheduled, completed, skipped, items) for key, n in counts.items() if n > 1]
        assert not set(skipped) & {key for key, _ in scheduled}
    closing = [event for event in run.events if isinstance(event, CLOSING)]
    assert run.events[-1] is closing[-1]
    assert len(closing) == len(rounds(run.events))


def check_paths(run: Run) -> None:
    """Every scope that ended well settled all its nodes, ran those that an edge led to, and came to their results."""
    told = _Told(run)
    for event in rounds(run.events)[-1]:
        if isinstance(event, e.LoopItemCompleted) and event.error is None:
            path = (*split_key(event.node)[1], event.index)
            body = run.graph.body.get(split_key(event.node)[0], ())
            sources = told.check_scope(body, path)
            assert list(event.sources) == sources
    if run.state.status == "completed":
        sources = told.check_scope(run.graph.top, ())
        if not run.state.answered:
            outputs = {key: told.outputs[key] for key in sources}
            assert run.state.result == (outputs if len(outputs) > 1 else outputs[sources[0]])


class _Told:
    """What the events tell of each node run. Results of before a retry by hand count where they still stand."""

    def __init__(self, run: Run) -> None:
        self.graph = run.graph
        self.sources: dict[str, tuple[str, ...]] = {}
        self.ports: dict[str, tuple[str, ...]] = {"t": ("main",)}
        self.outputs: dict[str, Any] = {"t": run.state.trigger}
        for event in run.events:
            if isinstance(event, e.NodeScheduled):
                self.sources[event.node] = event.sources
            elif isinstance(event, e.NodeCompleted):
                self.ports[event.node], self.outputs[event.node] = event.ports, event.output
            elif isinstance(event, e.NodeSkipped):
                self.ports[event.node] = ()
                self.outputs.pop(event.node, None)  # it ran before a retry by hand, and is skipped now

    def check_scope(self, ids: tuple[str, ...], path: tuple[int, ...]) -> list[str]:
        """Checks one scope; returns its terminal node runs."""
        ends = []
        for id in ids:
            node, key = self.graph.nodes[id], key_of(id, path)
            assert key in self.ports, f"{key} never settled"
            taken = self.taken(node, path)
            if id == "t":
                pass
            elif not taken:
                assert key not in self.outputs
            else:
                assert key in self.outputs
                sources = list(self.sources[key])
                assert sources
                assert sources == (taken if node.node.join == "all" else [key for key in taken if key in sources])
            out = [edge for edge in node.outgoing if edge.source_output != "each"]
            if key in self.outputs and not any(edge.source_output in self.ports[key] for edge in out):
                ends.append(key)
        return ends

    def taken(self, node: GraphNode, path: tuple[int, ...]) -> list[str]:
        """Node runs from which an edge into this one was taken, in the order of the edges."""
        keys = []
        for edge in node.incoming:
            if edge.source == node.loop:
                keys.append(key_of(edge.source, path[:-1]))
            elif edge.source_output in self.ports[key_of(edge.source, path)]:
                keys.append(key_of(edge.source, path))
        return list(dict.fromkeys(keys))

"""Forks of random runs at random nodes. Nodes are deterministic here: what one comes to follows from its key and input.

`Run` checks after every transition that the fold of the fork's own events is its state, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
from random import Random

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.definition import WHILE, Definition
from linkflow.domain.draft import input_of
from linkflow.domain.errors import InvalidInput
from linkflow.domain.outcomes import Completed, Failed, Iterate, NodeError, Outcome, Repeat, Sleep
from linkflow.domain.past import Past
from linkflow.domain.state import split_key
from tests.unit.engine.drawing import World, definitions
from tests.unit.engine.forks import forked, plan_of, planned
from tests.unit.engine.support import Run, start, tasks_of, timers_of
from tests.unit.engine.test_properties import ENGINE, SEEDS, STEPS, play

_replace = msgspec.structs.replace
PORTS = [("main",), ("main",), ("x",), ("y",), ("x", "y"), ("main", "x", "y"), ()]


def _steady(definition: Definition) -> Definition:
    """Every join waits for all: else which edge comes first is the world's doing, and no node's."""
    return _replace(definition, nodes=tuple(_replace(node, join="all") for node in definition.nodes))


def _outcome(run: Run, key: str) -> Outcome:
    """What a node comes to, from its key and input alone. Only a node that handles its errors fails."""
    given = json.dumps([key, input_of(run.state, run.graph, key)], sort_keys=True)
    number = int.from_bytes(hashlib.blake2b(given.encode(), digest_size=6).digest(), "big")
    chance = Random(number)
    node = run.graph.nodes[split_key(key)[0]]
    if node.node.on_error != "stop" and chance.random() < 0.2:
        return Failed(NodeError("boom", "boom!", False))
    if node.node.type == WHILE:
        loop = run.state.loops.get(key)
        return Repeat((loop.ended if loop else 0) < number % 4, 10, "collect")
    if node.is_loop and chance.random() < 0.9:
        items = tuple(f"{number} {i}" for i in range(chance.choice([0, 1, 2, 3])))
        return Iterate(items, chance.choice([0, 1, 2]), "collect")
    if chance.random() < 0.1:
        return Sleep(run.at + 5, number)
    return Completed(number, chance.choice(PORTS))


def _step(run: Run, random: Random) -> None:
    due = [("task", key) for key in tasks_of(run.state)]
    due += [("timer", id) for id in timers_of(run.state) if not id.startswith("execution")]
    kind, which = random.choice(due)
    if kind == "timer":
        run.fire(which)
    else:
        run.when(c.Complete(which, run.state.runs[which].attempt, _outcome(run, which)), at=run.at + 1)


def _finish(run: Run, random: Random) -> Run:
    for _ in range(STEPS):
        if run.state.closed:
            return run
        _step(run, random)
    raise AssertionError("the run does not end")


def _somewhere(run: Run, random: Random) -> str:
    """A node run that the source came to; of a loop that began anew, one of its latest round. Not of a clean-up."""
    came = Past(run.events, run.graph).scheduled
    return random.choice([key for key in came if not run.graph.nodes[split_key(key)[0]].cleanup] or ["t"])


@ENGINE
@given(definitions(pure=True), SEEDS)
def test_a_fork_with_its_own_input_ends_as_its_source_does(drawn: Definition, seed: int):
    definition, random = _steady(drawn), Random(seed)
    source = Run.given(definition, trigger={"seed": 1})
    for _ in range(random.choice([0, 3, 10, STEPS])):
        if not source.state.closed:
            _step(source, random)
    node = _somewhere(source, random)
    fork = forked(source, node)
    _check_kept(fork)
    if not fork.state.closed and random.random() < 0.5:  # and so does a fork of it, made on the way
        for _ in range(random.randint(0, 5)):
            if not fork.state.closed:
                _step(fork, random)
        fork = forked(fork, random.choice([node, _somewhere(fork, random)]))
        _check_kept(fork)
    _finish(source, random)
    _finish(fork, random)
    _check_kept(fork)
    assert fork.state.status == source.state.status
    assert fork.state.result == source.state.result


def _check_kept(fork: Run) -> None:
    """What is kept never runs again."""
    kept = {event.node for event in fork.events if event.kept_at and isinstance(event, e.NodeCompleted)}
    fresh = [(s.node, s.attempt) for s in fork.events if not s.kept_at and isinstance(s, e.NodeScheduled)]
    assert not kept & {node for node, _ in fresh}
    assert len(fresh) == len(set(fresh))


@ENGINE
@given(definitions(), SEEDS, st.integers(0, 2**32 - 1))
def test_a_fork_of_any_run_ends_whatever_happens(definition: Definition, seed: int, chance: int):
    """Sources with retries, cancels, children, timeouts, failures; then the same world upon the fork."""
    random = Random(chance)
    source = play(definition, seed)
    fork = forked(source, _somewhere(source, random))
    _disturb(fork, World(fork.graph, chance))


def _disturb(run: Run, world: World) -> None:
    world.past.append(start())
    for _ in range(STEPS):
        if run.state.closed and not world.wants_retry(run.state):
            return
        run.when(world.command(run.state, run.at), at=run.at + 7)
    raise AssertionError("the fork does not end")


@ENGINE
@given(definitions(pure=True), definitions(pure=True), SEEDS)
def test_a_fork_by_any_other_version_is_refused_or_ends(before: Definition, after: Definition, seed: int):
    random = Random(seed)
    source = play(before, seed)
    node = random.choice([*(event.node for event in source.events if isinstance(event, e.NodeScheduled)), "n1"])
    faults = _faults(source, node, after)
    if faults:
        assert faults == ["/node"]
        return
    assert plan_of(source, node, by=after).report is not None
    fork = forked(source, node, by=after)
    _check_kept(fork)
    _disturb(fork, World(fork.graph, seed))


def _faults(source: Run, node: str, after: Definition) -> list[str]:
    try:
        planned(source, node, by=after)
    except InvalidInput as refused:
        return [problem.path for problem in refused.problems]
    return []

"""Scenarios from a seed: workflows, what each attempt comes to, and what people do meanwhile.

All draws hang on names (the seed, the node run, the attempt), never on how many were made before: a scenario with a
node less behaves as it did elsewhere, so it can be made smaller.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from linkflow.domain import outcomes as o
from linkflow.domain.definition import Definition, Edge, Node, Retry, Settings, Timeout
from linkflow.domain.trial import Answer, Mock, Trial

from .world import UNKNOWN

TICK = 1_000
"""What a logical moment lasts (ms)."""
PORTS = ("main", "main", "main", "main", "main", "x", "y", "error")
MENDER = "mender"
"""The workflow that runs for failures."""
EVENTS = ("paid", "go")
KEYS = ("", "1", "2")


@dataclass(frozen=True)
class Verb:
    """Something from outside at a moment. `pick` chooses the run, or the approval, among those there are."""

    tick: int
    what: str
    pick: int = 0
    name: str = ""
    key: str = ""


@dataclass(frozen=True)
class Scenario:
    seed: int
    workflows: Mapping[str, Definition]
    verbs: tuple[Verb, ...] = ()
    trial: Trial | None = None
    """Of a scenario whose main run is a test run."""

    def outcome(self, run: str, node: Node, key: str, attempt: int, now: int) -> o.Outcome:
        """What an attempt comes to when it is reported at `now` (ms)."""
        return _Outcomes(self, f"{run}/{key}/{attempt}").draw(node, now)

    def without_verb(self, index: int) -> Scenario:
        return replace(self, verbs=self.verbs[:index] + self.verbs[index + 1 :])

    def with_workflow(self, name: str, definition: Definition) -> Scenario:
        return replace(self, workflows={**self.workflows, name: definition})


def draw(seed: int) -> Scenario:
    """The scenario of a seed."""
    random = Random(f"scenario {seed}")
    workflows = {"main": _Drawing(random, 0).definition()}
    for name in ("child", "grandchild", MENDER):
        workflows[name] = _Drawing(random, 1).definition()
    cleans_up = any(edge.source_output == "cancelled" for edge in workflows["main"].edges)
    trial = _trial(Random(f"trial {seed}"), workflows["main"])
    return Scenario(seed, workflows, _verbs(random, cleans_up), trial)


def _trial(random: Random, definition: Definition) -> Trial | None:
    if random.random() < 0.75:
        return None
    mocks = {node.id: _mock(random, node.id) for node in definition.nodes[1:] if random.random() < 0.3}
    mocks.pop("t", None)
    return Trial(mocks, skip_delays=random.random() < 0.5, error_workflow=random.random() < 0.5)


def _mock(random: Random, id: str) -> Mock:
    """Answers by attempt. A failure that ends its scope is left to real nodes: what else was done by then depends on
    the order among those that are ready, which nothing says."""
    answers = [Answer(f"mocked {id} {i}") for i in range(random.randint(1, 3))]
    if random.random() < 0.4:
        answers[0] = Answer(error=o.NodeError("boom", "boom!", random.random() < 0.8, {"of": id}))
    return Mock(tuple(answers))


def _verbs(random: Random, cleans_up: bool) -> tuple[Verb, ...]:
    verbs = [Verb(random.randint(3, 12), "cancel")] if cleans_up and random.random() < 0.7 else []
    for _ in range(random.choice([0, 0, 1, 2, 4, 8])):
        what = random.choice([
            "signal", "signal", "publish", "publish", "pause", "pause", "resume", "resume", "cancel", "cancel",
            "terminate", "retry", "retry", "retry", "decide",
        ])  # fmt: skip
        verbs.append(
            Verb(random.randint(1, 16), what, random.randint(0, 5), random.choice(EVENTS), random.choice(KEYS))
        )
    return tuple(sorted(verbs, key=lambda verb: verb.tick))


class _Drawing:
    """A definition under way: scopes within scopes, each a graph without cycles."""

    def __init__(self, random: Random, depth: int) -> None:
        self.random = random
        self.small = depth > 0
        self.nodes: list[Node] = [Node("t", "trigger_manual")]
        self.edges: list[Edge] = []

    def definition(self) -> Definition:
        top = self._scope("t", "main", 0)
        if self.random.random() < 0.3:
            self._cleanup(top)
        random = self.random
        settings = Settings(
            max_parallel=random.choice([0, 0, 0, 1, 2]),
            retry=random.choice([None, None, None, Retry(max_attempts=2, initial_interval=2)]),
            timeout=random.choice([0, 0, 0, 6, 15]),
            error_workflow=random.choice(["", "", MENDER, UNKNOWN]),
            timeout_counts_waiting=random.random() < 0.3,
        )
        nodes = random.sample(self.nodes, len(self.nodes)) if random.random() < 0.3 else self.nodes
        return Definition("drawn", tuple(nodes), tuple(self.edges), settings=settings)

    def _join(self, source: str, output: str, target: str) -> None:
        self.edges.append(Edge(f"e{len(self.edges)}", source, target, output))

    def _scope(self, source: str, output: str, depth: int) -> list[str]:
        """A few nodes behind one output; every one of them is reached from there. Returns those of this scope."""
        random = self.random
        most = 2 if self.small else 8 if depth == 0 else 3
        ids = [self._node(depth) for _ in range(random.randint(3 if most > 5 else 1, most))]
        loops = {node.id for node in self.nodes if node.type in ("loop", "while")}
        for place, id in enumerate(ids):
            before = random.sample(ids[:place], min(place, random.choice([0, 1, 1, 2, 3])))
            for other in before:
                self._join(other, random.choice(("done", "main", "error") if other in loops else PORTS), id)
            if not before or random.random() < 0.15:
                self._join(source, output, id)
        if depth and output == "each" and random.random() < 0.2:
            self._join(random.choice(ids), "main", source)  # people draw the way back, too
        return ids

    def _cleanup(self, top: list[str]) -> None:
        """Branches that run when the run is cancelled, of their own nodes."""
        ids = self._scope(self.random.choice(["t", *top]), "cancelled", 1)
        for id in ids:
            if self.random.random() < 0.3:
                self._join(self.random.choice(top), "cancelled", id)

    def _node(self, depth: int) -> str:
        random = self.random
        loop = depth < 2 and random.random() < 0.22
        kind = random.choice(["loop", "loop", "while"]) if loop else "noop"
        id = f"{kind if loop else 'n'}{len(self.nodes)}"
        self.nodes.append(
            Node(
                id, kind,
                join=random.choice(["all", "all", "any"]),
                on_error=random.choice(["stop", "continue", "branch", "branch"]),
                disabled=random.random() < 0.04,
                **_pinned(random, id),
                retry=_retry(random),
                timeout=_timeout(random),
            )
        )  # fmt: skip
        if loop and random.random() < 0.85:
            self._scope(id, "each", depth + 1)
        return id


def _pinned(random: Random, id: str) -> dict[str, Any]:
    if (drawn := random.random()) >= 0.07:
        return {}
    if drawn < 0.05:
        return {"pinned_output": f"pinned {id}"}
    return {"pinned_error": o.NodeError("boom", "boom!", drawn < 0.06, {"of": id})}


def _retry(random: Random) -> Retry | None:
    return random.choice([
        None, None, Retry(max_attempts=2, initial_interval=0), Retry(max_attempts=1),
        Retry(max_attempts=3, initial_interval=1, backoff_coefficient=2, jitter=0.5, non_retryable=("fatal",)),
        Retry(max_attempts=3, initial_interval=2, max_interval=3, non_retryable=("timeout",)),
    ])  # fmt: skip


def _timeout(random: Random) -> Timeout | None:
    return random.choice([
        None, None, None, None, Timeout(start_to_close=3), Timeout(schedule_to_start=4), Timeout(schedule_to_close=8),
        Timeout(start_to_close=2, schedule_to_start=3, schedule_to_close=6),
        Timeout(heartbeat=2),
        Timeout(heartbeat=3, start_to_close=9),
    ])  # fmt: skip


class _Outcomes:
    def __init__(self, scenario: Scenario, name: str) -> None:
        self.random = Random(f"{scenario.seed}/{name}")
        self.name = name
        self.failing = Random(f"failing {scenario.seed}").choice([0.0, 0.05, 0.15, 0.4])

    def draw(self, node: Node, now: int) -> o.Outcome:
        random = self.random
        output = f"{self.name}!"
        if random.random() < self.failing:
            return self._failure()
        if node.type == "while":
            return o.Repeat(random.random() < 0.7, random.choice([1, 3, 1000]), random.choice(["stop", "collect"]))
        if node.type == "loop":
            items = tuple(f"{self.name} {i}" for i in range(random.choice([0, 1, 2, 2, 3])))
            if random.random() < 0.2:
                items = (list(items), [1])  # batches are items that are lists
            return o.Iterate(items, random.choice([0, 1, 1, 2]), random.choice(["stop", "collect"]))
        kind = random.random()
        if kind < 0.08:
            return o.Sleep(now + random.choice([-5, 0, 1, 3]) * TICK, random.choice([None, output]))
        if kind < 0.16:
            return o.WaitEvent(
                random.choice(EVENTS), random.choice(KEYS), random.choice([0, now + 2 * TICK, now + 6 * TICK])
            )
        if kind < 0.22:
            escalate = random.choice([0, now + TICK])
            return o.RequestApproval(
                "Ship it?", assignees=("ada",), until=random.choice([0, now + 4 * TICK]), escalate_at=escalate,
                escalate_to=("bob",) if escalate else (), payload=output,
            )  # fmt: skip
        if kind < 0.30:
            return self._call()
        ports = random.choice([("main",)] * 5 + [("x",), ("y",), ("x", "y"), ("main", "x", "y"), ()])
        return o.Completed(output, ports, respond=output if kind > 0.97 else None, answers=kind > 0.97)

    def _call(self) -> o.Outcome:
        deep = self.name.count(">")
        targets = ["child", "child", UNKNOWN] if deep == 0 else ["grandchild", UNKNOWN]
        if deep > 1:
            return o.Completed(self.name)
        random = self.random
        return o.CallWorkflow(
            random.choice(targets), f"for {self.name}", random.random() < 0.7,
            random.choice(["terminate", "cancel", "abandon"]),
        )  # fmt: skip

    def _failure(self) -> o.Failed:
        random = self.random
        code = random.choice(["boom", "boom", "fatal"])
        details: dict[str, Any] = {"of": self.name} if random.random() < 0.5 else {}
        error = o.NodeError(code, f"{code}!", random.random() < 0.8, details)
        return o.Failed(error, "start_to_close" if random.random() < 0.1 else "", random.choice([0, 0, 3 * TICK]))

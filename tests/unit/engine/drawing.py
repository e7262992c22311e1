"""Random definitions and a random world: what the property tests run on.

Hypothesis draws the definition, so a failing one is made small; a seed decides what the world does with it.
"""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

from linkflow.domain import commands as c
from linkflow.domain.definition import CANCELLED, LOOPS, WHILE, Definition, Edge, Node, Retry, Settings, Timeout
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, Iterate, NodeError, Outcome, Repeat, Sleep
from linkflow.domain.state import CALLING, SCHEDULED, State, split_key
from linkflow.domain.steps import Stepped, Usage
from tests.unit.engine.support import AT, ID, WORKFLOW, start, tasks_of, timers_of

RETRIES = st.sampled_from([
    None, None, Retry(max_attempts=2, initial_interval=0), Retry(max_attempts=3, jitter=0.5, non_retryable=("fatal",)),
])  # fmt: skip
TIMEOUTS = st.sampled_from([None, None, Timeout(start_to_close=5), Timeout(heartbeat=5)])
OUTPUTS = ("main", "main", "x", "y", "error")


class _Drawing:
    """A definition under way: scopes within scopes, each a graph without cycles."""

    def __init__(self, draw: st.DrawFn, pure: bool) -> None:
        self.draw = draw
        self.pure = pure
        self.nodes: list[Node] = []
        self.edges: list[Edge] = []

    def join(self, source: str, output: str, target: str) -> None:
        self.edges.append(Edge(f"e{len(self.edges)}", source, target, output))

    def scope(self, source: str, output: str, depth: int) -> None:
        """A few nodes behind one output; every one of them is reached from there."""
        ids = [self.node(depth) for _ in range(self.draw(st.integers(3, 6) if depth == 0 else st.integers(1, 4)))]
        loops = self.loops()
        for place, id in enumerate(ids):
            before = self.draw(st.lists(st.sampled_from(ids[:place]), max_size=3)) if place else []
            for other in before:
                out = self.draw(st.sampled_from(("done", "main", "error") if other in loops else OUTPUTS))
                self.join(other, out, id)
            if not before or self.draw(st.integers(0, 5)) == 0:
                self.join(source, output, id)
        if depth and output != CANCELLED and self.draw(st.integers(0, 3)) == 0:
            self.join(self.draw(st.sampled_from(ids)), "main", source)  # people draw the way back, too

    def cleanup(self, count: int) -> None:
        """Branches that run on cancel, perhaps with nodes in common."""
        inside = {edge.target for edge in self.edges if edge.source_output == "each"}
        while True:
            more = {edge.target for edge in self.edges if edge.source in inside and edge.target not in self.loops()}
            if more <= inside:
                break
            inside |= more
        sources = [node.id for node in self.nodes if node.id not in inside]
        for _ in range(count):
            self.scope(self.draw(st.sampled_from(sources)), CANCELLED, 1)
        first = self.edges[-1].target
        self.join(self.draw(st.sampled_from(sources)), CANCELLED, first)

    def loops(self) -> set[str]:
        return {node.id for node in self.nodes if node.type in LOOPS}

    def node(self, depth: int) -> str:
        draw = self.draw
        loop = depth < 2 and draw(st.integers(0, 3)) == 0
        id = f"{'loop' if loop else 'n'}{len(self.nodes)}"
        given = {} if self.pure else {"retry": draw(RETRIES), "timeout": draw(TIMEOUTS)}
        self.nodes.append(
            Node(
                id, draw(st.sampled_from(["loop", "loop", "while"])) if loop else "noop",
                join=draw(st.sampled_from(["all", "all", "any"])),
                on_error=draw(st.sampled_from(["stop", "continue", "branch"])),
                disabled=draw(st.integers(0, 11)) == 11,
                pinned_output="pinned" if draw(st.integers(0, 11)) == 11 else None,
                **given,
            )
        )  # fmt: skip
        if loop and draw(st.integers(0, 5)):
            self.scope(id, "each", depth + 1)
        return id


@st.composite
def definitions(draw: st.DrawFn, pure: bool = False) -> Definition:
    """Branches, joins of both kinds, nested loops, error outputs, retries, timeouts. `pure`: without the last two."""
    drawing = _Drawing(draw, pure)
    drawing.nodes.append(Node("t", "trigger_manual"))
    drawing.scope("t", "main", 0)
    if draw(st.integers(0, 2)) == 0:
        drawing.cleanup(draw(st.integers(1, 2)))
    settings = Settings(
        max_parallel=draw(st.sampled_from([0, 0, 1, 2, 3])),
        retry=None if pure else draw(RETRIES),
        timeout=draw(st.sampled_from([0, 60])),
        timeout_counts_waiting=draw(st.booleans()),
    )
    nodes = draw(st.permutations(drawing.nodes)) if draw(st.booleans()) else drawing.nodes
    return Definition("drawn", tuple(nodes), tuple(drawing.edges), settings=settings)


class World:
    """Workers, timers, children and people, with all their delays and doubts. Everything follows from the seed."""

    def __init__(self, graph: Graph, seed: int, *, trouble: float = 0.3, stops: float = 0.01) -> None:
        """`trouble` is the share of commands that come twice, too late or for nothing; `stops` that of cancels."""
        self.random = Random(seed)
        self.graph = graph
        self.trouble = trouble
        self.stops = stops
        self.retries = self.random.choice([0, 1, 2])
        self.failing = self.random.choice([0.0, 0.1, 0.3, 0.5])
        self.past: list[c.Command] = []

    def command(self, state: State, at: int) -> c.Command:
        """Something that may happen next to a run in this state."""
        command = self._command(state, at)
        self.past.append(command)
        return command

    def _command(self, state: State, at: int) -> c.Command:
        chance = self.random.random()
        if not state.version:
            return start({"seed": 1})
        if chance < self.stops:
            return self.random.choice([c.Cancel("ada", "enough"), c.Terminate("ada")])
        if chance < self.trouble:
            return self._noise(state, at)
        return self._due(state, at) or self._noise(state, at)

    def _due(self, state: State, at: int) -> c.Command | None:
        """What the run waits for: a result, a timer, the end of a child."""
        if state.closed:
            return None
        waits: list[tuple[str, str, int]] = [("task", key, attempt) for key, attempt in tasks_of(state).items()]
        waits += [("timer", id, 0) for id in timers_of(state) if not id.startswith("execution")]
        waits += [("child", key, run.attempt) for key, run in state.runs.items() if run.status == CALLING]
        kind, key, attempt = self.random.choice(waits)
        if kind == "timer":
            return c.Fire(key)
        if kind == "child":
            return c.CloseChild(key, attempt, state.runs[key].child, self._child_status(), result=f"{key} child")
        if self.random.random() < 0.1:
            return c.Begin(key, attempt, "w")
        if self.random.random() < 0.1:
            return c.Record(key, attempt, self._step(key, attempt), "w")
        return c.Complete(key, attempt, self.outcome(key, attempt, at), at, 5, "w")

    def _step(self, key: str, attempt: int) -> Stepped:
        usage = Usage("m", "p", 3, 2, cost=self.random.choice([None, 7])) if self.random.random() < 0.5 else None
        return Stepped(f"step/{self.random.randint(1, 4)}", "model", output=f"{key} #{attempt}", usage=usage)

    def _child_status(self) -> str:
        return "completed" if self.random.random() > self.failing else self.random.choice(["failed", "rejected"])

    def _noise(self, state: State, at: int) -> c.Command:
        keys = list(state.runs)
        key, attempt = self.random.choice(keys), self.random.randint(1, 3)
        ids = [*timers_of(state), f"delay/{attempt}/{key}", f"retry/{attempt}/{key}", f"execution/{AT}/"]
        if self.wants_retry(state):
            self.retries -= 1
            return c.RetryFailed("ada")
        choices: list[c.Command] = [
            *self.random.sample(self.past, min(3, len(self.past))),
            c.Complete(key, attempt, self.outcome(key, attempt, at)),
            c.Begin(key, attempt),
            c.Record(key, attempt, self._step(key, attempt)),
            c.Fire(self.random.choice(ids)),
            c.CloseChild(key, attempt, ID, "completed"),
            start("again"),
        ]
        choice = self.random.choice(choices)
        return start("again") if isinstance(choice, c.RetryFailed) else choice  # at most `retries` of those

    def wants_retry(self, state: State) -> bool:
        return state.status == "failed" and self.retries > 0

    def outcome(self, key: str, attempt: int, at: int) -> Outcome:
        """What running a node comes to. An output names its node run, so a result that went astray shows."""
        random = self.random
        output = f"{key} #{attempt}"
        if random.random() < self.failing:
            return self._failure(at)
        node = self.graph.nodes[split_key(key)[0]]
        if node.node.type == WHILE and random.random() < 0.9:
            return Repeat(random.random() < 0.6, random.choice([1, 4]), random.choice(["stop", "collect"]))
        if node.is_loop and node.node.type != WHILE and random.random() < 0.9:
            items = tuple(f"{key} item {i}" for i in range(random.choice([0, 1, 2, 3, 3])))
            return Iterate(items, random.choice([0, 1, 1, 2]), random.choice(["stop", "collect"]))
        kind = random.random()
        if kind < 0.1:
            return Sleep(at + random.choice([-5, 0, 7, 5000]), random.choice([None, output]))
        if kind < 0.2:
            policy, step = random.choice(["terminate", "cancel", "abandon"]), random.choice(["", "", f"call/{attempt}"])
            return CallWorkflow(WORKFLOW, key, random.random() < 0.7, policy, step)
        if kind < 0.22 and node.node.type != WHILE:
            return Iterate(("stray",), 1)
        ports = random.choice([("main",), ("main",), ("x",), ("y",), ("x", "y"), ("main", "x", "y"), ()])
        return Completed(output, ports, respond=output if kind > 0.97 else None, answers=kind > 0.97)

    def _failure(self, at: int) -> Failed:
        code = self.random.choice(["boom", "boom", "fatal"])
        error = NodeError(
            code, f"{code}!", self.random.random() < 0.8, {"at": at} if self.random.random() < 0.5 else {}
        )
        timed_out = "heartbeat" if self.random.random() < 0.1 else ""
        return Failed(error, timed_out, self.random.choice([0, 0, 3000]), fresh=self.random.random() < 0.1)


def pure(command: c.Command) -> bool:
    """Would a worker's session see this command?"""
    return isinstance(command, c.Complete)


def busy(state: State) -> int:
    """Node runs that count against `max_parallel`."""
    return sum(run.status in (SCHEDULED, CALLING, "backoff") for run in state.runs.values())

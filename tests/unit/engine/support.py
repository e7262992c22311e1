"""Small definitions, and a driver that plays the world around the decider: its store, its workers, its timers.

Every step of `Run` also checks what must hold at every step, so an example is a test of the invariants too.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Decision, decide
from linkflow.domain.definition import Definition, Edge, Node, Settings
from linkflow.domain.effects import effects, orphans
from linkflow.domain.evolve import fold
from linkflow.domain.graph import Graph
from linkflow.domain.outcomes import CallWorkflow, Completed, Failed, Iterate, NodeError, Repeat, Sleep
from linkflow.domain.state import (
    BACKOFF,
    CALLING,
    COLLECTING,
    PAUSED,
    QUEUED,
    SCHEDULED,
    WAITING,
    State,
    decode,
    encode,
    new,
)
from linkflow.domain.timing import (
    DELAY,
    ENTER,
    ESCALATE,
    EXECUTION,
    HEARTBEAT,
    RETRY,
    SCHEDULE_TO_CLOSE,
    SCHEDULE_TO_START,
    START_TO_CLOSE,
    WAIT,
    timer_id,
)

AT = 1_764_000_000_000
"""When every run here starts (ms)."""
SECOND = 1_000
ID = "019aac8b-7c00-7abc-8000-000000000001"
WORKSPACE = "5b0f7e0e-0000-4000-8000-000000000001"
WORKFLOW = "5b0f7e0e-0000-4000-8000-000000000002"

Tasks = dict[str, int]
Timers = dict[str, int]


def flow(*chains: str, settings: Settings | None = None, **nodes: dict[str, Any]) -> Definition:
    """A definition from chains such as ``t > a > b`` and ``if:true > c`` (the output stands behind the colon).

    Nodes appear in the order of their first mention. `t…` is a manual trigger, `loop…` a loop and `while…` a while
    loop; `nodes` gives any node further attributes.
    """
    found: dict[str, Node] = {}
    edges: list[Edge] = []
    for chain in chains:
        stops = [stop.strip().partition(":") for stop in chain.split(">")]
        for id, _, _ in stops:
            kind = (
                "trigger_manual" if id[0] == "t" else next((k for k in ("loop", "while") if id.startswith(k)), "noop")
            )
            found.setdefault(id, Node(**({"id": id, "type": kind} | nodes.get(id, {}))))
        for (source, _, output), (target, _, _) in pairwise(stops):
            edges.append(Edge(f"e{len(edges)}", source, target, output or "main"))
    return Definition("under test", tuple(found.values()), tuple(edges), settings=settings or Settings())


def start(trigger: Any = None, *, node: str = "t", parent: e.Parent | None = None, key: str = "") -> c.Start:
    return c.Start(ID, WORKSPACE, WORKFLOW, 1, node, trigger, "manual", "ada", key, parent)


def done(key: str, output: Any = None, *ports: str, attempt: int = 1, **more: Any) -> c.Complete:
    return c.Complete(key, attempt, Completed(output, ports or ("main",), **more))


def fails(key: str, code: str = "boom", *, attempt: int = 1, retryable: bool = True, **more: Any) -> c.Complete:
    return c.Complete(key, attempt, Failed(NodeError(code, f"{code}!", retryable), **more))


def sleeps(key: str, until: int, output: Any = None, *, attempt: int = 1) -> c.Complete:
    return c.Complete(key, attempt, Sleep(until, output))


def iterates(key: str, *items: Any, concurrency: int = 1, on_item_error: str = "stop", attempt: int = 1) -> c.Complete:
    return c.Complete(key, attempt, Iterate(items, concurrency, on_item_error))


def asked(key: str, holds: bool, *, most: int = 1000, on_item_error: str = "stop", attempt: int = 1) -> c.Complete:
    """A while loop's condition was evaluated."""
    return c.Complete(key, attempt, Repeat(holds, most, on_item_error))


def calls(
    key: str, workflow: str = WORKFLOW, *, wait: bool = True, close: str = "terminate", attempt: int = 1
) -> c.Complete:
    return c.Complete(key, attempt, CallWorkflow(workflow, {"for": key}, wait, close))


def brief(events: Iterable[e.Event]) -> list[str]:
    """Events as ``NodeCompleted a``; further attempts as ``NodeScheduled a #2``, items of a loop as ``… loop 0``."""
    lines = []
    for event in events:
        words = [type(event).__name__]
        if getattr(event, "node", ""):
            words.append(event.node)  # type: ignore[union-attr]
        if isinstance(event, e.LoopItemCompleted):
            words.append(str(event.index))
        if isinstance(event, e.LoopItemsStarted):
            words.append(f"{event.first}+{event.count}")
        if getattr(event, "attempt", 1) != 1:
            words.append(f"#{event.attempt}")  # type: ignore[union-attr]
        lines.append(" ".join(words))
    return lines


def tasks_of(state: State) -> Tasks:
    """The tasks that a state calls for, from nothing but the state."""
    return {key: run.attempt for key, run in state.runs.items() if run.status == SCHEDULED}


def timers_of(state: State) -> Timers:
    """The timers that a state calls for, from nothing but the state."""
    timers: Timers = {}
    for key, run in state.runs.items():
        kind = {BACKOFF: RETRY, WAITING: WAIT if run.wait else DELAY}.get(run.status, "")
        if run.status == SCHEDULED:
            kind = START_TO_CLOSE if run.started else SCHEDULE_TO_START
        if kind and run.due_at:
            timers[timer_id(kind, key, run.attempt)] = run.due_at
        if run.beat_by and run.status == SCHEDULED:
            timers[timer_id(HEARTBEAT, key, run.attempt)] = run.beat_by
        if run.close_by and run.status in (SCHEDULED, BACKOFF, CALLING):
            timers[timer_id(SCHEDULE_TO_CLOSE, key, run.close_by)] = run.close_by
        if run.status == WAITING and run.wait and run.wait.escalate_at:
            timers[timer_id(ESCALATE, key, run.attempt)] = run.wait.escalate_at
    if state.timeout_at and not state.closed:
        timers[timer_id(EXECUTION, attempt=state.timeout_at)] = state.timeout_at
    if state.entry is not None and state.entry.due_at:
        timers[timer_id(ENTER, attempt=state.entry.due_at)] = state.entry.due_at
    return timers


class Run:
    """One execution: given what happened so far, when commands come, then events follow."""

    def __init__(self, definition: Definition, trigger_node: str = "t") -> None:
        self.definition = definition
        self.graph = Graph(definition, trigger_node)
        self.state = new(ID)
        self.at = AT
        self.events: list[e.Event] = []
        self.tasks: Tasks = {}
        self.timers: Timers = {}
        self.children: set[str] = set()
        self.decision: Decision | None = None

    @classmethod
    def given(cls, definition: Definition, *commands: c.Command, trigger: Any = None) -> Run:
        """A run that has started and taken these commands, one after another."""
        run = cls(definition)
        for command in (start(trigger), *commands):
            assert run.when(command), f"{command} led to nothing"
        return run

    def when(self, *commands: c.Command, at: int | None = None, chance: float = 0.0) -> list[str]:
        """Decide commands as one transition, keep what it leads to, and check it. Returns the new events in brief."""
        self.at = self.at if at is None else at
        before = encode(self.state)
        decision = decide(self.graph, self.definition.settings, self.state, commands, self.at, chance)
        assert encode(self.state) == before, "decide changed the state it was given"
        self._store(decision)
        self.check()
        return brief(decision.events)

    def last(self, kind: type[Any]) -> Any:
        """The latest event of that kind."""
        return next(event for event in reversed(self.events) if isinstance(event, kind))

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def status(self, key: str) -> str:
        """A node run's status, or "" where there is none."""
        run = self.state.runs.get(key)
        return run.status if run else ""

    def output(self, key: str) -> Any:
        return self.state.runs[key].output

    def fire(self, id: str) -> list[str]:
        """The timer falls due."""
        return self.when(c.Fire(id), at=max(self.at, self.timers[id]))

    def _store(self, decision: Decision) -> None:
        """What History does: events and state go through their stored form; task and timer rows come and go."""
        diff = effects(decision)
        for key, attempt in diff.done_tasks:
            assert self.tasks.pop(key) == attempt
        for key, attempt in diff.new_tasks:
            assert key not in self.tasks
            self.tasks[key] = attempt
        for id in diff.done_timers:
            del self.timers[id]
        self.timers.update(diff.new_timers)
        for event in decision.events:
            if isinstance(event, e.ChildStarted) and event.wait and event.close_policy != "abandon":
                self.children.add(event.execution_id)
            elif isinstance(event, e.ChildCompleted | e.ChildFailed):
                self.children.discard(event.execution_id)
        self.children -= {child for child, _ in orphans(decision)}
        self.events += e.decode(e.encode(decision.events))
        self.state = decode(encode(decision.state))
        self.decision = decision

    def check(self) -> None:
        """What holds after every transition."""
        assert [event.event_id for event in self.events] == list(range(1, len(self.events) + 1))
        assert all(a.at <= b.at for a, b in pairwise(self.events))
        stored = encode(self.state)
        assert self.decision is not None
        assert encode(self.decision.state) == stored
        assert encode(fold(ID, self.events)) == stored
        assert self.tasks == tasks_of(self.state)
        assert self.timers == timers_of(self.state)
        calling = [run for run in self.state.runs.values() if run.status == CALLING]
        assert self.children == {run.child for run in calling if run.close_policy != "abandon"}
        if self.state.closed:
            assert not self.tasks
            assert not self.timers
            assert not self.state.loops
            assert not any("[" in key for key in self.state.runs)
        else:
            waiting = calling or any(run.wait for run in self.state.runs.values())
            assert self.tasks or self.timers or waiting or self.state.status in (PAUSED, QUEUED), "it is stuck"
            assert (self.state.entry is not None) == (self.state.status in (QUEUED, COLLECTING))


def joined(events: Sequence[str], *kinds: str) -> list[str]:
    """Brief events of these kinds only."""
    return [line for line in events if line.split()[0] in kinds]

"""One execution, as docs and semantics tell it: a set of facts, and rules that are tried from scratch until none holds.

Nothing here is incremental and nothing is shared with the engine but the shapes of definitions and outcomes: a rule
looks at all facts (which node runs there are, and what became of each) and says one thing that follows. So it is slow,
plain, and another way to the same history.

What is said are `Fact`s: the name of an event and those of its attributes that the meaning fixes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from linkflow.domain import outcomes as o
from linkflow.domain.definition import Definition, Node, Retry

from .plan import Plan

OPEN = ("running", "paused", "cancelling")
TASK, BACKOFF, DELAY, EVENT, APPROVAL, CHILD, LOOP = "task", "backoff", "delay", "event", "approval", "child", "loop"
BODIES = ("loop", "while")
KEPT_RESULTS = 100
"""Of a while loop."""
DONE, FAILED, CANCELLED, SKIPPED = "done", "failed", "cancelled", "skipped"
HELD = "held"
"""To be tried again by hand, as soon as there is room."""
ACTIVE = (TASK, BACKOFF, DELAY, EVENT, APPROVAL, CHILD, LOOP, HELD)
TAKES_ROOM = (TASK, BACKOFF, CHILD)
"""What `max_parallel` counts: waiting holds no slot, and a loop is its iterations."""

Fact = tuple[str, dict[str, Any]]
Error = dict[str, Any]
Path = tuple[int, ...]


def key_of(node: str, path: Path) -> str:
    return f"{node}[{','.join(str(index) for index in path)}]" if path else node


def child_name(parent: str, key: str, attempt: int, called: set[str]) -> str:
    """``run>call#1``. A loop that runs again after a retry by hand may call from the same place: ``run>call#1'``."""
    name = f"{parent}>{key}#{attempt}"
    while name in called:
        name += "'"
    called.add(name)
    return name


def problem(code: str, retryable: bool = True, **details: Any) -> Error:
    """An error without its words: those are the engine's own."""
    return {"code": code, "retryable": retryable, "details": details}


@dataclass
class Visit:
    """A node run."""

    node: Node
    path: Path
    sources: tuple[str, ...] = ()
    doing: str = TASK
    attempt: int = 1
    base: int = 0
    """Attempts from before a retry by hand, which do not count against the policy."""
    taken_up: bool = False
    start_by: int = 0
    close_by: int = 0
    beat_by: int = 0
    beat: Any = None
    beat_at: int = 0
    beats: bool = False
    due: int = 0
    """When the delay, the backoff, the wait or the attempt ends."""
    over: bool = False
    """The backoff ended in a pause: its timer is gone."""
    escalate: int = 0
    ask_too: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    since: int = 0
    """Which wait of the run this is: the oldest gets the event."""
    name: str = ""
    correlation: str = ""
    output: Any = None
    ports: frozenset[str] = frozenset()
    child: str = ""
    policy: str = ""
    items: tuple[Any, ...] = ()
    at_once: int = 1
    on_item_error: str = "stop"
    begun: int = 0
    results: dict[int, Any] = field(default_factory=dict)
    handed: Any = None
    """What a while loop's next iteration is given."""
    errors: int = 0

    @property
    def key(self) -> str:
        return key_of(self.node.id, self.path)

    @property
    def active(self) -> bool:
        return self.doing in ACTIVE


class Run:
    """An execution. `told` are messages for other executions, `said` the facts since they were last read."""

    def __init__(self, id: str, workflow: str, definition: Definition, chance: float = 0.0) -> None:
        self.id = id
        self.workflow = workflow
        self.failures = 0
        self.definition = definition
        self.settings = definition.settings
        self.plan = Plan(definition)
        self.chance = chance
        self.status = "running"
        self.now = 0
        self.visits: dict[str, Visit] = {}
        self.kept: list[tuple[str, str, str, Any]] = []
        self.seen: set[str] = set()
        self.loose: list[tuple[str, str]] = []
        self.called: set[str] = set()
        self.parent: dict[str, Any] | None = None
        self.deadline = 0
        self.left = 0
        """Of the timeout, while the clock stands."""
        self.highest = 1
        """Of the attempts inside loops."""
        self.floor = 0
        """Attempts inside loops begin above it: those before are of before a retry by hand."""
        self.waits = 0
        self.result: Any = None
        self.answered = False
        self.error: Error | None = None
        self.failed_node = ""
        self.said: list[Fact] = []
        self.told: list[tuple[Any, ...]] = []
        self.prefer: Sequence[str] = ()
        """Which of the nodes that are ready come first where there is not room for all: nothing says, so the engine
        may choose, and is followed."""

    # What is asked of it. Each returns whether it was accepted.

    def start(self, trigger: Any, mode: str, parent: dict[str, Any] | None = None, caused_by: str = "") -> bool:
        self.parent, self.mode, self.trigger, self.started_at = parent, mode, trigger, self.now
        self.in_error = mode == "error" or bool(parent and parent["in_error"])
        self._set_deadline()
        self.say(
            "ExecutionStarted", trigger_node=self.plan.trigger.id, trigger=trigger, mode=mode, parent=parent,
            timeout_at=self.deadline, caused_by=caused_by,
        )  # fmt: skip
        self.visits[self.plan.trigger.id] = Visit(
            self.plan.trigger, (), doing=DONE, output=trigger, ports=frozenset({"main"})
        )
        return self.settle()

    def begin(self, key: str, attempt: int) -> bool:
        """A worker took the task up. Recorded where a timeout hangs on it."""
        visit = self._at(key, attempt, TASK)
        limits = visit.node.timeout if visit else None
        if visit is None or visit.taken_up or limits is None:
            return False
        if not limits.start_to_close and not limits.schedule_to_start and not limits.heartbeat:
            return False
        visit.taken_up = True
        visit.due = self.now + ms(limits.start_to_close) if limits.start_to_close else 0
        visit.beat_by = self.now + ms(limits.heartbeat) if limits.heartbeat else 0
        self.say("NodeStarted", node=key, attempt=attempt, timeout_at=visit.due, beat_by=visit.beat_by)
        return True

    def heartbeat(self, key: str, attempt: int, timeout: int, details: Any) -> bool:
        """A worker lives. No event: only the time by which the next is due moves, and what it told is kept."""
        visit = self._at(key, attempt, TASK)
        if visit is None or not visit.beat_by:
            return False
        visit.beats, visit.beat_at, visit.beat_by = True, self.now, self.now + timeout
        visit.beat = visit.beat if details is None else details
        return True

    def report(self, key: str, attempt: int, outcome: o.Outcome) -> bool:
        """What an attempt came to."""
        visit = self._at(key, attempt, TASK)
        if visit is None:
            return False
        how: dict[type, Callable[[Visit, Any], None]] = {
            o.Repeat: self._repeats, o.Completed: self._completed, o.Failed: self._failed, o.Sleep: self._sleeps, o.Iterate: self._iterates,
            o.CallWorkflow: self._calls, o.WaitEvent: self._waits, o.RequestApproval: self._asks,
        }  # fmt: skip
        how[type(outcome)](visit, outcome)
        return self.settle()

    def fire(self, timer: str, due: int) -> bool:
        """A timer fell due. One that stands for nothing any more is refused, and so is one that a heartbeat moved."""
        if timer not in self.timers() or (timer.startswith("heartbeat/") and self.timers()[timer] != due):
            return False
        kind, _, key = timer.split("/", 2)
        if kind == "execution":
            self.error = problem("execution_timeout", False)
            self.close("timed_out", "ExecutionTimedOut")
            return True
        visit = self.visits[key]
        if kind == "retry":
            if self.status == "paused":  # it starts when the run goes on
                visit.over = True
                self.say("TimerFired", node=key, attempt=visit.attempt)
            else:
                self._again(visit)
        elif kind == "delay":
            self.say("TimerFired", node=key, attempt=visit.attempt)
            self.complete(visit, self.input(visit) if visit.output is None else visit.output)
        elif kind == "escalate":
            visit.escalate = 0
            visit.asked += visit.ask_too
            self.say("ApprovalEscalated", node=key, attempt=visit.attempt, assignees=visit.asked)
        else:
            self.attempt_failed(visit, problem("timeout", kind in ("start_to_close", "heartbeat")), kind)
        return self.settle()

    def signal(self, id: str, name: str, correlation: str, payload: Any, keep: bool = True) -> bool:
        """An event. The oldest wait that it fits ends; else the run keeps it, if it is to."""
        if self.status not in OPEN or id in self.seen:
            return False
        visit = self.waiting_for(name, correlation)
        if visit is None and not keep:
            return False
        self.seen.add(id)
        self.say("SignalReceived", signal_id=id, name=name, key=correlation, payload=payload)
        if visit is None:
            self.kept.append((id, name, correlation, payload))
        else:
            self.complete(visit, payload, signal_id=id)
        return self.settle()

    def decide(self, key: str, decision: str, payload: Any, actor: str) -> bool:
        visit = self.visits.get(key)
        if visit is None or visit.doing != APPROVAL or self.status not in OPEN:
            return False
        self.say("ApprovalDecided", node=key, attempt=visit.attempt, decision=decision, payload=payload, actor=actor)
        ports = {"approved": ("approved", "main"), "rejected": ("rejected",)}[decision]
        self.complete(visit, {"decision": decision, "payload": payload, "decided_by": actor}, ports)
        return self.settle()

    def child_ended(self, key: str, attempt: int, child: str, status: str, result: Any, error: Error | None) -> bool:
        visit = self._at(key, attempt, CHILD)
        if visit is None or visit.child != child:
            return False
        if status == "completed":
            self.say("ChildCompleted", node=key, attempt=attempt, execution_id=child, result=result)
            self.complete(visit, result)
        else:
            self.say("ChildFailed", node=key, attempt=attempt, execution_id=child, status=status, error=error)
            again = status != "rejected"
            self.attempt_failed(visit, problem(f"child_{status}", again, execution_id=child), "")
        return self.settle()

    def control(self, verb: str) -> bool:
        may = {
            "pause": ("running",), "resume": ("paused",), "cancel": ("running", "paused"), "terminate": OPEN,
            "retry": ("failed",),
        }  # fmt: skip
        if self.status not in may[verb]:
            return False
        if verb == "cancel":
            self._request_cancel()
        elif verb == "terminate":
            self.close("terminated", "ExecutionTerminated")
        elif verb == "pause":
            self.status = "paused"
            self.say("ExecutionPaused")
        elif verb == "resume":
            self._resume()
        else:
            self._retry()
        return self.settle()

    # What can be seen from outside

    def tasks(self) -> dict[str, int]:
        return {key: visit.attempt for key, visit in self.visits.items() if visit.doing == TASK}

    def timers(self) -> dict[str, int]:
        """Every timer that stands, by its id."""
        found = {}
        if self.status in OPEN and self.deadline:
            found[f"execution/{self.deadline}/"] = self.deadline
        for key, visit in self.visits.items():
            kind = {BACKOFF: "retry", DELAY: "delay", EVENT: "wait", APPROVAL: "wait"}.get(visit.doing, "")
            if visit.doing == TASK and visit.taken_up:
                kind = "start_to_close"
            if kind and visit.due and not visit.over:
                found[f"{kind}/{visit.attempt}/{key}"] = visit.due
            if visit.doing == TASK and not visit.taken_up and visit.start_by:
                found[f"schedule_to_start/{visit.attempt}/{key}"] = visit.start_by
            if visit.doing in (TASK, BACKOFF, CHILD) and visit.close_by:
                found[f"schedule_to_close/{visit.close_by}/{key}"] = visit.close_by
            if visit.doing == TASK and visit.beat_by:
                found[f"heartbeat/{visit.attempt}/{key}"] = visit.beat_by
            if visit.doing == APPROVAL and visit.escalate:
                found[f"escalate/{visit.attempt}/{key}"] = visit.escalate
        return found

    def heartbeats(self) -> dict[str, int]:
        """Attempts of which a heartbeat is kept."""
        return {key: visit.attempt for key, visit in self.visits.items() if visit.doing == TASK and visit.beats}

    def open_waits(self) -> dict[str, str]:
        return {key: visit.doing for key, visit in self.visits.items() if visit.doing in (EVENT, APPROVAL)}

    def waiting_for(self, name: str, correlation: str) -> Visit | None:
        fitting = [
            visit for visit in self.visits.values()
            if visit.doing == EVENT and visit.name == name and visit.correlation in ("", correlation)
        ]  # fmt: skip
        return min(fitting, key=lambda visit: visit.since, default=None)

    def say(self, what: str, **attributes: Any) -> None:
        self.said.append((what, attributes))

    # The rules

    def settle(self) -> bool:
        """Do what follows from the facts, one thing after another, until nothing does."""
        while self.status in OPEN:
            follows = next(self._follows(), None)
            if follows is None:
                break
            follows()
        self._wind_clock()
        return True

    def _wind_clock(self) -> None:
        """The run's timeout counts only while something is done, unless it is told to count all."""
        if self.status not in OPEN or not self.settings.timeout or self.settings.timeout_counts_waiting:
            return
        works = self.status != "paused" and any(visit.doing in TAKES_ROOM for visit in self.visits.values())
        if works and not self.deadline:
            self.deadline, self.left = self.now + self.left, 0
            self.say("TimeoutResumed", timeout_at=self.deadline)
        elif not works and self.deadline > self.now:
            self.deadline, self.left = 0, self.deadline - self.now
            self.say("TimeoutStopped", left=self.left)

    def _follows(self) -> Iterator[Callable[[], None]]:
        """All that follows now. A paused run records what comes; it lets no node in and does not end."""
        scopes = list(self._scopes())
        ready: list[Visit] = []
        for loop, path in scopes:
            for node in self._members(loop):
                if key_of(node.id, path) in self.visits:
                    continue
                taken, settled = self._arrivals(node, loop, path)
                if settled and not taken:
                    yield lambda node=node, path=path: self._skip(node, path)
                elif taken and (settled or node.join == "any"):
                    floor = self.floor if path else 0
                    ready.append(Visit(node, path, taken, attempt=floor + 1, base=floor))
        for visit in list(self.visits.values()):
            if visit.doing == LOOP:
                yield from self._loop_follows(visit)
            if visit.doing == LOOP and visit.node.type == "while" and visit.begun == len(visit.results):
                ready.append(visit)
        ready += [visit for visit in self.visits.values() if visit.doing == HELD]
        if ready and self._has_room():
            first = min(ready, key=lambda visit: self._preference(visit.key))
            yield lambda: self._again(first) if first.doing == HELD else self._schedule(first)
        if not ready and self.status != "paused" and not any(visit.active for visit in self.visits.values()):
            yield self._end

    def _members(self, loop: str) -> list[Node]:
        """The nodes of a scope. Of a run that is cancelled only its clean-up branches go on."""
        if loop:
            return self.plan.members(loop)
        return self.plan.cleanup() if self.status == "cancelling" else self.plan.members("")

    def _scopes(self) -> Iterator[tuple[str, Path]]:
        """The run itself, and every iteration under way: the loop's id and the path."""
        yield "", ()
        for visit in self.visits.values():
            if visit.doing == LOOP:
                for index in range(visit.begun):
                    if index not in visit.results:
                        yield visit.node.id, (*visit.path, index)

    def _arrivals(self, node: Node, loop: str, path: Path) -> tuple[tuple[str, ...], bool]:
        """Where edges into a node run were taken from, and whether all of them are settled."""
        taken: list[str] = []
        settled = True
        for edge in self.plan.into(node.id):
            if edge.source == loop:
                taken.append(key_of(loop, path[:-1]))
                continue
            source = self.visits.get(key_of(edge.source, path))
            if self.plan.cleans_up(edge):
                if source and source.doing in (DONE, CANCELLED):  # it had started
                    taken.append(source.key)
            elif source is None or source.active:
                settled = False
            elif edge.source_output in source.ports:
                taken.append(source.key)
        return tuple(dict.fromkeys(taken)), settled

    def _loop_follows(self, loop: Visit) -> Iterator[Callable[[], None]]:
        body = self.plan.members(loop.node.id)
        for index in range(loop.begun):
            path = (*loop.path, index)
            inside = [self.visits.get(key_of(node.id, path)) for node in body]
            if index not in loop.results and all(visit and not visit.active for visit in inside):
                yield lambda index=index: self._item_done(loop, index)
        if loop.node.type == "while":
            return
        if loop.begun < len(loop.items) and (not loop.at_once or loop.begun - len(loop.results) < loop.at_once):
            yield lambda: self._begin_item(loop)
        if len(loop.results) == len(loop.items):
            yield lambda: self._loop_done(loop)

    def _has_room(self) -> bool:
        bound = self.settings.max_parallel
        if self.status == "paused":
            return False
        return not bound or sum(visit.doing in TAKES_ROOM for visit in self.visits.values()) < bound

    def _preference(self, key: str) -> int:
        return self.prefer.index(key) if key in self.prefer else len(self.prefer)

    # What follows

    def _skip(self, node: Node, path: Path) -> None:
        visit = Visit(node, path, doing=SKIPPED)
        self.visits[visit.key] = visit
        self.say("NodeSkipped", node=visit.key)

    def _schedule(self, visit: Visit) -> None:
        if visit.doing == LOOP:  # a while loop's condition is asked again
            visit.base = visit.attempt
            visit.attempt += 1
            visit.close_by = 0
            self._put_on(visit)
            return
        self.visits[visit.key] = visit
        self._put_on(visit)
        if visit.node.disabled:
            self.complete(visit, self.input(visit), pinned=True)
        elif visit.node.pinned_output is not None:
            self.complete(visit, visit.node.pinned_output, pinned=True)

    def _put_on(self, visit: Visit) -> None:
        """An attempt becomes a task. Its time until a worker takes it starts, and that of all attempts if it is the
        first."""
        limits = visit.node.timeout
        if visit.path:
            self.highest = max(self.highest, visit.attempt)
        visit.doing, visit.taken_up, visit.due, visit.over = TASK, False, 0, False
        visit.beat_by, visit.beat, visit.beat_at, visit.beats = 0, None, 0, False
        visit.start_by = self.now + ms(limits.schedule_to_start) if limits and limits.schedule_to_start else 0
        if limits and limits.schedule_to_close and not visit.close_by:
            visit.close_by = self.now + ms(limits.schedule_to_close)
        self.say(
            "NodeScheduled", node=visit.key, attempt=visit.attempt, sources=visit.sources, start_by=visit.start_by,
            close_by=visit.close_by,
        )  # fmt: skip

    def _again(self, visit: Visit) -> None:
        self._put_on(visit)

    def _begin_item(self, loop: Visit) -> None:
        index = loop.begun
        loop.begun += 1
        self.say("LoopItemsStarted", node=loop.key, index=index)
        if not self.plan.members(loop.node.id):
            self._keep(loop, index, loop.items[index] if loop.items else None)
            self.say("LoopItemCompleted", node=loop.key, index=index, sources=(), error=None)

    def _item_done(self, loop: Visit, index: int) -> None:
        path = (*loop.path, index)
        ends = self._ends(loop.node.id, path)
        outputs = {visit.node.id: visit.output for visit in ends}
        self._keep(loop, index, next(iter(outputs.values())) if len(outputs) == 1 else outputs)
        self.say(
            "LoopItemCompleted", node=loop.key, index=index, sources=tuple(sorted(visit.key for visit in ends)),
            error=None,
        )  # fmt: skip
        self._forget(loop, path)

    def _keep(self, loop: Visit, index: int, result: Any) -> None:
        loop.results[index] = loop.handed = result

    def _loop_done(self, loop: Visit) -> None:
        output = {"results": [loop.results[index] for index in range(len(loop.items))], "count": len(loop.items)}
        if loop.errors:
            output["errors"] = loop.errors
        self.complete(loop, output, ("done", "main"))

    def _end(self) -> None:
        """Nothing is ready, running or waiting. The result is what the run's ends gave, unless a node answered."""
        if self.status == "cancelling":
            self.close("cancelled", "ExecutionCancelled", error=self.error, node=self.failed_node)
            return
        if not self.answered:
            outputs = {visit.key: visit.output for visit in self._ends("", ())}
            self.result = next(iter(outputs.values())) if len(outputs) == 1 else outputs
        self.close("completed", "ExecutionCompleted", result=self.result)

    def _ends(self, loop: str, path: Path) -> list[Visit]:
        """Node runs of a scope that ended well and from which no edge was taken."""
        ends = []
        for node in [*([] if loop else [self.plan.trigger]), *self.plan.members(loop)]:
            visit = self.visits[key_of(node.id, path)]
            if visit.doing == DONE and not any(edge.source_output in visit.ports for edge in self.plan.out(node.id)):
                ends.append(visit)
        return ends

    def input(self, visit: Visit) -> Any:
        """One source: its output; several: by node id. From the loop around a node comes the item."""
        found = {}
        for key in visit.sources:
            source = self.visits[key]
            inside = source.doing == LOOP
            item = source.handed if source.node.type == "while" else source.items[visit.path[-1]] if inside else None
            found[source.node.id] = item if inside else source.output
        return next(iter(found.values())) if len(found) == 1 else found

    # What an attempt came to

    def complete(
        self, visit: Visit, output: Any, ports: Sequence[str] = ("main",), *, pinned: bool = False, signal_id: str = "",
        answers: bool = False, respond: Any = None,
    ) -> None:  # fmt: skip
        if visit.node.type in BODIES and tuple(ports) == ("main",):
            ports = ("main", "done")
        self._forget(visit, visit.path)
        visit.doing, visit.output, visit.ports = DONE, output, frozenset(ports)
        if answers and not self.answered:
            self.answered, self.result = True, respond
        taken = sorted({e.source_output for e in self.plan.out(visit.node.id) if e.source_output in visit.ports})
        self.say(
            "NodeCompleted", node=visit.key, attempt=visit.attempt, output=output, ports=taken, pinned=pinned,
            signal_id=signal_id, answers=answers, respond=respond,
        )  # fmt: skip

    def _completed(self, visit: Visit, outcome: o.Completed) -> None:
        respond = outcome.respond if outcome.answers else None
        self.complete(visit, outcome.output, outcome.ports, answers=outcome.answers, respond=respond)

    def _sleeps(self, visit: Visit, outcome: o.Sleep) -> None:
        visit.doing, visit.due, visit.output = DELAY, max(outcome.until, self.now), outcome.output
        self.say("TimerStarted", node=visit.key, attempt=visit.attempt, due_at=visit.due, output=outcome.output)

    def _iterates(self, visit: Visit, outcome: o.Iterate) -> None:
        visit.doing, visit.items = LOOP, outcome.items
        visit.at_once, visit.on_item_error = outcome.concurrency, outcome.on_item_error
        visit.begun, visit.results, visit.errors = 0, {}, 0
        self.say(
            "LoopStarted", node=visit.key, attempt=visit.attempt, items=list(outcome.items),
            concurrency=outcome.concurrency, on_item_error=outcome.on_item_error,
        )  # fmt: skip

    def _repeats(self, visit: Visit, outcome: o.Repeat) -> None:
        """A while loop's condition was asked: one more turn, or the end."""
        if not outcome.holds:
            results = [visit.results[index] for index in range(visit.begun)]
            output = {
                "results": results[-KEPT_RESULTS:], "count": len(results),
                "output": results[-1] if results else self.input(visit),
            }  # fmt: skip
            if visit.errors:
                output["errors"] = visit.errors
            self.complete(visit, output, ("done", "main"))
        elif visit.begun >= outcome.max_iterations:
            error = problem("while_too_many_iterations", False, max_iterations=outcome.max_iterations)
            self.attempt_failed(visit, error, "")
        else:
            if not visit.begun:
                visit.handed, visit.on_item_error = self.input(visit), outcome.on_item_error
                self.say(
                    "WhileStarted", node=visit.key, attempt=visit.attempt, on_item_error=outcome.on_item_error
                )  # fmt: skip
            visit.doing = LOOP
            self._begin_item(visit)

    def _calls(self, visit: Visit, outcome: o.CallWorkflow) -> None:
        child = child_name(self.id, visit.key, visit.attempt, self.called)
        self.say(
            "ChildStarted", node=visit.key, attempt=visit.attempt, execution_id=child, workflow_id=outcome.workflow_id,
            wait=outcome.wait, close_policy=outcome.parent_close, input=outcome.input,
        )  # fmt: skip
        self.told.append(("start", child, outcome, visit.key, visit.attempt))
        if outcome.wait:
            visit.doing, visit.child, visit.policy = CHILD, child, outcome.parent_close
        else:
            self.loose.append((child, outcome.parent_close))
            self.complete(visit, {"execution_id": child})

    def _waits(self, visit: Visit, outcome: o.WaitEvent) -> None:
        self.waits += 1
        visit.doing, visit.since, visit.due = EVENT, self.waits, outcome.until
        visit.name, visit.correlation = outcome.name, outcome.key
        self.say(
            "WaitStarted", node=visit.key, attempt=visit.attempt, name=outcome.name, key=outcome.key,
            due_at=outcome.until,
        )  # fmt: skip
        for event in self.kept:
            id, name, correlation, payload = event
            if name == outcome.name and outcome.key in ("", correlation):
                self.kept.remove(event)
                self.complete(visit, payload, signal_id=id)
                return

    def _asks(self, visit: Visit, outcome: o.RequestApproval) -> None:
        visit.doing, visit.due, visit.escalate = APPROVAL, outcome.until, outcome.escalate_at
        visit.asked, visit.ask_too = outcome.assignees, outcome.escalate_to
        self.say(
            "ApprovalRequested", node=visit.key, attempt=visit.attempt, title=outcome.title, payload=outcome.payload,
            assignees=outcome.assignees, due_at=outcome.until, escalate_at=outcome.escalate_at,
            escalate_to=outcome.escalate_to,
        )  # fmt: skip

    # Failure

    def _failed(self, visit: Visit, outcome: o.Failed) -> None:
        error = problem(outcome.error.code, outcome.error.retryable, **outcome.error.details)
        self.attempt_failed(visit, error, outcome.timed_out, outcome.retry_after, outcome.heartbeat)

    def attempt_failed(self, visit: Visit, error: Error, timeout: str, at_least: int = 0, told: Any = None) -> None:
        """Tried again if the policy says so."""
        policy = visit.node.retry or self.settings.retry or Retry()
        count = visit.attempt - visit.base
        final = (
            not error["retryable"] or error["code"] in policy.non_retryable or count >= policy.max_attempts
        )  # fmt: skip
        if timeout:
            if told is None and visit.doing == TASK:
                told = visit.beat
            self.say(
                "NodeTimedOut", node=visit.key, attempt=visit.attempt, timeout=timeout, error=error, final=final,
                heartbeat=told,
            )  # fmt: skip
        else:
            self.say(
                "NodeFailed", node=visit.key, attempt=visit.attempt, error=error, final=final, heartbeat=told
            )  # fmt: skip
        if visit.doing == CHILD and timeout:
            self._leave(visit)
        if final:
            self.give_up(visit, error)
            return
        wait = min(policy.initial_interval * policy.backoff_coefficient ** (count - 1), policy.max_interval)
        wait *= 1 - policy.jitter * self.chance
        visit.attempt += 1
        visit.doing, visit.due = BACKOFF, self.now + max(ms(wait), at_least)
        self.say("NodeRetryScheduled", node=visit.key, attempt=visit.attempt, due_at=visit.due)

    def give_up(self, visit: Visit, error: Error) -> None:
        """After the last attempt `on_error` speaks."""
        if visit.node.on_error == "continue":
            self.complete(visit, {"error": error})
        elif visit.node.on_error == "branch":
            self.complete(visit, {"error": error}, ("error",))
        else:
            self._forget(visit, visit.path)
            visit.doing = FAILED
            if visit.path:
                self._item_failed(visit, error)
            elif self.status == "cancelling":
                self.say("CleanupFailed", node=visit.key, error=error)
                if self.error is None:
                    self.error, self.failed_node = error, visit.key
            else:
                self.error, self.failed_node = error, visit.key
                self.close("failed", "ExecutionFailed", error=error, node=visit.key)

    def _item_failed(self, visit: Visit, error: Error) -> None:
        index = visit.path[-1]
        loop = self.visits[key_of(self.plan.loop_of(visit.node.id), visit.path[:-1])]
        if loop.on_item_error == "collect":
            self._forget(loop, visit.path)
            self._keep(loop, index, {"error": error})
            loop.errors += 1
            self.say("LoopItemCompleted", node=loop.key, index=index, sources=(), error=error)
            return
        inner = problem("loop_item_failed", False, node=visit.key, index=index, error=error)
        self._forget(loop, loop.path)
        self.say("NodeFailed", node=loop.key, attempt=loop.attempt, error=inner, final=True, heartbeat=None)
        self.give_up(loop, inner)

    # Ends

    def _request_cancel(self) -> None:
        """What had started and has a clean-up branch is cleaned up; where nothing had, the run ends at once."""
        started = {key for key, visit in self.visits.items() if visit.doing in (DONE, *ACTIVE)}
        if not any(self.plan.cleans_up(edge) for key in started for edge in self.plan.out_of(key)):
            self.close("cancelled", "ExecutionCancelled", error=None, node="")
            return
        self.say("ExecutionCancelRequested")
        self._cancel_all()
        self.status = "cancelling"

    def _obituary(self) -> dict[str, Any]:
        """What the error workflow is told."""
        execution = {
            "id": self.id, "status": self.status, "mode": self.mode, "started_at": iso(self.started_at),
            "closed_at": iso(self.now), "error": self.error, "failed_node": self.failed_node or None,
            "trigger_node": self.plan.trigger.id, "trigger": self.trigger,
        }  # fmt: skip
        return {"execution": execution, "workflow": {"id": self.workflow, "name": self.definition.name, "version": 1}}

    def _cancel_all(self) -> None:
        for visit in [visit for visit in self.visits.values() if visit.active]:
            self._cancel(visit)
        for key in [key for key, visit in self.visits.items() if visit.path]:
            del self.visits[key]

    def close(self, status: str, event: str, **attributes: Any) -> None:
        self._cancel_all()
        self.status = status
        self.say(event, **attributes)
        self.told += [("close", child, policy) for child, policy in self.loose if policy != "abandon"]
        if status in ("failed", "timed_out") and self.settings.error_workflow and not self.in_error:
            self.failures += 1
            self.told.append(("failed", self.id, self.settings.error_workflow, self.failures, self._obituary()))
        if self.parent:
            self.told.append(("ended", self.parent, self.id, status, self.result, self.error))

    def _cancel(self, visit: Visit) -> None:
        if visit.doing == DELAY:
            self.say("TimerCancelled", node=visit.key, attempt=visit.attempt)
        if visit.doing == CHILD:
            self._leave(visit)
        self.say("NodeCancelled", node=visit.key, attempt=visit.attempt)
        visit.doing, visit.output = CANCELLED, None

    def _leave(self, visit: Visit) -> None:
        """Nobody waits for the child any more."""
        if visit.policy != "abandon":
            self.told.append(("close", visit.child, visit.policy))

    def _forget(self, loop: Visit, path: Path) -> None:
        """All that is left of iterations of this loop below `path` ends, and is no fact any more."""
        inside = self.plan.inside(loop.node.id)
        for key, visit in list(self.visits.items()):
            if visit.node.id in inside and visit.path[: len(path)] == path and visit is not loop:
                if visit.active:
                    self._cancel(visit)
                del self.visits[key]

    # Control

    def _resume(self) -> None:
        self.status = "running"
        self.say("ExecutionResumed")
        for visit in self.visits.values():
            if visit.doing == BACKOFF and visit.due <= self.now:
                self._again(visit)

    def _retry(self) -> None:
        """The failed nodes, and those that the failure cancelled, get another attempt."""
        again = [visit for visit in self.visits.values() if visit.doing in (FAILED, CANCELLED)]
        self.status, self.error, self.failed_node = "running", None, ""
        self._set_deadline()
        self.floor = self.highest
        self.say("ExecutionRetried", nodes=sorted(visit.key for visit in again), timeout_at=self.deadline)
        for visit in sorted(again, key=lambda visit: self._preference(visit.key)):
            visit.base = visit.attempt
            visit.attempt += 1
            visit.close_by, visit.begun, visit.errors, visit.results = 0, 0, 0, {}
            if self._has_room():
                self._again(visit)
            else:
                visit.doing = HELD
                self.say("NodeHeld", node=visit.key, attempt=visit.attempt)

    def _set_deadline(self) -> None:
        self.deadline = self.now + ms(self.settings.timeout) if self.settings.timeout else 0
        self.left = 0

    def _at(self, key: str, attempt: int, doing: str) -> Visit | None:
        visit = self.visits.get(key)
        fits = visit and visit.doing == doing and visit.attempt == attempt and self.status in OPEN
        return visit if fits else None


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z"

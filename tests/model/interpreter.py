"""One execution, as docs and semantics tell it: a set of facts, and rules that are tried from scratch until none holds.

Nothing here is incremental and nothing is shared with the engine but the shapes of definitions and outcomes: a rule
looks at all facts (which node runs there are, and what became of each) and says one thing that follows. So it is slow,
plain, and another way to the same history.

What is said are `Fact`s: the name of an event and those of its attributes that the meaning fixes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from linkflow.domain import outcomes as o

from .rules import Rules
from .visit import APPROVAL, BACKOFF, CANCELLED, CHILD, DONE, FAILED, HELD, OPEN, TASK, Error, Visit, ms, problem


class Run(Rules):
    """An execution: what is asked of it. Each answer says whether it was accepted."""

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
                self.say("TimerFired", node=key, attempt=visit.attempt, skipped=False)
            else:
                self._again(visit)
        elif kind == "delay":
            self.say("TimerFired", node=key, attempt=visit.attempt, skipped=False)
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

"""What an attempt comes to: a result, something to wait for, a loop, or a failure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.domain import outcomes as o
from linkflow.domain.definition import Retry

from .endings import Endings
from .visit import (
    APPROVAL,
    BACKOFF,
    BODIES,
    CHILD,
    DELAY,
    DONE,
    EVENT,
    FAILED,
    KEPT_RESULTS,
    LOOP,
    TASK,
    Error,
    Visit,
    child_name,
    key_of,
    ms,
    problem,
)


class Attempts(Endings):
    """An execution whose node runs end."""

    def complete(
        self, visit: Visit, output: Any, ports: Sequence[str] = ("main",), *, pinned: bool = False, signal_id: str = "",
        answers: bool = False, respond: Any = None, mocked: bool = False,
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
            signal_id=signal_id, answers=answers, respond=respond, mocked=mocked,
        )  # fmt: skip

    def _completed(self, visit: Visit, outcome: o.Completed) -> None:
        respond = outcome.respond if outcome.answers else None
        self.complete(visit, outcome.output, outcome.ports, answers=outcome.answers, respond=respond)

    def _sleeps(self, visit: Visit, outcome: o.Sleep) -> None:
        visit.doing, visit.due, visit.output = DELAY, max(outcome.until, self.now), outcome.output
        self.say("TimerStarted", node=visit.key, attempt=visit.attempt, due_at=visit.due, output=outcome.output)
        if self.trial and self.trial.skip_delays:
            self.say("TimerFired", node=visit.key, attempt=visit.attempt, skipped=True)
            self.complete(visit, self.input(visit) if outcome.output is None else outcome.output)

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

    def _begin_item(self, loop: Visit) -> None:
        index = loop.begun
        loop.begun += 1
        self.say("LoopItemsStarted", node=loop.key, index=index)
        if not self.plan.members(loop.node.id):
            self._keep(loop, index, loop.items[index] if loop.items else None)
            self.say("LoopItemCompleted", node=loop.key, index=index, sources=(), error=None)

    def _keep(self, loop: Visit, index: int, result: Any) -> None:
        loop.results[index] = loop.handed = result

    # Failure

    def _failed(self, visit: Visit, outcome: o.Failed) -> None:
        error = problem(outcome.error.code, outcome.error.retryable, **outcome.error.details)
        self.attempt_failed(visit, error, outcome.timed_out, outcome.retry_after, outcome.heartbeat)

    def attempt_failed(
        self, visit: Visit, error: Error, timeout: str, at_least: int = 0, told: Any = None, *, mocked: bool = False
    ) -> None:
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
                "NodeFailed", node=visit.key, attempt=visit.attempt, error=error, final=final, heartbeat=told,
                pinned=False, mocked=mocked,
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
        skipped = bool(self.trial and self.trial.skip_delays) and self.status != "paused"
        self.say("NodeRetryScheduled", node=visit.key, attempt=visit.attempt, due_at=visit.due, skipped=skipped)
        if skipped:
            self._again(visit)

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
        self.say(
            "NodeFailed", node=loop.key, attempt=loop.attempt, error=inner, final=True, heartbeat=None,
            pinned=False, mocked=False,
        )  # fmt: skip
        self.give_up(loop, inner)

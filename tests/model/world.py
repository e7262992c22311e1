"""Several executions that tell each other things, and the events that come to them from outside."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

from linkflow.domain.definition import Definition
from linkflow.domain.trial import Trial

from .interpreter import Run
from .visit import OPEN, Fact, problem

ROOT = "run"
UNKNOWN = "unknown"
"""A workflow that does not exist."""


class World:
    """What the interpreter says of one scenario. Executions are named after where they come from: ``run``, and
    ``run>call#1`` for the child that node run `call` started at its first attempt, ``run!1`` for the run of the error
    workflow that the first failure started."""

    run_type = Run

    def __init__(self, workflows: Mapping[str, Definition], chance: float) -> None:
        self.workflows = workflows
        self.chance = chance
        self.runs: dict[str, Run] = {}
        self.now = 0
        self.kept: list[tuple[str, str, str, Any]] = []
        self._told: deque[tuple[Any, ...]] = deque()
        self._prefer: Mapping[str, Sequence[str]] = {}
        self._looked: dict[str, int] = {}

    def at(self, now: int, prefer: Mapping[str, Sequence[str]]) -> None:
        """The time of what comes next, and which nodes the engine let in first."""
        self.now = now
        self._prefer = prefer
        for run in self.runs.values():
            run.now, run.prefer = now, prefer.get(run.id, ())

    def start(self, trigger: Any, trial: Trial | None) -> bool:
        return self._start(ROOT, "main", trigger, "test" if trial else "manual", None, trial=trial)

    def _start(
        self,
        id: str,
        workflow: str,
        trigger: Any,
        mode: str,
        parent: dict[str, Any] | None,
        caused_by: str = "",
        trial: Trial | None = None,
    ) -> bool:
        if id in self.runs:
            return False
        run = self.runs[id] = self.run_type(id, workflow, self.workflows[workflow], self.chance)
        run.now, run.prefer, run.trial = self.now, self._prefer.get(id, ()), trial
        return run.start(trigger, mode, parent, caused_by)

    def publish(self, id: str, name: str, key: str, payload: Any) -> set[str]:
        """An event for whoever waits: the oldest wait of each run gets it. Where none does, it is kept."""
        took = {run.id for run in self.runs.values() if run.waiting_for(name, key) and run.status in OPEN}
        for run in took:
            self.runs[run].signal(id, name, key, payload, keep=False)
        if not took:
            self.kept.append((id, name, key, payload))
        return took

    def settle(self) -> None:
        """Messages are told in their order, until nobody has anything to say. Then waits look for kept events."""
        while True:
            for run in list(self.runs.values()):
                self._told += run.told
                run.told.clear()
            if self._told:
                self._tell(*self._told.popleft())
            elif not self._look_for_kept():
                return

    def _tell(self, what: str, *about: Any) -> None:
        if what == "start":
            id, call, key, attempt = about
            parent_id = id.rpartition(">")[0]
            if call.workflow_id == UNKNOWN:
                self._ended(parent_id, key, attempt, id, "rejected", None, problem("not_found", False))
                return
            above = self.runs[parent_id].parent
            parent = {
                "execution_id": parent_id, "node_key": key, "attempt": attempt,
                "depth": above["depth"] + 1 if above else 1, "close_policy": call.parent_close, "in_error": self.runs[parent_id].in_error,
            }  # fmt: skip
            above_it = self.runs[parent_id].trial
            trial = (
                Trial(skip_delays=above_it.skip_delays, error_workflow=above_it.error_workflow) if above_it else None
            )
            self._start(id, call.workflow_id, call.input, "test" if trial else "sub_workflow", parent, trial=trial)
        elif what == "failed":
            id, workflow, count, trigger = about
            if workflow == UNKNOWN:
                error = problem("not_found", False)
                self.runs[id].say("ErrorWorkflowRefused", workflow_id=workflow, error=error)
            else:
                self._start(f"{id}!{count}", workflow, trigger, "error", None, id)
        elif what == "close":
            id, policy = about
            if id in self.runs:
                self.runs[id].control(policy)
        else:
            parent, *rest = about
            self._ended(parent["execution_id"], parent["node_key"], parent["attempt"], *rest)

    def _ended(self, parent: str, *about: Any) -> None:
        self.runs[parent].child_ended(*about)

    def _look_for_kept(self) -> bool:
        """A wait that began since looks once for the oldest event that fits it."""
        for run in self.runs.values():
            for visit in run.visits.values():
                if visit.doing != "event" or visit.since <= self._looked.get(run.id, 0) or run.status not in OPEN:
                    continue
                self._looked[run.id] = max(visit.since, self._looked.get(run.id, 0))
                for event in self.kept:
                    if event[1] == visit.name and visit.correlation in ("", event[2]) and event[0] not in run.seen:
                        self.kept.remove(event)
                        run.signal(*event, keep=False)
                        return True
        return False

    def said(self) -> dict[str, list[Fact]]:
        """What every run has said since this was last asked."""
        found = {}
        for run in self.runs.values():
            if run.said:
                found[run.id], run.said = run.said, []
        return found

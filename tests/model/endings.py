"""How an execution ends, and what ends with it."""

from __future__ import annotations

from typing import Any

from .standing import Standing
from .visit import ACTIVE, CANCELLED, CHILD, DELAY, DONE, Path, Visit, iso


class Endings(Standing):
    """An execution that can end."""

    def close(self, status: str, event: str, **attributes: Any) -> None:
        self._cancel_all()
        self.status = status
        self.say(event, **attributes)
        self.told += [("close", child, policy) for child, policy in self.loose if policy != "abandon"]
        answers_failures = self.trial is None or self.trial.error_workflow
        if (
            status in ("failed", "timed_out")
            and self.settings.error_workflow
            and not self.in_error
            and answers_failures
        ):
            self.failures += 1
            self.told.append(("failed", self.id, self.settings.error_workflow, self.failures, self._obituary()))
        if self.parent:
            self.told.append(("ended", self.parent, self.id, status, self.result, self.error))

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

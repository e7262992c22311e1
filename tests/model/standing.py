"""What stands: all that is known of an execution, and what can be seen of it from outside."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.domain.definition import Definition
from linkflow.domain.trial import Trial

from .plan import Plan
from .visit import APPROVAL, BACKOFF, CHILD, DELAY, EVENT, LOOP, OPEN, TAKES_ROOM, TASK, Error, Fact, Visit


class Standing:
    """The facts of an execution. `told` are messages for other executions, `said` the facts since they were last read."""

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
        self.trial: Trial | None = None
        """Of a test run: its mocks, and whether it waits for delays."""
        self.pending: list[tuple[Visit, int]] = []
        """Attempts that came due and that something stands in for."""
        self.prefer: Sequence[str] = ()
        """Which of the nodes that are ready come first where there is not room for all: nothing says, so the engine
        may choose, and is followed."""

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

    def input(self, visit: Visit) -> Any:
        """One source: its output; several: by node id. From the loop around a node comes the item."""
        found = {}
        for key in visit.sources:
            source = self.visits[key]
            inside = source.doing == LOOP
            item = source.handed if source.node.type == "while" else source.items[visit.path[-1]] if inside else None
            found[source.node.id] = item if inside else source.output
        return next(iter(found.values())) if len(found) == 1 else found

    def _has_room(self) -> bool:
        bound = self.settings.max_parallel
        if self.status == "paused":
            return False
        return not bound or sum(visit.doing in TAKES_ROOM for visit in self.visits.values()) < bound

    def _preference(self, key: str) -> int:
        return self.prefer.index(key) if key in self.prefer else len(self.prefer)

    def _at(self, key: str, attempt: int, doing: str) -> Visit | None:
        visit = self.visits.get(key)
        fits = visit and visit.doing == doing and visit.attempt == attempt and self.status in OPEN
        return visit if fits else None

"""What happens next in a scenario: drawn from its seed, out of what the interpreter says may happen."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

import msgspec

from linkflow.domain import ids
from linkflow.domain import outcomes as o
from linkflow.domain.definition import Definition

from .scenario import Scenario, Verb
from .stage import CHANCE, START_MS
from .visit import OPEN
from .world import ROOT, UNKNOWN, World

NOISE = 0.06
"""The share of moments at which something comes late or twice."""

Action = tuple[Any, ...]


class Disagreement(Exception):
    """The interpreter and the engine differ, or the run is stuck."""


class Drawing:
    """One scenario under way: its world, its names, its next moment."""

    def __init__(self, scenario: Scenario, place: int = 0, interpreter: type[World] = World) -> None:
        """`place` tells plays of the same scenario apart in one batch."""
        self.scenario = scenario
        self.world = interpreter(scenario.workflows, CHANCE)
        self.random = Random(scenario.seed)
        bits = Random(f"ids {scenario.seed} {place}")
        self.workspace = str(UUID(int=bits.getrandbits(128), version=4))
        self.workflows = {
            name: str(UUID(int=bits.getrandbits(128), version=4)) for name in (*scenario.workflows, UNKNOWN)
        }
        root = ids.execution_id(START_MS, ids.shard_of_workflow(self.workflows["main"]), bits.getrandbits(62))
        self.ids = {ROOT: root}
        self.names = {root: ROOT, **{id: name for name, id in self.workflows.items()}}
        self.verbs = list(scenario.verbs)
        self.later: list[Verb] = []
        """Retries that found no failed run."""
        self.past: list[Action] = []
        self.called: set[str] = set()
        self.settled: dict[str, set[str]] = {}
        self.told: list[str] = []
        self.action: Action = ()
        self.answer: Any = None
        self.sent = 0
        self.over = False
        self.fault = ""

    def at_home(self, definition: Definition) -> Definition:
        """With the id of the error workflow for its name."""
        named = definition.settings.error_workflow
        if not named:
            return definition
        settings = msgspec.structs.replace(definition.settings, error_workflow=self.workflows[named])
        return msgspec.structs.replace(definition, settings=settings)

    # What happens next

    def next(self, moment: int, now: int) -> Action:
        """Draw what happens at this moment; nothing where only time has to pass."""
        self.random = Random(f"{self.scenario.seed} at {moment}")  # whatever was drawn before
        if not self.world.runs:
            return ("start", f"trigger {self.scenario.seed}")
        if self.past and self.random.random() < NOISE and (action := self._late(self.random.choice(self.past))):
            return action
        if self.verbs and self.verbs[0].tick <= moment and (action := self._verb(self.verbs.pop(0))):
            return action
        may = self._may(now)
        if may:
            return self._some(may)
        if any(run.timers() for run in self.world.runs.values()):
            return ()
        self.verbs, self.later = self.verbs + self.later, []
        while self.verbs:
            if action := self._verb(self.verbs.pop(0)):
                return action
        return self._bring_to_an_end()

    def _late(self, action: Action) -> Action:
        """Once more; but no timer is fired before it is due."""
        again = action[0] == "fire" and self.world.runs[action[1]].timers().get(action[2], 0) > self.world.now
        return () if again and not action[2].startswith("heartbeat/") else action

    def _may(self, now: int) -> list[Action]:
        found: list[Action] = []
        for run in self.world.runs.values():
            found += [("report", run.id, key, attempt) for key, attempt in sorted(run.tasks().items())]
            found += [("fire", run.id, id, due) for id, due in sorted(run.timers().items()) if due <= now]
        return found

    def _some(self, may: list[Action]) -> Action:
        """One of them; of reports sometimes several, of which one may only take the task up."""
        first = self.random.choice(may)
        if first[0] == "fire":
            return first
        # Of one run: what two of them tell a third at the same moment may come to it in either order.
        reports = [action for action in may if action[:2] == first[:2]]
        chosen = self.random.sample(reports, min(len(reports), self.random.choice([1, 1, 1, 2, 3])))
        if len(chosen) == 1 and self.random.random() < 0.3 and self._may_begin(*chosen[0][1:]):
            return ("begin", *chosen[0][1:])
        if len(chosen) == 1 and (beat := self._beat(*chosen[0][1:])):
            return beat
        if len(chosen) == 1 and self.random.random() < 0.25:
            return ()  # the worker is slow
        results = [(run, key, attempt, self._outcome(run, key, attempt)) for _, run, key, attempt in chosen]
        for kind in (o.WaitEvent, o.CallWorkflow):
            several = [result for result in results if isinstance(result[3], kind)]
            results = [result for result in results if result not in several[1:]]
        return ("reports", results)

    def _may_begin(self, run: str, key: str, attempt: int) -> bool:
        visit = self.world.runs[run].visits[key]
        limits = visit.node.timeout
        timed = limits and (limits.start_to_close or limits.schedule_to_start or limits.heartbeat)
        return bool(timed) and not visit.taken_up

    def _beat(self, run: str, key: str, attempt: int) -> Action:
        """A heartbeat, where the worker sends any; sometimes it tells how far it is."""
        visit = self.world.runs[run].visits[key]
        if not visit.beat_by or self.random.random() < 0.4:
            return ()
        details = f"page {self.world.now}" if self.random.random() < 0.6 else None
        return ("beat", run, key, attempt, int(visit.node.timeout.heartbeat * 1000), details)

    def _outcome(self, run: str, key: str, attempt: int) -> o.Outcome:
        visit = self.world.runs[run].visits[key]
        outcome = self.scenario.outcome(run, visit.node, key, attempt, self.world.now)
        return msgspec.structs.replace(outcome, heartbeat=visit.beat) if isinstance(outcome, o.Failed) else outcome

    def _verb(self, verb: Verb) -> Action:
        runs = list(self.world.runs.values())
        run = runs[verb.pick % len(runs)] if verb.pick % 2 else runs[0]
        self.sent += 1
        id = f"event {self.sent}"
        if verb.what == "signal":
            return ("signal", run.id, id, verb.name, verb.key, f"payload {id}")
        if verb.what == "publish":
            return ("publish", id, verb.name, verb.key, f"payload {id}")
        if verb.what == "decide":
            asked = [(run.id, key) for run in runs for key, how in run.open_waits().items() if how == "approval"]
            return ("decide", *asked[verb.pick % len(asked)], ("approved", "rejected")[verb.pick % 2]) if asked else ()
        if verb.what == "retry":
            failed = [run for run in runs if run.status == "failed"]
            if not failed and verb.pick % 3:
                self.later.append(verb)
                return ()
            run = failed[0] if failed else run
        return ("control", run.id, verb.what)

    def _bring_to_an_end(self) -> Action:
        """Nothing is due: somebody has to do something about what waits."""
        for run in self.world.runs.values():
            if run.status == "paused":
                return ("control", run.id, "resume")
            for key, how in run.open_waits().items() if run.status in OPEN else ():
                self.sent += 1
                if how == "approval":
                    return ("decide", run.id, key, "approved")
                visit = run.visits[key]
                return ("signal", run.id, f"event {self.sent}", visit.name, visit.correlation, "at last")
        still = [run.id for run in self.world.runs.values() if run.status in OPEN]
        if still:
            raise Disagreement(f"The interpreter itself is stuck: {still}")
        self.over = True
        return ()

"""A scenario, played by the interpreter and by the engine in step; after every moment they have to agree."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Any
from uuid import UUID

import msgspec

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.domain import events as e
from linkflow.domain import ids
from linkflow.domain import outcomes as o
from linkflow.domain.definition import Definition
from linkflow.domain.errors import Conflict

from .comparing import difference, facts, out_of_order, plain, text
from .interpreter import OPEN, Fact, child_name
from .scenario import TICK, Scenario, Verb
from .stage import CHANCE, START_MS, WORKER, Stage
from .world import ROOT, UNKNOWN, World

MOMENTS = 400
"""More than any scenario needs."""
PEOPLE = "ada"
NOISE = 0.06
"""The share of moments at which something comes late or twice."""

Action = tuple[Any, ...]


class Disagreement(Exception):
    """The interpreter and the engine differ, or the run is stuck."""


class Play:
    """One scenario under way."""

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
        reports = [action for action in may if action[0] == "report"]
        chosen = self.random.sample(reports, min(len(reports), self.random.choice([1, 1, 1, 2, 3])))
        if len(chosen) == 1 and self.random.random() < 0.3 and self._may_begin(*chosen[0][1:]):
            return ("begin", *chosen[0][1:])
        if len(chosen) == 1 and (beat := self._beat(*chosen[0][1:])):
            return beat
        if len(chosen) == 1 and self.random.random() < 0.25:
            return ()  # the worker is slow
        results = [(run, key, attempt, self._outcome(run, key, attempt)) for _, run, key, attempt in chosen]
        waits = [result for result in results if isinstance(result[3], o.WaitEvent)]
        return ("reports", [result for result in results if result not in waits[1:]])

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

    # Both do it

    async def ask(self, stage: Stage) -> Any:
        """The engine does it; returns its answer."""
        what, *about = self.action
        history = stage.history
        if what == "start":
            request = h.StartRequest(self.ids[ROOT], self.workspace, self.workflows["main"], 1, "t", about[0])
            return (await history.start(h.StartBatch((request,)))).results[0].created
        if what == "reports":
            reports = tuple(self._report(stage, *result) for result in about[0])
            reply = await history.complete(h.CompleteBatch(reports, worker=WORKER))
            return [result.recorded for result in reply.results]
        if what == "begin":
            run, key, attempt = about
            await history.complete(h.CompleteBatch(started=(h.StartedNode(self.ids[run], key, attempt, WORKER),)))
            return None
        if what == "beat":
            run, key, attempt, timeout, details = about
            beat = h.Beat(self.ids[run], key, attempt, timeout, details)
            return not (await history.beat(h.BeatBatch((beat,), worker=WORKER))).gone
        if what == "fire":
            run, id, due = about
            return bool((await history.fire(h.FireBatch((h.DueTimer(self.ids[run], id, due),)))).fired)
        try:
            return await self._asked_by_people(history, what, *about)
        except Conflict:
            return False

    def _report(self, stage: Stage, run: str, key: str, attempt: int, outcome: o.Outcome) -> h.Report:
        due = self.world.runs[run].tasks().get(key) == attempt
        if due and not stage.holds((self.ids[run], key, attempt)):
            raise Disagreement(f"Matching never offered {run}/{key}#{attempt}")
        if isinstance(outcome, o.CallWorkflow):
            outcome = msgspec.structs.replace(outcome, workflow_id=self.workflows[outcome.workflow_id])
        return h.Report(self.ids[run], key, attempt, outcome)

    async def _asked_by_people(self, history: h.HistoryApi, what: str, *about: Any) -> Any:
        with acting_as(Caller(self.workspace, frozenset({"workflow.execute"}), PEOPLE)):
            if what == "signal":
                run, id, name, key, payload = about
                await history.signal(h.SignalRequest(self.ids[run], self.workspace, id, name, key, payload, PEOPLE))
                return True
            if what == "publish":
                reply = await history.publish(h.PublishRequest(self.workspace, *about, PEOPLE))
                return {self.names[id] for id in reply.execution_ids}
            if what == "decide":
                run, key, decision = about
                await history.decide(h.DecideRequest(self.ids[run], self.workspace, key, decision, "why", PEOPLE))
                return True
            run, verb = about
            await history.control(h.ControlRequest(self.ids[run], self.workspace, verb, PEOPLE, "because"))
            return True

    def interpret(self) -> Any:
        """The interpreter does it; returns its answer."""
        what, *about = self.action
        world = self.world
        if what == "start":
            answer: Any = world.start(*about)
        elif what == "reports":
            answer = [world.runs[run].report(key, attempt, outcome) for run, key, attempt, outcome in about[0]]
        elif what == "begin":
            run, *rest = about
            world.runs[run].begin(*rest)
            answer = None
        elif what == "fire":
            answer = world.runs[about[0]].fire(about[1], about[2])
        elif what == "beat":
            answer = world.runs[about[0]].heartbeat(*about[1:])
        elif what == "signal":
            run, id, *rest = about
            known = id in world.runs[run].seen
            answer = world.runs[run].signal(id, *rest) or known
        elif what == "publish":
            answer = world.publish(*about)
        elif what == "decide":
            answer = world.runs[about[0]].decide(about[1], about[2], "why", PEOPLE)
        else:
            answer = world.runs[about[0]].control(about[1])
        world.settle()
        return answer

    # And are compared

    def compare(self, news: Sequence[tuple[str, tuple[e.Event, ...]]], tables: dict[str, Any], now: int) -> None:
        """Raises `Disagreement`."""
        self._learn_children(news)
        events = {self.names.get(id, id): [] for id, _ in news}
        for id, part in news:
            events[self.names.get(id, id)] += part
        order = {run: [x.node for x in part if isinstance(x, e.NodeScheduled)] for run, part in events.items()}
        self.world.at(now, order)
        answer = self.interpret() if self.action else None
        said = self.world.said()
        found = {run: self._facts(run, part) for run, part in events.items()}
        self._note(now, said, found)
        problems = []
        for run in sorted({*said, *found}):
            if unlike := difference(said.get(run, []), found.get(run, [])):
                problems.append(f"{run}:\n{unlike}")
            elif wrong := out_of_order(found[run], self.settled.setdefault(run, {"t"})):
                problems.append(f"{run}: {wrong}")
        if any(event.at != now for part in events.values() for event in part):
            problems.append("events are dated otherwise than now")
        if self.action and answer != self.answer:
            problems.append(f"answers: the interpreter says {answer}, the engine {self.answer}")
        problems += self._tables(tables)
        if problems:
            raise Disagreement("\n".join(problems))

    def _learn_children(self, news: Sequence[tuple[str, tuple[e.Event, ...]]]) -> None:
        waiting = [(id, event) for id, part in news for event in part if isinstance(event, e.ChildStarted)]
        while True:
            self._learn_menders(news)
            known = [(id, event) for id, event in waiting if id in self.names]
            if not known:
                return
            for id, event in known:
                name = child_name(self.names[id], event.node, event.attempt, self.called)
                self.ids[name], self.names[event.execution_id] = event.execution_id, name
            waiting = [item for item in waiting if item not in known]

    def _learn_menders(self, news: Sequence[tuple[str, tuple[e.Event, ...]]]) -> None:
        """Runs of error workflows, in the order in which their causes failed."""
        for id, part in news:
            first = part[0]
            if isinstance(first, e.ExecutionStarted) and first.caused_by in self.names and id not in self.names:
                cause = self.names[first.caused_by]
                name = next(name for n in range(1, 1000) if (name := f"{cause}!{n}") not in self.ids)
                self.ids[name], self.names[id] = id, name

    def _facts(self, run: str, part: Sequence[e.Event]) -> list[Fact]:
        model = self.world.runs.get(run)
        if model is None:
            raise Disagreement(f"the interpreter knows no run {run}: {[type(event).__name__ for event in part]}")
        return [fact for event in part for fact in facts(event, model, self.names)]

    def _tables(self, tables: dict[str, Any]) -> list[str]:
        problems = []
        for name, run in self.world.runs.items():
            expected = {
                "tasks": set(run.tasks().items()), "timers": set(run.timers().items()), "messages": set(),
                "heartbeats": set(run.heartbeats().items()), "waits": set(run.open_waits().items()),
            }  # fmt: skip
            for table, rows in expected.items():
                stored = tables[table].get(self.ids.get(name, ""), set())
                if rows != stored:
                    problems.append(
                        f"{table} of {name}: the interpreter has {sorted(rows)}, the engine {sorted(stored)}"
                    )
        kept = {(id,) for id, *_ in self.world.kept}
        if kept != tables["kept_events"].get(self.workspace, set()):
            problems.append(f"kept events: the interpreter has {kept}")
        return problems

    def check_states(self, states: dict[str, bytes]) -> None:
        """How each run ended."""
        for name, run in self.world.runs.items():
            stored = msgspec.json.decode(states[self.ids[name]])
            error = plain(stored.get("error"), self.names)
            found = (stored["status"], plain(stored.get("result"), self.names), error, stored.get("failed_node", ""))
            expected = (run.status, plain(run.result, {}), plain(run.error, {}), run.failed_node)
            if found != expected:
                raise Disagreement(f"{name} ended: the interpreter says {expected}, the engine {found}")

    def _note(self, now: int, said: dict[str, list[Fact]], found: dict[str, list[Fact]]) -> None:
        self.told.append(f"{(now - START_MS) / 1000:g} s  {_short(self.action)}")
        for run in sorted({*said, *found}):
            left, right = list(map(text, said.get(run, []))), list(map(text, found.get(run, [])))
            self.told += [f"      {run}  both    {line}" for line in right if line in left]
            self.told += [f"      {run}  MODEL   {line}" for line in left if line not in right]
            self.told += [f"      {run}  ENGINE  {line}" for line in right if line not in left]


def _short(action: Action) -> str:
    return " ".join(map(str, action)) or "-"


async def perform(stage: Stage, plays: Sequence[Play]) -> None:
    """Play them all in step, to their ends or their disagreements (`fault`)."""
    await stage.add_workflows(
        (play.workspace, play.workflows[name], play.at_home(definition))
        for play in plays
        for name, definition in play.scenario.workflows.items()
    )
    going = list(plays)
    for moment in range(MOMENTS):
        now = stage.clock.now = stage.clock.now + TICK if moment else START_MS
        await _moment(stage, going, moment, now)
        going = [play for play in going if not play.over]
        if not going:
            break
    for play in going:
        play.fault = play.fault or f"It is not over after {MOMENTS} moments."
    await _check_ends(stage, [play for play in plays if not play.fault])


async def _moment(stage: Stage, going: Sequence[Play], moment: int, now: int) -> None:
    for play in going:
        play.world.at(now, {})
        play.action, play.answer = _guarded(play, lambda play=play: play.next(moment, now)) or (), None
    await asyncio.gather(*(_ask(stage, play) for play in going if play.action))
    await stage.quiet()
    news, tables = await stage.news(), await stage.tables()
    await stage.claim()
    for play in going:
        if not play.fault:
            _guarded(play, lambda play=play: play.compare(news.get(play.workspace, []), tables, now))
        play.over = play.over or bool(play.fault)
        if play.action and play.action[0] in ("reports", "fire", "signal", "decide", "begin", "beat"):
            play.past.append(play.action)
    wanted = {
        (play.ids[run.id], key, attempt)
        for play in going
        if not play.fault
        for run in play.world.runs.values()
        for key, attempt in run.tasks().items()
    }
    await stage.let_go(wanted)


async def _ask(stage: Stage, play: Play) -> None:
    try:
        play.answer = await play.ask(stage)
    except Disagreement as error:
        play.fault = str(error)


def _guarded(play: Play, work: Any) -> Any:
    try:
        return work()
    except Disagreement as error:
        play.fault = str(error)


async def _check_ends(stage: Stage, plays: Sequence[Play]) -> None:
    states = await stage.states([id for play in plays for name, id in play.ids.items() if name in play.world.runs])
    for play in plays:
        _guarded(play, lambda play=play: play.check_states(dict(states)))

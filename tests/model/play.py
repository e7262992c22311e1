"""A scenario, played by the interpreter and by the engine in step; after every moment they have to agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts import history as h
from linkflow.contracts.base import Caller, acting_as
from linkflow.domain import events as e
from linkflow.domain import outcomes as o
from linkflow.domain.errors import Conflict

from .comparing import difference, facts, out_of_order, plain, text
from .drawing import Action, Disagreement, Drawing
from .stage import START_MS, WORKER, Stage
from .visit import Fact, child_name
from .world import ROOT

PEOPLE = "ada"


class Play(Drawing):
    """One scenario under way, in the interpreter and in the engine."""

    # Both do it

    async def ask(self, stage: Stage) -> Any:
        """The engine does it; returns its answer."""
        what, *about = self.action
        history = stage.history
        if what == "start":
            request = h.StartRequest(self.ids[ROOT], self.workspace, self.workflows["main"], 1, "t", about[0])
            trial = self.scenario.trial
            request = msgspec.structs.replace(request, mode="test" if trial else "manual", trial=trial)
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
            answer: Any = world.start(*about, self.scenario.trial)
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

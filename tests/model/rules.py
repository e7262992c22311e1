"""The rules: what follows from the facts, looked for from scratch after everything that happens."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from linkflow.domain.definition import Node
from linkflow.domain.trial import Answer

from .attempts import Attempts
from .visit import CANCELLED, DONE, HELD, LOOP, OPEN, SKIPPED, TAKES_ROOM, TASK, Path, Visit, key_of, ms, problem


class Rules(Attempts):
    """An execution that goes on by itself."""

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
        if self.pending:  # the oldest, when nothing else is to be done
            yield self._stand_in
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
        elif self.mode not in ("manual", "test"):  # what is pinned holds where somebody tries the workflow
            return
        elif visit.node.pinned_output is not None and not self._mocks(visit):
            self.complete(visit, visit.node.pinned_output, pinned=True)

    def _mocks(self, visit: Visit) -> tuple[Answer, ...]:
        mock = self.trial.mocks.get(visit.node.id) if self.trial else None
        return mock.answers if mock else ()

    def _stand_in(self) -> None:
        """A mock answers an attempt; a pinned error is the end of it."""
        visit, attempt = self.pending.pop(0)
        if visit.doing != TASK or visit.attempt != attempt or self.visits.get(visit.key) is not visit:
            return
        answers = self._mocks(visit)
        found = answers[min(attempt, len(answers)) - 1] if answers else None
        if found and not found.error:
            self.complete(visit, found.output, mocked=True)
            return
        given = found.error if found else visit.node.pinned_error
        error = problem(given.code, given.retryable, **given.details)
        if found:
            self.attempt_failed(visit, error, "", mocked=True)
            return
        self.say(
            "NodeFailed", node=visit.key, attempt=attempt, error=error, final=True, heartbeat=None, pinned=True,
            mocked=False,
        )  # fmt: skip
        self.give_up(visit, error)

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
        pinned = visit.node.pinned_error is not None and self.mode in ("manual", "test")
        if pinned or self._mocks(visit):
            self.pending.append((visit, visit.attempt))

    def _again(self, visit: Visit) -> None:
        self._put_on(visit)

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

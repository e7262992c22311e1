"""Which worker keeps which big state. Such a state does not travel with its tasks; a worker that has loaded it once is
told what has come of it since, and what a timer or an event makes due goes to that worker first.

A hint and no more: another History process knows nothing of it, and whoever gets the task can load the state.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence

import msgspec

from linkflow.contracts.history import NO_STATE, CompleteBatch, Tail, Task
from linkflow.domain import commands as c
from linkflow.ports import Transition

MOST = 4096
"""Runs that are remembered."""
TOLD = 1024 * 1024
"""Bytes of events in one reply: any transport carries it."""
TRAVELS = 32_768
"""Bytes of events that go along with a task."""


class _Holder(msgspec.Struct):
    worker: str
    queues: tuple[str, ...]
    version: int


class Holders:
    """By run."""

    def __init__(self) -> None:
        self._by_run: OrderedDict[str, _Holder] = OrderedDict()

    def tails(self, request: CompleteBatch, rows: Iterable[Transition | None]) -> tuple[Tail, ...]:
        """What the transitions that a worker's reports led to have made of the states that it keeps."""
        found, room = [], TOLD
        for row in rows if request.keeps else ():
            if row is None:
                continue
            keeps = request.keeps.get(row.execution_id) == row.expected
            if not keeps or row.closed_at or len(row.events) > room:
                self._by_run.pop(row.execution_id, None)
                continue
            room -= len(row.events)
            found.append(_tail(row))
            self._by_run[row.execution_id] = _Holder(request.worker, request.queues, row.version)
            self._by_run.move_to_end(row.execution_id)
            if len(self._by_run) > MOST:
                self._by_run.popitem(last=False)
        return tuple(found)

    def hint(self, row: Transition, commands: Sequence[c.Command], tasks: Sequence[Task]) -> Sequence[Task]:
        """The tasks, meant for the worker that keeps the run's state. Not those that a report leads to: the worker that
        made it has no room for them, or it would have them already."""
        holder = self._by_run.get(row.execution_id)
        if holder is None or any(isinstance(command, c.Complete) for command in commands):
            return tasks
        if holder.version != row.expected or len(row.events) > TRAVELS:
            del self._by_run[row.execution_id]
            return tasks
        holder.version, tail = row.version, _tail(row)
        return [_meant(task, holder, tail) for task in tasks]


def _tail(row: Transition) -> Tail:
    return Tail(row.execution_id, row.expected, row.version, msgspec.Raw(row.events))


def _meant(task: Task, holder: _Holder, tail: Tail) -> Task:
    if bytes(task.state) != bytes(NO_STATE) or task.queue not in holder.queues:
        return task
    return msgspec.structs.replace(task, sticky=holder.worker, tail=tail)

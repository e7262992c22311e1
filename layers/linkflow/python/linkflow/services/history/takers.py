"""Eager continuation: a worker that reports results takes along what they led to, up to its capacity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from linkflow.contracts.history import CompleteBatch, Task


class Taker:
    """The worker of one request."""

    def __init__(self, request: CompleteBatch) -> None:
        self.room = request.capacity
        self.queues = request.queues
        self.tasks: list[Task] = []


class Takers:
    """Who takes the next tasks of which run along."""

    def __init__(self) -> None:
        self._by_run: dict[str, Taker] = {}

    @contextmanager
    def open(self, request: CompleteBatch, execution_ids: Iterable[str]) -> Iterator[Taker]:
        """While it is open, new tasks of these runs may go to the worker that asks."""
        taker, ids = Taker(request), list(execution_ids)
        if taker.room > 0:
            self._by_run.update(dict.fromkeys(ids, taker))
        try:
            yield taker
        finally:
            for id in ids:
                if self._by_run.get(id) is taker:
                    del self._by_run[id]

    def leave(self, execution_id: str, tasks: Sequence[Task]) -> Sequence[Task]:
        """Hand tasks over as far as there is room; returns the others."""
        taker = self._by_run.get(execution_id)
        if taker is None:
            return tasks
        left = []
        for task in tasks:
            if taker.room > 0 and task.queue in taker.queues:
                taker.room -= 1
                taker.tasks.append(task)
            else:
                left.append(task)
        return left

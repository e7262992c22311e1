"""How many partitions a queue has, and where those are that it had before.

A queue's partitions are a span of numbers. Another count is another span, beside the ones before: new tasks go to it,
claims read all spans until the old ones are drained, and an old one's numbers are free again when nothing is there, not
even a dead letter. So a queue grows and shrinks the same way, under load, and no task moves.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple

import msgspec

from linkflow.contracts.history import Task

from .connection import Clients, reachable
from .partition import Place, home, partition_of, tag
from .scripts import Script

BELIEVED_FOR = 1.0
"""Seconds for which a process goes by what it read."""
PASSING = ("workers", "rooms", "bell", "rules")
"""Keys that a partition has while it has no tasks."""
SETTLED_AFTER = 10.0
"""Seconds after a change until which some process may still add by the shape before."""


class Span(msgspec.Struct, frozen=True, array_like=True):
    """Partitions `first` to `first + count - 1`, in use until `until` (seconds since the epoch; 0: still)."""

    first: int
    count: int
    until: float = 0.0
    drained: bool = False


class Shape(NamedTuple):
    """A queue's spans, the present one last, and the stored text."""

    spans: tuple[Span, ...]
    text: bytes = b""

    def place(self, task: Task) -> Place:
        return _place(task, self.spans[-1])

    def earlier(self, task: Task) -> list[Place]:
        """Where the task may be waiting since before the last change."""
        return [_place(task, span) for span in self.spans[:-1] if not span.drained]

    def places(self, queue: str, *, drained: bool = False) -> list[Place]:
        """All partitions that may have tasks; with `drained` also those that may only have dead letters."""
        spans = [span for span in self.spans if drained or not span.drained]
        return [Place(queue, span.first + number) for span in spans for number in range(span.count)]


class Shapes:
    """The shapes of all queues. Raises `Unavailable` while the store does not answer."""

    def __init__(self, clients: Clients, prefix: str, partitions: int, now: Callable[[], float] = time.time) -> None:
        self._clients = clients
        self._prefix = prefix
        self._default = Shape((Span(0, partitions),))
        self._now = now
        self._known: dict[str, tuple[float, Shape]] = {}
        self._swap = Script("swap")

    async def of(self, queue: str) -> Shape:
        until, shape = self._known.get(queue, (0.0, self._default))
        if until <= self._now():
            shape = await self._read(queue)
            if len(shape.spans) > 1:
                shape = await self._without_drained(queue, shape)
            if len(self._known) > 1000:
                self._known.clear()
            self._known[queue] = (self._now() + BELIEVED_FOR, shape)
        return shape

    async def resize(self, queue: str, partitions: int) -> Shape:
        """Give a queue another number of partitions. Repeating it changes nothing."""
        while True:
            shape = await self._read(queue)
            *old, present = shape.spans
            if present.count == partitions:
                return shape
            old.append(msgspec.structs.replace(present, until=self._now()))
            spans = (*old, Span(_free(old, partitions), partitions))
            if written := await self._write(queue, shape, spans):
                return written

    async def _read(self, queue: str) -> Shape:
        with reachable():
            text = await self._clients.commands.execute_command("GET", self._key(queue))
        return Shape(msgspec.json.decode(text, type=tuple[Span, ...]), text) if text else self._default

    async def _write(self, queue: str, was: Shape, spans: tuple[Span, ...]) -> Shape | None:
        text = msgspec.json.encode(spans)
        if not await self._swap.run(self._clients.commands, [self._key(queue)], [was.text, text]):
            return None
        self._known.pop(queue, None)
        return Shape(spans, text)

    async def _without_drained(self, queue: str, shape: Shape) -> Shape:
        """Notice which of the earlier spans are drained, and forget those that have no dead letters either."""
        settled = self._now() - SETTLED_AFTER
        spans = []
        for span in shape.spans[:-1]:
            tags = [tag(self._prefix, Place(queue, span.first + number)) for number in range(span.count)]
            drained = span.drained or (span.until < settled and not await self._any(tags, "known"))
            if not drained or await self._any(tags, "letters"):
                spans.append(msgspec.structs.replace(span, drained=drained))
            if drained and not span.drained:
                await self._each(lambda at: self._execute("DEL", *(f"{at}:{name}" for name in PASSING)), tags)
        after = (*spans, shape.spans[-1])
        return shape if after == shape.spans else await self._write(queue, shape, after) or shape

    async def _any(self, tags: Sequence[str], name: str) -> bool:
        return any(await self._each(lambda at: self._execute("EXISTS", f"{at}:{name}"), tags))

    async def _execute(self, *command: str) -> int:
        with reachable():
            found: int = await self._clients.commands.execute_command(*command)
        return found

    async def _each(self, call: Callable[[str], Awaitable[int]], tags: Sequence[str]) -> list[int]:
        return [await call(at) for at in tags]

    def _key(self, queue: str) -> str:
        return f"{home(self._prefix, queue)}:shape"


def _place(task: Task, span: Span) -> Place:
    return Place(task.queue, span.first + partition_of(task.execution_id, span.count))


def _free(taken: Sequence[Span], count: int) -> int:
    """The first number of `count` partitions that no other span has."""
    firsts = sorted([0, *(span.first + span.count for span in taken)])
    return next(
        first
        for first in firsts
        if all(first + count <= span.first or span.first + span.count <= first for span in taken)
    )

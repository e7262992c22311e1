"""Steps of a node: work that is done once, whatever becomes of the attempt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from msgspec import Struct

from linkflow.domain.outcomes import NodeError
from linkflow.domain.steps import Usage


class Done(Struct, frozen=True, omit_defaults=True):
    """What a step came to: an `output` (JSON), or an `error` that is an answer as well and is not tried again. `usage`
    is what it cost."""

    output: Any = None
    error: NodeError | None = None
    usage: Usage | None = None


Work = Callable[[], Awaitable[Done]]


class Steps(Protocol):
    """The steps of one node run."""

    async def find(self, id: str) -> Done | None:
        """What was recorded under `id`, in this attempt or an earlier one."""
        ...

    async def run(self, id: str, work: Work, *, kind: str = "", name: str = "", input: Any = None) -> Done:
        """What was recorded under `id`; else do `work` and record it. A failure of `work` is not recorded.

        Raises `NodeFailure`: ``attempt_over``, ``too_many_steps``, ``step_refused``, ``step_too_large``."""
        ...


class InMemory:
    """Steps that nobody records: of rehearsals, and of nodes in tests."""

    def __init__(self) -> None:
        self.done: dict[str, Done] = {}

    async def find(self, id: str) -> Done | None:
        return self.done.get(id)

    async def run(self, id: str, work: Work, *, kind: str = "", name: str = "", input: Any = None) -> Done:
        if id not in self.done:
            self.done[id] = await work()
        return self.done[id]

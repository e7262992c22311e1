"""Backpressure: tasks on their way to Matching, and starts that are refused while a workspace fills up a queue.

What Matching refuses stays in the outbox, so runs that are under way go on when there is room. History remembers which
workspace was refused in which queue; while nobody was, a start costs nothing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from linkflow.contracts.history import Task
from linkflow.contracts.matching import AddRequest, MatchingApi
from linkflow.domain.errors import QueueFull
from linkflow.ports import Clock

AT_ONCE = 500
"""Tasks in one call."""
BELIEVED_FOR = 1.0
"""Seconds for which a refusal holds; then the next start that needs the queue asks again."""


class Backlog:
    """Who is refused where, as far as this process was told."""

    def __init__(self, matching: MatchingApi, clock: Clock) -> None:
        self._matching = matching
        self._clock = clock
        self._full: dict[str, tuple[int, frozenset[str]]] = {}

    async def push(self, tasks: Sequence[Task]) -> None:
        """Queue tasks. A call that is refused holds up none of the others; the last refusal is raised in the end."""
        refused: QueueFull | None = None
        for at in range(0, len(tasks), AT_ONCE):
            try:
                await self._matching.add(AddRequest(tuple(tasks[at : at + AT_ONCE])))
            except QueueFull as error:
                self._note(error.details)
                refused = error
        if refused is not None:
            raise refused

    @property
    def is_free(self) -> bool:
        """True where nobody was refused lately."""
        return not self._full

    async def check(self, workspace_id: str, queues: Iterable[str]) -> None:
        """Raises `QueueFull` for a start that would need a queue which its workspace fills up."""
        wanted = self._refused(workspace_id, queues)
        now = self._clock.now_ms()
        stale = tuple(queue for queue in wanted if self._full[queue][0] <= now)
        if stale:
            reply = await self._matching.add(AddRequest((), stale))
            for queue in stale:
                self._keep(queue, reply.full.get(queue, ()))
            wanted = self._refused(workspace_id, wanted)
        if wanted:
            raise QueueFull(
                f"The task queue {', '.join(wanted)} is full of this workspace's tasks: no more runs that need it are "
                "started now. Those that are under way go on; try again in a moment, or add workers.",
                details={"queues": wanted, "retry_after": BELIEVED_FOR},
            )

    def _refused(self, workspace_id: str, queues: Iterable[str]) -> list[str]:
        return [queue for queue in sorted({*queues} & self._full.keys()) if workspace_id in self._full[queue][1]]

    def _note(self, details: Mapping[str, Any]) -> None:
        for queue, workspaces in details.get("crowd", {}).items():
            self._keep(queue, workspaces)

    def _keep(self, queue: str, workspaces: Iterable[str]) -> None:
        crowd = frozenset(workspaces)
        if crowd:
            self._full[queue] = (self._clock.now_ms() + round(BELIEVED_FOR * 1000), crowd)
        else:
            self._full.pop(queue, None)

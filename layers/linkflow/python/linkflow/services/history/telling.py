"""Telling those who watch runs of every transition. Where nobody watches, nothing is sent and nothing is waited for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from linkflow.domain.errors import LinkFlowError
from linkflow.ports import Audience, Clock, Doorbell, Transition

LOOK_EVERY_MS = 1000
"""For so long it is taken as known who watches."""

RUN, SPACE = "run:", "space:"
"""Topics: a run, and all runs of a workspace."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True):
    """A run after a transition. Times are ms since the epoch, 0 means not yet."""

    id: str
    workflow_id: str
    workflow_version: int
    status: str
    mode: str
    version: int
    at: int
    started_at: int = 0
    closed_at: int = 0


_encode = msgspec.json.Encoder().encode


class Teller:
    """Tells of transitions after their commit. What is lost here is looked for by who watches."""

    def __init__(
        self, audience: Audience, doorbell: Doorbell, clock: Clock, spawn: Callable[[Awaitable[object]], None]
    ) -> None:
        self._audience = audience
        self._doorbell = doorbell
        self._clock = clock
        self._spawn = spawn
        self._topics: frozenset[str] = frozenset()
        self._known_until = 0
        self._later: list[Transition] = []
        self._looking = False

    def tell(self, rows: Sequence[Transition]) -> None:
        """Quick; what there is to send goes out behind it."""
        if self._clock.now_ms() < self._known_until:
            if self._topics:
                self._send(rows)
            return
        self._later.extend(rows)
        if not self._looking:
            self._looking = True
            self._spawn(self._look())

    async def _look(self) -> None:
        """Who watches now? Then tell of what happened meanwhile."""
        try:
            self._topics = await self._audience.watched()
        except LinkFlowError:
            self._topics = frozenset()
        finally:
            self._known_until = self._clock.now_ms() + LOOK_EVERY_MS
            self._looking = False
            rows, self._later = self._later, []
        if self._topics:
            self._send(rows)

    def _send(self, rows: Sequence[Transition]) -> None:
        spaces: dict[str, list[bytes]] = {}
        for row in rows:
            run, space = f"{RUN}{row.execution_id}", f"{SPACE}{row.workspace_id}"
            if run in self._topics:
                self._spawn(self._doorbell.ring(run, b"%d" % row.version))
            if space in self._topics:
                spaces.setdefault(space, []).append(_encode(_told(row)))
        for space, notices in spaces.items():
            self._spawn(self._tell_space(space, notices))

    async def _tell_space(self, space: str, notices: list[bytes]) -> Any:
        await self._audience.tell(space, notices)
        await self._doorbell.ring(space, b"")


def _told(row: Transition) -> Told:
    return Told(
        row.execution_id, row.workflow_id, row.workflow_version, row.status, row.mode, row.version, row.at,
        row.started_at, row.closed_at,
    )  # fmt: skip

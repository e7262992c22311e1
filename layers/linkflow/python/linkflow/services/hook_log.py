"""Calls of webhooks that started no run, noted beside the work: written together, and never so many that a stranger who
knocks could fill the database. Calls that did start one are the runs themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from contextvars import Context

import msgspec

from linkflow.domain.errors import Unavailable
from linkflow.domain.ids import uuid7
from linkflow.ports import Clock

from .control_ports import Webhook
from .hook_ports import HookCalls, Refusal
from .webhooks import PRIVATE_HEADERS, Knock

A_MINUTE = 60
"""Refusals of one webhook that one process notes in a minute."""
TOGETHER = 0.5
"""Seconds for which they are gathered."""
KEPT_MS = 14 * 24 * 3600 * 1000
MOST = 200
"""Refusals of one webhook that are kept."""
_SHOWN = frozenset({"accept", "content-encoding", "content-length", "content-type", "host", "idempotency-key", "origin",
                    "user-agent", "webhook-id", "webhook-timestamp", "x-github-delivery", "x-github-event",
                    "x-request-id", "x-shopify-topic", "x-slack-request-timestamp"})  # fmt: skip
"""Headers that are noted. Any other may hold a secret, perhaps one in the wrong place."""

_log = logging.getLogger(__name__)


class HookLog:
    """`at_once`: there may be no later (a function that is frozen between calls)."""

    def __init__(self, store: HookCalls | None, clock: Clock, *, at_once: bool = False) -> None:
        self._store = store
        self._clock = clock
        self._at_once = at_once
        self._waiting: list[Refusal] = []
        self._counts: dict[str, int] = {}
        self._minute = 0
        self._writing: asyncio.Task[None] | None = None

    async def refused(self, webhook: Webhook, knock: Knock, status: int, why: tuple[str, str], size: int) -> None:
        """Note it. Never raises: the caller has his answer all the same."""
        now = self._clock.now_ms()
        if self._store is None or not self._counted(webhook.id, now):
            return
        self._waiting.append(
            Refusal(
                uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62)), webhook.id, now, knock.method,
                knock.path[:500], knock.ip[:100], status, why[0], why[1][:500], shown(knock.headers), size,
            )
        )  # fmt: skip
        if self._at_once:
            await self.flush()
        elif self._writing is None:
            self._writing = asyncio.create_task(self._later(), context=Context())

    def _counted(self, webhook_id: str, now: int) -> bool:
        if now // 60_000 != self._minute:
            self._minute, self._counts = now // 60_000, {}
        self._counts[webhook_id] = self._counts.get(webhook_id, 0) + 1
        return self._counts[webhook_id] <= A_MINUTE

    async def _later(self) -> None:
        try:
            await asyncio.sleep(TOGETHER)
        finally:
            self._writing = None
        await self.flush()

    async def flush(self) -> None:
        """Write what waits."""
        rows, self._waiting = self._waiting, []
        if not rows or self._store is None:
            return
        try:
            await self._store.note(rows, self._clock.now_ms() - KEPT_MS, MOST)
        except Unavailable as error:
            _log.warning("%d refused calls of webhooks were not noted: %s", len(rows), error)


def shown(headers: Mapping[str, str]) -> bytes:
    """The headers that may be kept, as JSON; of the others their names."""
    kept = {name: value[:500] for name, value in headers.items() if name in _SHOWN and name not in PRIVATE_HEADERS}
    others = {name: "…" for name in headers if name not in kept}
    return msgspec.json.encode({**kept, **others})

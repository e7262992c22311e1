"""Workspaces' policies where runs begin: whoever starts one, by whatever way, comes by here."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from linkflow.domain import commands as c
from linkflow.domain.errors import PolicyViolation, TooManyStarts
from linkflow.domain.policy import Policy, violations
from linkflow.ports import Clock, EventStore, PolicyBook

from .plans import Plans

KEPT_MS = 5_000
"""How long a change takes at most to hold."""
MANY = 10_000
_LATER = 5.0
"""Seconds after which a start that found no room may be tried again."""


class Policing:
    """Lets starts through, or raises `PolicyViolation` or `TooManyStarts`.

    Runs under way are counted when one comes. Those that come to one process together see each other; those that come
    to several processes in the same moment may together be some too many.
    """

    def __init__(self, book: PolicyBook, store: EventStore, plans: Plans, clock: Clock) -> None:
        self._book = book
        self._store = store
        self._plans = plans
        self._clock = clock
        self._known: OrderedDict[str, tuple[Policy | None, int]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[Policy | None]] = {}
        self._sound: OrderedDict[tuple[str, int, int], None] = OrderedDict()
        self._coming: Counter[str] = Counter()

    async def of(self, workspace_id: str) -> Policy | None:
        """A workspace's policy; None where it forbids nothing."""
        found = self._known.get(workspace_id)
        if found is not None and found[1] > self._clock.now_ms():
            return found[0]
        asking = self._asking.get(workspace_id)
        if asking is None:
            asking = self._asking[workspace_id] = asyncio.create_task(self._ask(workspace_id))
            asking.add_done_callback(lambda _: self._asking.pop(workspace_id, None))
        return await asyncio.shield(asking)

    async def _ask(self, workspace_id: str) -> Policy | None:
        policy: Policy | None = await self._book.read(workspace_id)
        if policy is not None and policy.is_open:
            policy = None
        self._known[workspace_id] = (policy, self._clock.now_ms() + KEPT_MS)
        self._known.move_to_end(workspace_id)
        while len(self._known) > MANY:
            self._known.popitem(last=False)
        return policy

    @asynccontextmanager
    async def passing(self, policy: Policy, start: c.Start) -> AsyncIterator[None]:
        """Within it the run begins."""
        await self._check(policy, start)
        if not policy.max_concurrent_runs:
            yield
            return
        self._coming[start.workspace_id] += 1
        try:
            limit = policy.max_concurrent_runs
            under_way = await self._store.under_way(start.workspace_id, limit + 1)
            if under_way + self._coming[start.workspace_id] > limit:
                details = {"key": "", "limit": limit, "retry_after": _LATER}
                message = f"The workspace's policy allows {limit:,} runs at once, and so many are under way."
                raise TooManyStarts(message, details=details)
            yield
        finally:
            self._coming[start.workspace_id] -= 1
            if not self._coming[start.workspace_id]:
                del self._coming[start.workspace_id]

    async def _check(self, policy: Policy, start: c.Start) -> None:
        if policy.max_payload and (size := len(msgspec.json.encode(start.trigger))) > policy.max_payload:
            message = f"The workspace's policy allows {policy.max_payload:,} bytes of trigger data, not {size:,}."
            raise PolicyViolation(message, details={"violations": [{"code": "policy_payload", "detail": message}]})
        key = (start.workflow_id, start.workflow_version, policy.changed_at)
        if key in self._sound:
            return
        plan = await self._plans.get(start.workflow_id, start.workflow_version, start.trigger_node)
        if found := violations(policy, plan.definition):
            raise PolicyViolation.of(found)
        self._sound[key] = None
        if len(self._sound) > MANY:
            self._sound.popitem(last=False)

"""Webhooks as the people of a workspace look after them: addresses, deliveries, and the test address."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import DescribeRequest, Execution, ListRequest
from linkflow.domain.environments import trigger_of
from linkflow.domain.errors import InvalidInput, NotFound, Problem
from linkflow.domain.ids import is_uuid, uuid7
from linkflow.domain.state import decode as decode_state
from linkflow.ports import Clock

from . import audit
from .control_ports import Webhook
from .hook_ports import Capture, HookCalls, Refusal
from .webhooks import Knock, trigger_data
from .workspaces import Membership

LISTEN_MS = 10 * 60_000
MOST_CAPTURES = 10
_LOOKS = 5
"""Pages of runs that are looked through for one page of deliveries."""


class Delivery(Struct, frozen=True):
    """A call of a webhook: the run that it started, or why it started none."""

    id: str
    run: Execution | None = None
    refusal: Refusal | None = None


class HookDesk:
    """Raises `NotFound` for a webhook of another workspace, as for one that is not there."""

    def __init__(self, calls: HookCalls, frontend: FrontendApi, clock: Clock) -> None:
        self._calls = calls
        self._frontend = frontend
        self._clock = clock

    async def page(self, who: Membership, workflow_id: str, before: str, limit: int) -> list[Webhook]:
        if workflow_id and not is_uuid(workflow_id):
            return []
        return await self._calls.of_workspace(who.workspace_id, workflow_id, before, limit)

    async def show(self, who: Membership, webhook_id: str) -> Webhook:
        found = await self._calls.get(who.workspace_id, webhook_id) if len(webhook_id) <= 64 else None
        if found is None:
            raise NotFound("There is no such webhook.")
        return found

    async def switch(self, who: Membership, webhook_id: str, active: bool) -> Webhook:
        """Hold it back, or let it in again as far as its workflow is active."""
        before = await self.show(who, webhook_id)
        await self._calls.switch(who.workspace_id, webhook_id, active, self._clock.now_ms())
        after = await self.show(who, webhook_id)
        audit.changed({"active": before.active}, {"active": after.active})
        return after

    async def rotate(self, who: Membership, webhook_id: str) -> Webhook:
        """Give it a new address. The old one is not there any more from this moment on."""
        await self.show(who, webhook_id)
        new = secrets.token_urlsafe(24)
        audit.changed({"secret_address": webhook_id}, {"secret_address": new})
        await self._calls.move(who.workspace_id, webhook_id, new, self._clock.now_ms())
        return await self.show(who, new)

    async def deliveries(self, who: Membership, webhook_id: str, before: str, limit: int) -> list[Delivery]:
        """Newest first, both kinds; `before` is the id after which the page starts."""
        webhook = await self.show(who, webhook_id)
        refused = await self._calls.refusals(webhook.id, before, limit)
        runs = await self._runs(who, webhook, before, limit)
        both = [Delivery(row.id, refusal=row) for row in refused] + [Delivery(run.id, run=run) for run in runs]
        return sorted(both, key=lambda delivery: delivery.id, reverse=True)[:limit]

    async def _runs(self, who: Membership, webhook: Webhook, before: str, limit: int) -> list[Execution]:
        siblings = await self._calls.of_workspace(who.workspace_id, webhook.workflow_id, "", 2)
        found: list[Execution] = []
        with acting_as(who.caller()):
            for _ in range(_LOOKS):
                asked = ListRequest(who.workspace_id, webhook.workflow_id, "", "webhook", before, limit)
                page = (await self._frontend.list(asked)).executions
                mine = list(page) if len(siblings) < 2 else await self._of_node(who, webhook.node_id, page)
                found += mine
                if len(found) >= limit or len(page) < limit:
                    break
                before = page[-1].id
        return found[:limit]

    async def _of_node(self, who: Membership, node_id: str, page: tuple[Execution, ...]) -> list[Execution]:
        asked = DescribeRequest(tuple(run.id for run in page), who.workspace_id, with_state=True)
        states = {run.id: run.state for run in (await self._frontend.describe(asked)).executions if run.state}
        decoded = {id: decode_state(state) for id, state in states.items()}
        started = {id: (state.trigger_node, state.environment) for id, state in decoded.items()}
        return [run for run in page if started.get(run.id) == trigger_of(node_id)]

    async def listen(self, who: Membership, webhook_id: str) -> int:
        """Take up to ten calls of the test address within ten minutes. Returns until when, ms."""
        webhook, now = await self.show(who, webhook_id), self._clock.now_ms()
        await self._calls.listen(webhook.id, now + LISTEN_MS, now)
        return now + LISTEN_MS

    async def captures(self, who: Membership, webhook_id: str, wait: float = 0.0) -> list[Capture]:
        """The newest first. With `wait` (seconds), for as long as there are none."""
        webhook = await self.show(who, webhook_id)
        until = self._clock.now_ms() + round(wait * 1000)
        while not (found := await self._calls.captures(webhook.id, MOST_CAPTURES)) and self._clock.now_ms() < until:
            await self._clock.sleep(0.5)
        return found

    async def captured(self, webhook: Webhook, knock: Knock, body: Any, raw: bytes) -> Mapping[str, Any]:
        """Keep a call of the test address; what a run would have been given. Raises `NotFound` unless somebody
        listens."""
        now = self._clock.now_ms()
        trigger = trigger_data(webhook.rules, knock, body, raw)
        id = uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        row = Capture(id, webhook.id, now, msgspec.json.encode(trigger))
        if not await self._calls.capture(row, now, MOST_CAPTURES):
            raise NotFound("Nobody listens at this test address. Press listen, and send the call again.")
        return trigger


def delivery_cursor(text: str) -> str:
    """Raises `InvalidInput` for what no page has handed out."""
    if text and not is_uuid(text):
        fault = Problem("/cursor", "bad_cursor", "Use a page's meta.next_cursor.")
        raise InvalidInput("This is no cursor.", problems=[fault])
    return text

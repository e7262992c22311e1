"""What the nodes of each workspace may reach: asked of History, kept for a short while."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping

from linkflow.contracts.history import HistoryApi, ReachReply, ReachRequest
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.policy import Policy
from linkflow.nodes.base import Egress, EgressResponse, NodeFailure, Watch
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.going import Going
from linkflow.ports import Clock

KEPT_MS = 5_000
"""How long a change takes at most to hold everywhere."""
MANY = 10_000


class Reaches:
    """The clients of this worker, one for each workspace: the operator's rules, and its own."""

    def __init__(self, history: HistoryApi, client: EgressClient, clock: Clock) -> None:
        self._history = history
        self._client = client
        self._clock = clock
        self._known: OrderedDict[str, tuple[ReachReply, int]] = OrderedDict()
        self._asking: dict[str, asyncio.Task[ReachReply]] = {}

    def of(self, workspace_id: str) -> Egress:
        """The client for nodes of a workspace. Nothing is asked until it goes out."""
        return _Bound(self, workspace_id)

    async def client(self, workspace_id: str) -> EgressClient:
        """The client with the rules of now. Raises `NodeFailure` ``egress_unknown`` where they cannot be had."""
        rules = await self._rules(workspace_id)
        return self._client.within(rules.reach, rules.policy)

    async def policy(self, workspace_id: str) -> Policy | None:
        """The workspace's policy; None where it forbids nothing. Raises `NodeFailure` ``egress_unknown``."""
        return (await self._rules(workspace_id)).policy

    async def _rules(self, workspace_id: str) -> ReachReply:
        found, until = self._known.get(workspace_id, (None, 0))
        if found is not None and until > self._clock.now_ms():
            return found
        asking = self._asking.get(workspace_id)
        if asking is None:
            asking = self._asking[workspace_id] = asyncio.create_task(self._ask(workspace_id))
            asking.add_done_callback(lambda _: self._asking.pop(workspace_id, None))
        try:
            return await asyncio.shield(asking)
        except LinkFlowError:  # rules that cannot be asked for are not guessed
            raise NodeFailure("egress_unknown", "What this workspace may reach cannot be told now.") from None

    async def _ask(self, workspace_id: str) -> ReachReply:
        rules = await self._history.reach(ReachRequest(workspace_id))
        self._known[workspace_id] = (rules, self._clock.now_ms() + KEPT_MS)
        self._known.move_to_end(workspace_id)
        while len(self._known) > MANY:
            self._known.popitem(last=False)
        return rules


class _Bound:
    """`Egress` for one workspace."""

    __slots__ = ("_reaches", "_workspace_id")

    def __init__(self, reaches: Reaches, workspace_id: str) -> None:
        self._reaches = reaches
        self._workspace_id = workspace_id

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None,
        timeout: float = 30.0, follow_redirects: bool = True, verify: bool = True, going: Going | None = None,
        watch: Watch | None = None,
    ) -> EgressResponse:  # fmt: skip
        client = await self._reaches.client(self._workspace_id)
        return await client.request(
            method, url, headers=headers, content=content, timeout=timeout, follow_redirects=follow_redirects,
            verify=verify, going=going, watch=watch,
        )  # fmt: skip

    async def open_address(self, host: str, port: int) -> tuple[str, int]:
        return await (await self._reaches.client(self._workspace_id)).open_address(host, port)

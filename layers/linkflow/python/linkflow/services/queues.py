"""Task queues as a workspace's people see them: what is open, who serves them, and the limits of their own work."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.matching import ConfigureRequest, QueueRule, QueuesRequest, QueueView

from .workspaces import Membership


class Queues:
    """The queues that one workspace uses. They are shared; what is shown and changed is the workspace's own."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend

    async def all(self, who: Membership) -> tuple[QueueView, ...]:
        """Those with tasks of the workspace or with rules about it, and the default one; by name."""
        with acting_as(who.caller()):
            return (await self._frontend.queues(QueuesRequest(who.workspace_id))).queues

    async def show(self, who: Membership, queue: str) -> QueueView:
        """Any queue: one that nobody has used yet is empty."""
        with acting_as(who.caller()):
            return (await self._frontend.queues(QueuesRequest(who.workspace_id, (queue,)))).queues[0]

    async def limit(self, who: Membership, queue: str, rules: Sequence[QueueRule]) -> QueueView:
        """Replace the workspace's own rules of a queue; without a name they are about the workspace, with one about
        a fairness key. Raises `InvalidInput` and `LimitExceeded`."""
        change = ConfigureRequest(queue, rules=tuple(rules), workspace_id=who.workspace_id, actor=who.actor)
        with acting_as(who.caller()):
            await self._frontend.configure(change)
        return await self.show(who, queue)

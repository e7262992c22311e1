"""Task queues as a workspace's people see them: what is open, who serves them, and the limits of their own work."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.matching import ConfigureRequest, QueueRule, QueuesRequest, QueueView

from . import audit
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
        asked = QueuesRequest(who.workspace_id, (queue,))
        # Whoever may set the limits is shown what came of it.
        with acting_as(Caller(who.workspace_id, who.permissions | {"execution.view"}, who.actor)):
            before = (await self._frontend.queues(asked)).queues[0]
            await self._frontend.configure(change)
            after = (await self._frontend.queues(asked)).queues[0]
        audit.changed(_own(before), _own(after))
        return after


def _own(view: QueueView) -> dict[str, QueueRule]:
    return {rule.fairness or "/": rule for rule in view.settings.rules if rule.own}

"""A workspace's policy, as its people see and change it."""

from __future__ import annotations

import msgspec

from linkflow.domain.errors import InvalidInput
from linkflow.domain.policy import Policy, wrong
from linkflow.ports import Clock, PolicyBook

from . import audit
from .workspaces import Membership


class Policies:
    """Workflows that were saved before a change stay as they are; what it forbids does not run any more."""

    def __init__(self, book: PolicyBook, clock: Clock) -> None:
        self._book = book
        self._clock = clock

    async def show(self, who: Membership) -> Policy:
        return await self._book.read(who.workspace_id)

    async def set(self, who: Membership, policy: Policy) -> Policy:
        """Replace it. Raises `InvalidInput` with every fault."""
        lists = {
            name: tuple(dict.fromkeys(text.strip() for text in getattr(policy, name)))
            for name in policy.__struct_fields__
            if name.startswith(("allowed_", "denied_"))
        }
        made = msgspec.structs.replace(policy, **lists, changed_at=self._clock.now_ms(), changed_by=who.actor)
        if problems := wrong(made):
            raise InvalidInput("This policy cannot be set.", problems=problems)
        audit.changed(await self._book.read(who.workspace_id), made)
        await self._book.write(who.workspace_id, made)
        return made

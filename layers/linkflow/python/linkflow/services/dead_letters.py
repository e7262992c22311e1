"""Dead letters, as a workspace's people look at them and handle them. All of it asks the execution plane."""

from __future__ import annotations

from linkflow.contracts.base import acting_as
from linkflow.contracts.frontend import FrontendApi, RedriveReply, RedriveRequest
from linkflow.contracts.matching import DeadLetter, DropRequest, LettersRequest

from .workspaces import Membership


class DeadLetters:
    """Tasks of one workspace that no worker finished."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend

    async def page(self, who: Membership, *, before: str, limit: int) -> tuple[DeadLetter, ...]:
        """Newest first; `before` is the id after which the page starts."""
        with acting_as(who.caller()):
            return (await self._frontend.letters(LettersRequest(who.workspace_id, (), before, limit))).letters

    async def show(self, who: Membership, id: str) -> DeadLetter:
        """Raises `NotFound`."""
        with acting_as(who.caller()):
            return (await self._frontend.letters(LettersRequest(who.workspace_id, (id,)))).letters[0]

    async def redrive(self, who: Membership, id: str) -> RedriveReply:
        """Let its run go on. Raises `NotFound`, and `Conflict` where the run is not failed."""
        with acting_as(who.caller()):
            return await self._frontend.redrive(RedriveRequest(who.workspace_id, id, who.actor))

    async def drop(self, who: Membership, id: str) -> None:
        """Raises `NotFound`."""
        with acting_as(who.caller()):
            await self._frontend.drop(DropRequest(who.workspace_id, (id,)))

    async def purge(self, who: Membership) -> int:
        """Drop all; returns how many there were."""
        with acting_as(who.caller()):
            return (await self._frontend.drop(DropRequest(who.workspace_id, all=True))).dropped

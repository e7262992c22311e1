"""New runs from old ones, and verbs upon many runs. The execution plane does both, in the asker's name."""

from __future__ import annotations

from linkflow.contracts.base import acting_as
from linkflow.contracts.controlling import (
    Bulk,
    BulkFilter,
    BulkOptions,
    BulkReply,
    BulkRequest,
    BulksRequest,
    ForkReply,
    ForkRequest,
)
from linkflow.contracts.frontend import FrontendApi
from linkflow.domain.errors import NotFound
from linkflow.domain.ids import is_uuid

from .workspaces import Membership


class Forks:
    """Forks, resets, reruns and bulk operations of one workspace."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend

    async def fork(
        self, who: Membership, execution_id: str, verb: str, options: BulkOptions, *, dry_run: bool = False,
        key: str = "",
    ) -> ForkReply:  # fmt: skip
        """``fork``, ``reset`` or ``rerun``. `key` makes a repeated call find the run of the first one.

        Raises `NotFound` and `InvalidInput`.
        """
        if not is_uuid(execution_id):
            raise NotFound("There is no such execution.")
        request = ForkRequest(
            execution_id, who.workspace_id, verb, options.node, options.edited, options.input, options.version,
            dry_run, who.actor, options.reason, f"api:{verb}:{execution_id}:{key}" if key else "",
        )  # fmt: skip
        with acting_as(who.caller()):
            return await self._frontend.fork(request)

    async def again(self, who: Membership, execution_id: str, reason: str) -> str:
        """A new run from the start with the same data. Returns its id. Raises `NotFound`."""
        made = await self.fork(who, execution_id, "rerun", BulkOptions(reason=reason))
        return made.execution_id

    async def bulk(
        self, who: Membership, verb: str, chosen: BulkFilter, options: BulkOptions, *, limit: int, dry_run: bool
    ) -> BulkReply:
        """Begin an operation, or count its runs. Raises `InvalidInput` with every fault."""
        request = BulkRequest(who.workspace_id, verb, chosen, options, limit, dry_run, who.actor)
        with acting_as(who.caller()):
            return await self._frontend.bulk(request)

    async def operations(self, who: Membership, before: str, limit: int) -> tuple[Bulk, ...]:
        """Newest first, after the one called `before`."""
        with acting_as(who.caller()):
            return (await self._frontend.bulks(BulksRequest(who.workspace_id, before=before, limit=limit))).bulks

    async def operation(self, who: Membership, bulk_id: str, *, cancel: bool = False) -> Bulk:
        """One operation; `cancel` stops it first. Raises `NotFound`, and `Conflict` where it is over."""
        if not is_uuid(bulk_id):
            raise NotFound("There is no such bulk operation.")
        with acting_as(who.caller()):
            reply = await self._frontend.bulks(BulksRequest(who.workspace_id, bulk_id, cancel=cancel))
        return reply.bulks[0]

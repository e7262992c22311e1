"""Purging workspaces that were deleted: when the time to restore one is over, all that it has goes, for good.

Upkeep looks every hour. The runs go first, by operations on many of them as anybody may begin: those that are open are
ended, those that are over deleted, with history, payloads and keys. They are worked off by the sweep, page by page, on
whichever database they are; a later look finds what is left. When no run is left the rest goes in portions, and the
workspace itself at last, so that whatever falls in between is gone on with.
"""

from __future__ import annotations

from msgspec import Struct

from linkflow.contracts.controlling import BulkFilter, BulkRequest
from linkflow.contracts.matching import DropRequest, MatchingApi
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.state import CANCELLING, CLOSED, COLLECTING, PAUSED, QUEUED, RUNNING
from linkflow.observability import logger
from linkflow.ports import BulkStore, Clock, PurgeStore
from linkflow.services.audit import Entry

from .bulk import MAX_RUNS, BulkWork
from .deleting import DELETE

ACTOR = "service:upkeep"
AT_ONCE = 10
"""Workspaces in one look."""
LEASE_MS = 600_000
"""For so long one is whoever's who took it; a look takes far less."""
BRIEFLY_MS = 20_000
"""What one look gives to rows outside of runs."""
DAY_MS = 86_400_000
OPEN = (RUNNING, PAUSED, CANCELLING, QUEUED, COLLECTING)


class Purged(Struct):
    """What a look came to: `runs` that operations were begun for, `rows` outside of runs, `workspaces` that are
    gone."""

    runs: int = 0
    rows: int = 0
    workspaces: int = 0


class Purger:
    """`days` is how long a workspace can be restored."""

    def __init__(
        self, store: PurgeStore, bulks: BulkStore, bulk: BulkWork, matching: MatchingApi, clock: Clock, days: int
    ) -> None:
        self._store = store
        self._bulks = bulks
        self._bulk = bulk
        self._matching = matching
        self._clock = clock
        self._days = days

    async def look(self) -> Purged:
        """Go on with all whose time is over. One that fails waits for the next look."""
        done = Purged()
        now = self._clock.now_ms()
        ends = now + BRIEFLY_MS
        for id in await self._store.take(now, now - self._days * DAY_MS, now + LEASE_MS, AT_ONCE):
            try:
                await self._go_on(id, ends, done)
            except LinkFlowError as error:
                logger.warning("A workspace waits to be purged", extra={"workspace_id": id, "code": error.code})
        return done

    async def _go_on(self, id: str, ends: int, done: Purged) -> None:
        await self._store.silence(id)
        if any(one.status == "running" for one in await self._bulks.bulks(id, "", "", AT_ONCE)):
            return
        runs = await self._begin(id, "terminate", OPEN) + await self._begin(id, DELETE, CLOSED)
        done.runs += runs
        if runs:
            return
        await self._matching.drop(DropRequest(id, all=True))
        while gone := await self._store.portion(id):
            done.rows += gone
            if self._clock.now_ms() >= ends:
                return
        entry = Entry(
            "workspaces.purge", ACTOR, "service", workspace_id=id, target_type="workspace", target_id=id
        )  # fmt: skip
        if await self._store.finish(id, entry):
            done.workspaces += 1
            logger.info("A workspace was purged", extra={"workspace_id": id})

    async def _begin(self, id: str, verb: str, statuses: tuple[str, ...]) -> int:
        request = BulkRequest(id, verb, BulkFilter(status=tuple(statuses)), limit=MAX_RUNS, actor=ACTOR)
        if not await self._bulks.count_runs(request):
            return 0
        return (await self._bulk.begin(request)).total

"""What Matching knows of this worker: for how many more tasks it has places, until it goes. It is said with each claim;
only a worker that has become full without one, or that goes, says it in a call of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from linkflow.contracts.matching import ClaimReply, ClaimRequest, MatchingApi
from linkflow.domain.errors import LinkFlowError
from linkflow.observability import logger

MAX_CLAIM = 200


class Attendance:
    """`places` says how many there are now."""

    def __init__(self, matching: MatchingApi, worker: str, places: Callable[[], int]) -> None:
        self._matching = matching
        self._worker = worker
        self._places = places
        self._invitation = ""
        self._queues: tuple[str, ...] = ()
        self._there = False
        self._told = 0

    def come(self, queues: Sequence[str], invitation: str = "") -> None:
        """From the next claim on it is there, and its invitation used up."""
        self._queues, self._invitation, self._there = tuple(queues), invitation, True

    @property
    def is_there(self) -> bool:
        """Does Matching count on it?"""
        return self._there

    @property
    def overstated(self) -> bool:
        """Is it counted on for tasks that it has no places for?"""
        return self._told > 0 and self._places() <= 0

    async def claim(self, wait: float, *, leaving: bool = False) -> ClaimReply:
        """Ask for as many tasks as there are places; who is leaving is gone where there is none, and none that
        is about to be."""
        places = self._places()
        self._told = max(1, places)  # also while the answer is on its way, or if it never comes
        reply = await self._matching.claim(self._request(places, min(places, MAX_CLAIM), wait, leaving))
        self._invitation = ""
        self._there = not leaving or reply.stays or bool(reply.leases)
        self._told = max(0, places - len(reply.leases)) if self._there else 0
        return reply

    async def full(self) -> None:
        """There are no places any more. If that cannot be said it is believed for some seconds."""
        await self._tell(leaving=False)

    async def leave(self) -> None:
        """Whatever comes from now on is for others."""
        if self._there:
            await self._tell(leaving=True)
            self._there = False

    async def _tell(self, *, leaving: bool) -> None:
        try:
            await self._matching.claim(self._request(0, 0, 0.0, leaving))
        except LinkFlowError as error:
            logger.warning("Matching does not know yet how many places are left", extra={"code": error.code})
        self._invitation, self._told = "", 0

    def _request(self, places: int, limit: int, wait: float, leaving: bool) -> ClaimRequest:
        return ClaimRequest(
            self._worker, self._queues, limit, wait, places=places, invitation=self._invitation, leaving=leaving
        )

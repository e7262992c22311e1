"""Dead letters, as a workspace's people look at them and handle them. All of it asks the execution plane."""

from __future__ import annotations

from collections.abc import AsyncIterator

from msgspec import Struct

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.controlling import BulkFilter, BulkOptions, BulkReply, BulkRequest
from linkflow.contracts.frontend import FrontendApi, RedriveReply, RedriveRequest
from linkflow.contracts.matching import DeadLetter, DropRequest, LetterFilter, LettersRequest

from . import audit
from .workspaces import Membership

AT_ONCE = 500
"""Letters that are read or dropped in one call."""
MOST_RUNS = 10_000
"""Runs that one call redrives."""


class LettersPage(Struct, frozen=True):
    """Letters, and the cursor behind them; empty at the end."""

    letters: tuple[DeadLetter, ...]
    next: str


class DeadLetters:
    """Tasks of one workspace that no worker finished."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend

    async def page(self, who: Membership, *, before: str, limit: int, match: LetterFilter) -> LettersPage:
        """Newest first; `before` is the id after which the page starts. With a filter a page may have fewer letters
        than there are, and says where to go on."""
        if match != LetterFilter():
            request = LettersRequest(who.workspace_id, (), before, limit, match)
            with acting_as(who.caller()):
                reply = await self._frontend.letters(request)
            return LettersPage(reply.letters, reply.next)
        with acting_as(who.caller()):
            request = LettersRequest(who.workspace_id, (), before, limit + 1)
            found = (await self._frontend.letters(request)).letters
        return LettersPage(found[:limit], found[limit - 1].id if len(found) > limit else "")

    async def show(self, who: Membership, id: str) -> DeadLetter:
        """Raises `NotFound`."""
        with acting_as(who.caller()):
            return (await self._frontend.letters(LettersRequest(who.workspace_id, (id,)))).letters[0]

    async def redrive(self, who: Membership, id: str) -> RedriveReply:
        """Let its run go on. Raises `NotFound`, and `Conflict` where the run is not failed."""
        with acting_as(who.caller()):
            return await self._frontend.redrive(RedriveRequest(who.workspace_id, id, who.actor))

    async def redrive_many(self, who: Membership, match: LetterFilter, limit: int, dry_run: bool) -> BulkReply:
        """Let the runs of all letters that fit go on, as a bulk operation over those that are failed."""
        runs: dict[str, None] = {}
        async for letter in self._all(who, match):
            runs[letter.task.execution_id] = None
            if len(runs) > limit:
                break
        chosen = tuple(runs)[:limit]
        if dry_run or not chosen:
            return BulkReply(len(chosen), len(runs) > limit)
        options = BulkOptions(reason="Redriven from the dead letters.")
        request = BulkRequest(
            who.workspace_id, "redrive", BulkFilter(ids=chosen), options, limit=limit, actor=who.actor
        )
        with acting_as(who.caller()):
            begun = await self._frontend.bulk(request)
        return BulkReply(begun.total, len(runs) > limit, begun.bulk)

    async def drop(self, who: Membership, id: str) -> None:
        """Raises `NotFound`."""
        with acting_as(who.caller()):
            await self._frontend.drop(DropRequest(who.workspace_id, (id,)))

    async def purge(self, who: Membership, match: LetterFilter) -> int:
        """Drop all that fit; returns how many there were."""
        dropped = await self._purge(who, match)
        audit.changed(None, {"dropped": dropped})
        return dropped

    async def _purge(self, who: Membership, match: LetterFilter) -> int:
        if match == LetterFilter():
            with acting_as(who.caller()):
                return (await self._frontend.drop(DropRequest(who.workspace_id, all=True))).dropped
        ids = [letter.id async for letter in self._all(who, match)]
        dropped = 0
        for at in range(0, len(ids), AT_ONCE):
            # One id that is gone is an error, two are none: the last one is asked for twice.
            some = (*ids[at : at + AT_ONCE], ids[-1])
            with acting_as(who.caller()):
                dropped += (await self._frontend.drop(DropRequest(who.workspace_id, some))).dropped
        return dropped

    async def _all(self, who: Membership, match: LetterFilter) -> AsyncIterator[DeadLetter]:
        before = ""
        # Whoever may handle them learns no more than how many there are.
        reader = Caller(who.workspace_id, who.permissions | {"execution.view"}, who.actor)
        while True:
            with acting_as(reader):
                page = await self._frontend.letters(LettersRequest(who.workspace_id, (), before, AT_ONCE, match))
            for letter in page.letters:
                yield letter
            before = page.next
            if not before:
                return

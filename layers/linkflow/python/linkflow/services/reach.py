"""What a workspace's nodes may reach, as its people see and change it."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.reach import MOST, Reach, faults, place
from linkflow.ports import Clock, ReachBook

from . import audit
from .workspaces import Membership


class WorkspaceReach:
    """`granted` is what the operator lets workspaces open for themselves."""

    def __init__(self, book: ReachBook, clock: Clock, granted: Sequence[str]) -> None:
        self._book = book
        self._clock = clock
        self._granted = tuple(granted)
        for text in self._granted:
            place(text)  # an operator learns of a slip when the service starts

    async def show(self, who: Membership) -> Reach:
        return await self._book.read(who.workspace_id)

    async def set(self, who: Membership, allow: Sequence[str], only: Sequence[str]) -> Reach:
        """Replace both lists. What an operator has opened stays possible, but nothing new that he has not granted.

        Raises `InvalidInput` with every fault.
        """
        before = await self._book.read(who.workspace_id)
        audit.changed({"allow": before.allow, "only": before.only}, {"allow": allow, "only": only})
        given = [*self._granted, *before.allow]
        return await _write(self._book, self._clock, who.workspace_id, allow, only, who.actor, given)


async def grant(book: ReachBook, clock: Clock, workspace_id: str, allow: Sequence[str], only: Sequence[str]) -> Reach:
    """The operator's word: any place. Raises `InvalidInput`."""
    return await _write(book, clock, workspace_id, allow, only, "operator", None)


async def _write(
    book: ReachBook, clock: Clock, workspace_id: str, allow: Sequence[str], only: Sequence[str], actor: str,
    granted: Sequence[str] | None,
) -> Reach:  # fmt: skip
    problems = [*faults("allow", allow, granted), *faults("only", only)]
    for name, entries in (("allow", allow), ("only", only)):
        if len(entries) > MOST:
            problems.append(Problem(f"/{name}", "too_many", f"{MOST} entries are the most."))
    if problems:
        raise InvalidInput("These places cannot be set.", problems=problems)
    made = Reach(_once(allow), _once(only), clock.now_ms(), actor)
    await book.write(workspace_id, made)
    return made


def _once(entries: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.strip().lower() for text in entries))

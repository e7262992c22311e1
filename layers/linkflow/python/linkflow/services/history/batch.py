"""What is written together: commands of many callers, and what came of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from linkflow.domain import commands as c
from linkflow.domain.decider import Decision
from linkflow.ports import Transition

from .plans import Plan


class Written:
    """What one execution's part of a batch came to. `duplicate` names the run that holds the key instead; `position`
    is the place of one that waits for a slot."""

    __slots__ = ("blobs", "decision", "duplicate", "plan", "position", "row")

    def __init__(
        self,
        decision: Decision,
        plan: Plan,
        row: Transition | None,
        duplicate: str = "",
        blobs: Mapping[str, bytes] | None = None,
        position: int = 0,
    ) -> None:
        self.decision = decision
        self.plan = plan
        self.row = row
        self.duplicate = duplicate
        self.blobs = blobs
        """What has to be durable before the row is."""
        self.position = position


class Item:
    """Commands for one execution, and who waits for them."""

    __slots__ = ("commands", "done", "execution_id", "fires", "start", "tries")

    def __init__(
        self, execution_id: str, commands: Sequence[c.Command], start: c.Start | None, fires: bool = False
    ) -> None:
        self.execution_id = execution_id
        self.commands = commands
        self.start = start
        self.fires = fires
        self.tries = 0
        self.done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()


class Merged(Item):
    """Several callers' commands for one execution, decided as one transition; each gets its own part of the answer."""

    __slots__ = ("items",)

    def __init__(self, items: list[Item]) -> None:
        commands = [x for item in items for x in item.commands]
        super().__init__(items[0].execution_id, commands, items[0].start, any(item.fires for item in items))
        self.items = items
        self.done.add_done_callback(self._hand_out)

    def _hand_out(self, done: asyncio.Future[Written]) -> None:
        error = done.exception()
        at = 0
        for item in self.items:
            count = len(item.commands)
            if item.done.done():
                pass
            elif error is not None:
                item.done.set_exception(error)
            else:
                item.done.set_result(_part(done.result(), at, count))
            at += count


def _part(written: Written, at: int, count: int) -> Written:
    decision = written.decision
    cut = Decision(decision.state, decision.events, decision.accepted[at : at + count], decision.before,
                   decision.was_closed)  # fmt: skip
    return Written(cut, written.plan, written.row, written.duplicate)


def merge(items: list[Item]) -> list[Item]:
    """One item for all commands of an execution."""
    # A child's start first: its parent's closing may have sent it a cancel that came here sooner.
    return items if len(items) == 1 else [Merged(sorted(items, key=lambda item: item.start is None))]


def reject(item: Item, error: Exception) -> None:
    """Tell who waits that nothing came of it."""
    if not item.done.done():
        item.done.set_exception(error)

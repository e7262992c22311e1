"""Several databases: a committer each, so that none waits for another's, and one that is away holds up only its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from linkflow.domain import commands as c
from linkflow.domain.errors import InvalidInput
from linkflow.domain.ids import shard_of_execution, shard_of_workflow
from linkflow.domain.state import State
from linkflow.ports import Transition

from .batch import Written


class Commits(Protocol):
    """What writes transitions (see `Committer`)."""

    async def start(self, command: c.Start, takeover: bool = False) -> Written: ...
    async def apply(self, execution_id: str, commands: Sequence[c.Command], *, fires: bool = False) -> Written: ...
    def keep(self, state: State, row: Transition | None) -> None: ...
    def remembered(self, id: str, version: int) -> State | None: ...


class Lanes:
    """Hands each run to the committer of its lane. `lane` says which that is, as far as is known: a run that is in two
    lanes for a while is still written behind its fence."""

    def __init__(self, lane: Callable[[str], str], committer: Callable[[], Commits]) -> None:
        self._lane = lane
        self._committer = committer
        self._committers: dict[str, Commits] = {}

    def _of(self, execution_id: str) -> Commits:
        lane = self._lane(execution_id)
        found = self._committers.get(lane)
        if found is None:
            found = self._committers[lane] = self._committer()
        return found

    async def start(self, command: c.Start, takeover: bool = False) -> Written:
        return await self._of(command.execution_id).start(command, takeover)

    async def apply(self, execution_id: str, commands: Sequence[c.Command], *, fires: bool = False) -> Written:
        return await self._of(execution_id).apply(execution_id, commands, fires=fires)

    def keep(self, state: State, row: Transition | None) -> None:
        self._of(state.execution_id).keep(state, row)

    def remembered(self, id: str, version: int) -> State | None:
        return self._of(id).remembered(id, version)


def check_shard(execution_id: str, workflow_id: str) -> None:
    """A run has to be beside its workflow's keys and slots. Raises `InvalidInput`."""
    shard = shard_of_workflow(workflow_id)
    if shard_of_execution(execution_id) != shard:
        raise InvalidInput(
            f"Runs of this workflow have the shard {shard:03x} in their ids, behind the 7; leave the id out and one is"
            " made.", details={"id": execution_id}
        )  # fmt: skip

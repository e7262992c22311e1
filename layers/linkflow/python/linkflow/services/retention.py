"""How long a workspace keeps runs that have closed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from msgspec import Struct

from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.ids import is_uuid

from . import audit
from .workspaces import Membership

MOST_DAYS = 3650
MOST_WORKFLOWS = 1000


class Kept(Struct, frozen=True):
    """Days after which a closed run may go: of all workflows (0: nothing was set), or by workflow. `unset` is what
    holds where neither says anything, nor the workflow's own settings; 0 is for ever."""

    days: int
    workflows: dict[str, int]
    unset: int


class RetentionStore(Protocol):
    async def read(self, workspace_id: str) -> tuple[int, dict[str, int]]: ...
    async def write(self, workspace_id: str, days: int, workflows: Mapping[str, int]) -> None:
        """Replace all."""
        ...

    async def known(self, workspace_id: str, workflow_ids: Sequence[str]) -> set[str]:
        """Which of these are workflows of the workspace."""
        ...


class RetentionSettings:
    """`unset` is the deployment's retention in days."""

    def __init__(self, store: RetentionStore, unset: int) -> None:
        self._store = store
        self._unset = unset

    async def show(self, who: Membership) -> Kept:
        days, workflows = await self._store.read(who.workspace_id)
        return Kept(days, workflows, self._unset)

    async def set(self, who: Membership, days: int, workflows: Mapping[str, int]) -> Kept:
        """Replace what the workspace has set; 0 days are none. Raises `InvalidInput` with every fault."""
        faults = []
        if len(workflows) > MOST_WORKFLOWS:
            faults.append(Problem("/workflows", "too_many", f"{MOST_WORKFLOWS:,} workflows are the most."))
        asked = [id for id in workflows if is_uuid(id)]
        known = await self._store.known(who.workspace_id, asked) if asked else set()
        for id, own in workflows.items():
            if id not in known:
                faults.append(
                    Problem(f"/workflows/{id[:36]}", "unknown_workflow", "Name a workflow of this workspace.")
                )
            elif not 1 <= own <= MOST_DAYS:
                faults.append(Problem(f"/workflows/{id}", "bad_days", f"Give 1 to {MOST_DAYS} days."))
        if faults:
            raise InvalidInput("This retention cannot be set.", problems=faults)
        before = await self._store.read(who.workspace_id)
        audit.changed({"days": before[0], "workflows": before[1]}, {"days": days, "workflows": dict(workflows)})
        await self._store.write(who.workspace_id, days, workflows)
        return await self.show(who)

"""Definitions by workflow and version. They never change, so they are read and decoded once."""

from __future__ import annotations

from collections import OrderedDict

from linkflow.domain.definition import Definition, decode
from linkflow.domain.errors import NotFound

from .control_ports import WorkflowStore

CACHED = 256


class Definitions:
    """A cache before the store. Whose workflow it is, is for the caller to know."""

    def __init__(self, store: WorkflowStore) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, int], Definition] = OrderedDict()

    async def get(self, workflow_id: str, version: int) -> Definition:
        """Raises `NotFound`."""
        key = (workflow_id, version)
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        data = await self._store.definition(workflow_id, version)
        if data is None:
            raise NotFound("There is no such version of this workflow.")
        definition = self._kept[key] = decode(data)
        if len(self._kept) > CACHED:
            self._kept.popitem(last=False)
        return definition

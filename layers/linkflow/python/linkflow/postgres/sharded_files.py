"""Files of workspaces over several databases: each workspace's in the one that has its shard."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TypeVar

from linkflow.domain.drawers import FileInfo, Room
from linkflow.domain.errors import Unavailable
from linkflow.domain.ids import shard_of_workflow

from .files import PostgresFiles
from .shards import TRIES, Shards, is_moved, moved

T = TypeVar("T")


class ShardedFiles:
    """Implements `linkflow.ports.FileStore`."""

    def __init__(self, shards: Shards, stores: Mapping[str, PostgresFiles]) -> None:
        self._shards = shards
        self._stores = stores

    async def put(self, workspace_id: str, info: FileInfo, data: bytes, room: Room, overwrite: bool) -> FileInfo:
        return await self._at(workspace_id, lambda store: store.put(workspace_id, info, data, room, overwrite))

    async def get(self, workspace_id: str, path: str) -> tuple[FileInfo, bytes] | None:
        return await self._at(workspace_id, lambda store: store.get(workspace_id, path))

    async def head(self, workspace_id: str, path: str) -> FileInfo | None:
        return await self._at(workspace_id, lambda store: store.head(workspace_id, path))

    async def list(self, workspace_id: str, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        return await self._at(workspace_id, lambda store: store.list(workspace_id, prefix, after, limit))

    async def delete(self, workspace_id: str, paths: Sequence[str]) -> Sequence[str]:
        return await self._at(workspace_id, lambda store: store.delete(workspace_id, paths))

    async def _at(self, workspace_id: str, ask: Callable[[PostgresFiles], Awaitable[T]]) -> T:
        """Ask the database that has the workspace's files; with a newer map where they have moved meanwhile."""
        for _ in range(TRIES):
            map = await self._shards.current()
            name = map.at(shard_of_workflow(workspace_id))
            try:
                found = await ask(self._stores[name])
            except Unavailable as error:
                if not is_moved(error):
                    raise
            else:
                if await self._shards.is_current(map, name):
                    return found
            await self._shards.newer(map)
        raise moved()

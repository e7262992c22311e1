"""Files of workspaces in memory: for rehearsals, which have no stores."""

from __future__ import annotations

from collections.abc import Sequence

from linkflow.domain.drawers import FileInfo, Room
from linkflow.domain.errors import Conflict, PayloadTooLarge


class MemoryFiles:
    """Implements `linkflow.ports.FileStore`."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[FileInfo, bytes]] = {}

    async def put(self, workspace_id: str, info: FileInfo, data: bytes, room: Room, overwrite: bool) -> FileInfo:
        there = self._kept.get((workspace_id, info.path))
        if there is not None and not overwrite and there[0].sha256 != info.sha256:
            raise Conflict(f"There is a file {info.path} already.")
        others = [one.size for (whose, path), (one, _) in self._kept.items()
                  if whose == workspace_id and path != info.path]  # fmt: skip
        if len(others) + 1 > room.files or sum(others) + len(data) > room.all:
            raise PayloadTooLarge(f"The workspace would have more than {room.files:,} files or {room.all:,} bytes.")
        self._kept[workspace_id, info.path] = (info, data)
        return info

    async def get(self, workspace_id: str, path: str) -> tuple[FileInfo, bytes] | None:
        return self._kept.get((workspace_id, path))

    async def head(self, workspace_id: str, path: str) -> FileInfo | None:
        found = self._kept.get((workspace_id, path))
        return found[0] if found else None

    async def list(self, workspace_id: str, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        mine = (one for (whose, _), (one, _) in sorted(self._kept.items()) if whose == workspace_id)
        return [one for one in mine if one.path.startswith(prefix) and one.path > after][:limit]

    async def delete(self, workspace_id: str, paths: Sequence[str]) -> Sequence[str]:
        there = sorted(path for path in set(paths) if (workspace_id, path) in self._kept)
        for path in there:
            del self._kept[workspace_id, path]
        return there

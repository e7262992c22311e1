"""Files of a workspace, as its people see them; workflows have them by the node action_storage."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from linkflow.domain.drawers import FileInfo, Room, path_fault
from linkflow.domain.errors import InvalidInput, NotFound, PayloadTooLarge, Problem
from linkflow.ports import Clock, FileStore

from . import audit
from .workspaces import Membership


class WorkspaceFiles:
    """For one workspace at a time, in the asker's name."""

    def __init__(self, store: FileStore, room: Room, clock: Clock) -> None:
        self._store, self._room, self._clock = store, room, clock

    async def list(self, who: Membership, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        """Files whose paths begin with `prefix`, in order, behind `after`."""
        for name, text in (("prefix", prefix), ("cursor", after)):
            if "\0" in text:
                raise InvalidInput("No path has such a character.", problems=[Problem(f"/{name}", "bad_path", "NUL.")])
        return await self._store.list(who.workspace_id, prefix, after, limit)

    async def get(self, who: Membership, path: str) -> tuple[FileInfo, bytes]:
        """Raises `NotFound`, `InvalidInput`."""
        found = await self._store.get(who.workspace_id, _checked(path))
        if found is None:
            raise NotFound("There is no such file.")
        return found

    async def put(self, who: Membership, path: str, data: bytes, content_type: str, overwrite: bool) -> FileInfo:
        """Raises `Conflict` where there is another file already, `PayloadTooLarge`, `InvalidInput`."""
        _checked(path)
        if len(data) > self._room.file:
            raise PayloadTooLarge(f"The file has {len(data):,} bytes; the most is {self._room.file:,}.")
        digest = hashlib.sha256(data).hexdigest()
        info = FileInfo(path, len(data), content_type, digest, self._clock.now_ms())
        audit.changed(None, {"path": path, "size": info.size, "sha256": digest})
        return await self._store.put(who.workspace_id, info, data, self._room, overwrite)

    async def delete(self, who: Membership, path: str) -> None:
        """Raises `NotFound`, `InvalidInput`."""
        audit.changed({"path": path}, None)
        if not await self._store.delete(who.workspace_id, [_checked(path)]):
            raise NotFound("There is no such file.")


def _checked(path: str) -> str:
    if fault := path_fault(path):
        raise InvalidInput("This cannot be a file's path.", problems=[Problem("/path", "bad_path", f"{fault}.")])
    return path

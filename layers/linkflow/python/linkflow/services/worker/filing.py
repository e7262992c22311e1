"""A workspace's files for its nodes: paths are checked, bounds are held, and errors are those of nodes."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from linkflow.domain.drawers import FileInfo, Room, path_fault
from linkflow.domain.errors import Conflict, LinkFlowError, PayloadTooLarge
from linkflow.nodes.base import NodeFailure
from linkflow.ports import Clock, FileStore

T = TypeVar("T")


class WorkspaceFiles:
    """Implements `linkflow.nodes.files.Files` for one workspace."""

    def __init__(self, store: FileStore, room: Room, clock: Clock, workspace_id: str) -> None:
        self._store, self._room, self._clock, self._workspace = store, room, clock, workspace_id

    async def put(self, path: str, data: bytes, content_type: str, *, overwrite: bool = True) -> FileInfo:
        _check(path)
        if len(data) > self._room.file:
            text = f"The file has {len(data):,} bytes; the most that one may have is {self._room.file:,}."
            raise NodeFailure("storage_full", text, retryable=False)
        digest = hashlib.sha256(data).hexdigest()
        info = FileInfo(path, len(data), content_type[:200], digest, self._clock.now_ms())
        return await _asked(self._store.put(self._workspace, info, data, self._room, overwrite))

    async def get(self, path: str) -> tuple[FileInfo, bytes]:
        _check(path)
        found = await _asked(self._store.get(self._workspace, path))
        if found is None:
            raise NodeFailure("storage_not_found", f"There is no file {path}.", retryable=False)
        return found

    async def head(self, path: str) -> FileInfo | None:
        _check(path)
        return await _asked(self._store.head(self._workspace, path))

    async def list(self, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        for text in (prefix, after):
            if "\0" in text:
                raise NodeFailure("bad_path", "No path has such a character.", retryable=False)
        return await _asked(self._store.list(self._workspace, prefix, after, limit))

    async def delete(self, paths: Sequence[str]) -> Sequence[str]:
        for path in paths:
            _check(path)
        return await _asked(self._store.delete(self._workspace, paths))


def _check(path: str) -> None:
    if fault := path_fault(path):
        raise NodeFailure("bad_path", f"{path[:80]!r} cannot be a file's path: {fault}.", retryable=False)


async def _asked(call: Awaitable[T]) -> T:
    try:
        return await call
    except Conflict as error:
        raise NodeFailure("storage_exists", str(error), retryable=False) from None
    except PayloadTooLarge as error:
        raise NodeFailure("storage_full", str(error), retryable=False) from None
    except LinkFlowError as error:
        raise NodeFailure("storage_unavailable", str(error)) from None

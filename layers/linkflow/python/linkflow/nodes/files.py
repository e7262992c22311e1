"""Files of the workspace, as nodes know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from linkflow.domain.drawers import FileInfo


class Files(Protocol):
    """One workspace's files. A path that cannot be one, or leads elsewhere, fails as ``bad_path``; a store that is away
    as ``storage_unavailable``, retryably."""

    async def put(self, path: str, data: bytes, content_type: str, *, overwrite: bool = True) -> FileInfo:
        """Keep a file. Raises `NodeFailure` ``storage_exists``, ``storage_full``."""
        ...

    async def get(self, path: str) -> tuple[FileInfo, bytes]:
        """Raises `NodeFailure` ``storage_not_found``."""
        ...

    async def head(self, path: str) -> FileInfo | None: ...

    async def list(self, prefix: str, after: str, limit: int) -> Sequence[FileInfo]:
        """Files whose paths begin with `prefix`, in order, behind `after`."""
        ...

    async def delete(self, paths: Sequence[str]) -> Sequence[str]:
        """Those that were there."""
        ...

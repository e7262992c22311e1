"""Files of a workspace: what a path is, and under which id a workspace keeps them.

They lie in the table of large payloads under an id that no run ever has: its time is the last there is, so retention,
which forgets by month, never comes to it; its shard follows from the workspace, so they move with that shard.
"""

from __future__ import annotations

from msgspec import Struct

from linkflow.domain.ids import derived_id, shard_of_workflow

END_OF_TIME = 0xFFFF_FFFF_FFFF
LONGEST = 512
"""Bytes of a path."""


class FileInfo(Struct, frozen=True):
    """A file of a workspace. `updated_at` is ms since the epoch, `size` bytes."""

    path: str
    size: int
    content_type: str
    sha256: str
    updated_at: int


class Room(Struct, frozen=True):
    """How much a workspace may keep: bytes of one file, of all together, and how many files."""

    file: int
    all: int
    files: int


def drawer_of(workspace_id: str) -> str:
    """The id under which a workspace's files lie."""
    return derived_id(f"files/{workspace_id}", END_OF_TIME, shard_of_workflow(workspace_id))


def path_fault(path: str) -> str:
    """Why this cannot be a file's path; empty where it can."""
    parts = path.split("/")
    if not path or len(path.encode("utf-8", "replace")) > LONGEST:
        return f"a path has 1 to {LONGEST} bytes"
    if any(part in ("", ".", "..") for part in parts):
        return "a path is made of names with / between them, none of them empty, . or .."
    if any(ord(ch) < 32 or ord(ch) == 127 or 0xD800 <= ord(ch) <= 0xDFFF for ch in path) or "\\" in path:
        return "a path has no control characters and no backslash"
    return ""

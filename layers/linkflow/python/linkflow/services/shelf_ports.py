"""What keeps many workflows in order, and the store for that. Ids are UUIDs in text, times are ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from msgspec import Struct

from .control_ports import Workflow


class Tag(Struct, frozen=True):
    """`workflows`: how many have it."""

    id: str
    name: str
    color: str
    created_at: int = 0
    updated_at: int = 0
    workflows: int = 0


class Folder(Struct, frozen=True):
    """`parent` is empty at the top. `workflows`: how many are in it, those of the folders in it not counted."""

    id: str
    parent: str
    name: str
    created_at: int
    updated_at: int
    workflows: int = 0


class Search(Struct, frozen=True):
    """What workflows somebody looks for. `words` are beginnings of words in name and description, all of which are
    there; `tags` ids, all of which it has; `folders` ids, in one of which it is; `loose`: in none. `sort` is
    ``created_at``, ``updated_at`` or ``name``. `after` is the key and id where the page before ended."""

    active: bool | None = None
    locked: bool | None = None
    words: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    folders: tuple[str, ...] | None = None
    loose: bool = False
    types: tuple[str, ...] = ()
    sort: str = "created_at"
    down: bool = True
    after: tuple[str, str] | None = None
    limit: int = 20


class ShelfStore(Protocol):
    async def tags(self, workspace_id: str) -> list[Tag]:
        """By name."""
        ...

    async def add_tag(self, workspace_id: str, tag: Tag, most: int) -> bool:
        """False where the name is taken, or there are `most` of them."""
        ...

    async def change_tag(self, workspace_id: str, tag: Tag) -> bool:
        """False where another has the name."""
        ...

    async def drop_tag(self, workspace_id: str, tag_id: str) -> bool: ...
    async def named(self, workspace_id: str, names: Sequence[str]) -> list[tuple[str, str]]:
        """Id and name in small letters of the tags that `names` call by either."""
        ...

    async def put_tags(self, workspace_id: str, workflow_id: str, tags: Sequence[str]) -> None: ...
    async def folders(self, workspace_id: str) -> list[Folder]:
        """By name."""
        ...

    async def put_folder(self, workspace_id: str, choose: Callable[[list[Folder]], Folder]) -> Folder:
        """Write the folder that `choose` makes of those that there are; nobody else changes any meanwhile."""
        ...

    async def drop_folder(self, workspace_id: str, folder_id: str) -> bool:
        """What is in it comes into the one above."""
        ...

    async def move(self, workspace_id: str, workflow_id: str, folder_id: str) -> bool:
        """Empty: out of all folders. False where there is no such folder or workflow."""
        ...

    async def lock(self, workspace_id: str, workflow_id: str, actor: str, user: str, at: int, reason: str) -> bool:
        """False where it is locked already."""
        ...

    async def unlock(self, workspace_id: str, workflow_id: str) -> bool: ...
    async def search(self, workspace_id: str, asked: Search) -> list[tuple[str, Workflow]]:
        """Each with the key that it is sorted by."""
        ...

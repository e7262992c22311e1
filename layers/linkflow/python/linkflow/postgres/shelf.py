"""Tags, folders, locks and searches of workflows, in Postgres."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from linkflow.services.control_ports import Workflow
from linkflow.services.shelf_ports import Folder, Search, Tag

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("shelf")


class PostgresShelf:
    """`shelf_ports.ShelfStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tags(self, workspace_id: str) -> list[Tag]:
        return [Tag(*row) for row in await self._rows("tags", {"workspace": workspace_id})]

    async def add_tag(self, workspace_id: str, tag: Tag, most: int) -> bool:
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["own_tree"], {"workspace": workspace_id})
            if not (await connection.execute(_sql["add_tag"], {**_of(workspace_id, tag), "most": most})).rowcount:
                raise Unchanged
            return True
        return False

    async def change_tag(self, workspace_id: str, tag: Tag) -> bool:
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["own_tree"], {"workspace": workspace_id})
            if not (await connection.execute(_sql["change_tag"], _of(workspace_id, tag))).rowcount:
                raise Unchanged
            return True
        return False

    async def drop_tag(self, workspace_id: str, tag_id: str) -> bool:
        return await self._write("drop_tag", {"workspace": workspace_id, "id": tag_id})

    async def named(self, workspace_id: str, names: Sequence[str]) -> list[tuple[str, str]]:
        rows = await self._rows("named", {"workspace": workspace_id, "names": list(names)})
        return [(row[0], row[1]) for row in rows]

    async def put_tags(self, workspace_id: str, workflow_id: str, tags: Sequence[str]) -> None:
        values = {"workspace": workspace_id, "workflow": workflow_id, "tags": list(tags)}
        async with recorded(self._database) as connection:
            await connection.execute(_sql["untag"], values)
            await connection.execute(_sql["tag"], values)

    async def folders(self, workspace_id: str) -> list[Folder]:
        return [Folder(*row) for row in await self._rows("folders", {"workspace": workspace_id})]

    async def put_folder(self, workspace_id: str, choose: Callable[[list[Folder]], Folder]) -> Folder:
        async with recorded(self._database) as connection:
            await connection.execute(_sql["own_tree"], {"workspace": workspace_id})
            cursor = await connection.execute(_sql["folders"], {"workspace": workspace_id})
            made = choose([Folder(*row) for row in await cursor.fetchall()])
            values = {
                "id": made.id, "workspace": workspace_id, "parent": made.parent or None, "name": made.name,
                "created_at": made.created_at, "updated_at": made.updated_at,
            }  # fmt: skip
            await connection.execute(_sql["put_folder"], values)
        return made

    async def drop_folder(self, workspace_id: str, folder_id: str) -> bool:
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["own_tree"], {"workspace": workspace_id})
            cursor = await connection.execute(_sql["folders"], {"workspace": workspace_id})
            there = {row[0]: row[1] for row in await cursor.fetchall()}
            if folder_id not in there:
                raise Unchanged
            values = {"workspace": workspace_id, "id": folder_id, "parent": there[folder_id] or None}
            for statement in ("lift_folders", "lift_workflows", "drop_folder"):
                await connection.execute(_sql[statement], values)
            return True
        return False

    async def move(self, workspace_id: str, workflow_id: str, folder_id: str) -> bool:
        values = {"workspace": workspace_id, "workflow": workflow_id, "folder": folder_id or None}
        async with recorded_if_changed(self._database) as connection:
            await connection.execute(_sql["own_tree"], {"workspace": workspace_id})
            if not (await connection.execute(_sql["move"], values)).rowcount:
                raise Unchanged
            return True
        return False

    async def lock(self, workspace_id: str, workflow_id: str, actor: str, user: str, at: int, reason: str) -> bool:
        values = {"actor": actor, "user": user, "at": at, "reason": reason}
        return await self._write("lock", {"workspace": workspace_id, "workflow": workflow_id, **values})

    async def unlock(self, workspace_id: str, workflow_id: str) -> bool:
        return await self._write("unlock", {"workspace": workspace_id, "workflow": workflow_id})

    async def search(self, workspace_id: str, asked: Search) -> list[tuple[str, Workflow]]:
        values = {
            "workspace": workspace_id, "active": asked.active, "locked": asked.locked, "types": list(asked.types),
            "words": " & ".join(f"{word}:*" for word in asked.words) or None,
            "tags": None if asked.tags is None else list(asked.tags),
            "folders": None if asked.folders is None else list(asked.folders), "loose": asked.loose,
            "sort": asked.sort, "down": asked.down, "key": asked.after[0] if asked.after else None,
            "after": asked.after[1] if asked.after else None, "limit": asked.limit,
        }  # fmt: skip
        return [(row[0], Workflow(*row[1:])) for row in await self._rows("search", values)]

    async def _write(self, name: str, values: dict[str, Any]) -> bool:
        """Did it change anything?"""
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql[name], values)).rowcount:
                raise Unchanged
            return True
        return False

    async def _rows(self, name: str, values: dict[str, Any]) -> list[tuple[Any, ...]]:
        async with self._database.connection() as connection:
            return await (await connection.execute(_sql[name], values)).fetchall()


def _of(workspace_id: str, tag: Tag) -> dict[str, Any]:
    return {
        "id": tag.id, "workspace": workspace_id, "name": tag.name, "color": tag.color, "at": tag.updated_at,
    }  # fmt: skip

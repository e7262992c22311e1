"""Links to approvals in Postgres (`link_desk.LinkStore`)."""

from __future__ import annotations

from typing import Any

from linkflow.services.approval_links import Holder
from linkflow.services.link_desk import Link
from linkflow.services.world import ApprovalView

from .audit_log import Unchanged, recorded, recorded_if_changed
from .database import Database
from .queries import queries

_sql = queries("approval_links")


class PostgresApprovalLinks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, whose: ApprovalView, workspace_id: str, link: Link) -> None:
        more = {
            "id": link.id, "note": link.note, "actor": link.created_by, "at": link.created_at, "until": link.expires_at
        }  # fmt: skip
        async with recorded(self._database) as connection:
            await connection.execute(_sql["add"], {**_of(whose, workspace_id), **more})

    async def list(self, whose: ApprovalView, workspace_id: str) -> list[Link]:
        async with self._database.connection() as connection:
            rows = await (await connection.execute(_sql["list"], _of(whose, workspace_id))).fetchall()
        return [Link(*row) for row in rows]

    async def revoke(self, whose: ApprovalView, workspace_id: str, id: str, actor: str, at: int) -> bool:
        values = {**_of(whose, workspace_id), "id": id, "actor": actor, "at": at}
        async with recorded_if_changed(self._database) as connection:
            if not (await connection.execute(_sql["revoke" if id else "revoke_messages"], values)).rowcount:
                raise Unchanged
            return True
        return False

    async def stands(self, holder: Holder) -> bool:
        values = {
            "workspace": holder.workspace_id, "execution": holder.execution_id, "node": holder.node_key,
            "id": holder.link_id,
        }  # fmt: skip
        async with self._database.connection() as connection:
            row = await (await connection.execute(_sql["stands"], values)).fetchone()
        return bool(row and row[0])

    async def forget(self, now_ms: int) -> int:
        """Delete links whose time is over; returns how many."""
        async with self._database.connection() as connection:
            return (await connection.execute(_sql["forget"], {"now": now_ms})).rowcount


def _of(whose: ApprovalView, workspace_id: str) -> dict[str, Any]:
    return {"execution": whose.execution_id, "node": whose.node_key, "workspace": workspace_id}

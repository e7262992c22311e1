"""Bulk operations on Postgres: the runs are chosen once, and worked off a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.contracts.controlling import Bulk, BulkError, BulkFilter, BulkOptions, BulkRequest
from linkflow.ports import BulkPage

from .database import Database
from .queries import queries
from .statuses import STATUS

_HIGHEST = "ffffffff-ffff-ffff-ffff-ffffffffffff"
_sql = queries("bulk")
_errors = msgspec.json.Decoder(tuple[BulkError, ...])


class _Asked(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `request` holds."""

    filter: BulkFilter
    options: BulkOptions


_asked = msgspec.json.Decoder(_Asked)


class PostgresBulks:
    """Implements `linkflow.ports.BulkStore`."""

    _db: Database

    async def count_runs(self, request: BulkRequest) -> int:
        rows = await self._bulk_rows("count", **_which(request))
        return int(rows[0][0])

    async def begin_bulk(
        self, id: str, request: BulkRequest, now_ms: int, until_ms: int, owner: str, chosen: Sequence[str] | None = None
    ) -> None:
        """See `BulkStore.begin_bulk`. `chosen` are the runs where they were chosen already, one more than the limit."""
        asked = msgspec.json.encode(_Asked(request.filter, request.options))
        args = {
            "id": id, "verb": request.verb, "request": asked, "actor": request.actor, "now": now_ms, "offer": until_ms,
            "owner": owner,
        }  # fmt: skip
        async with self._db.connection() as connection:
            if chosen is None:
                await connection.execute(_sql["begin"], {**_which(request), **args})
            else:
                args |= {"workspace": request.workspace_id, "limit": request.limit, "chosen": list(chosen)}
                await connection.execute(_sql["begin_with"], args)

    async def choose_runs(self, request: BulkRequest, before: str, limit: int) -> list[str]:
        """The runs that fit, the newest first, behind one."""
        args = {**_which(request), "below": before or _HIGHEST, "limit": limit}
        return [id for (id,) in await self._bulk_rows("choose", **args)]

    async def bulks(self, workspace_id: str, id: str, before: str, limit: int) -> list[Bulk]:
        if id:
            rows = await self._bulk_rows("one", workspace=workspace_id, id=id)
        else:
            rows = await self._bulk_rows("show", workspace=workspace_id, before=before or _HIGHEST, limit=limit)
        return [_bulk(row) for row in rows]

    async def cancel_bulk(self, workspace_id: str, id: str, now_ms: int) -> bool:
        return bool(await self._bulk_rows("cancel", workspace=workspace_id, id=id, now=now_ms))

    async def claim_bulk(self, owner: str, now_ms: int, until_ms: int, page: int) -> BulkPage | None:
        rows = await self._bulk_rows("claim", owner=owner, now=now_ms, until=until_ms, page=page)
        if not rows:
            return None
        id, workspace, verb, asked, actor, cursor, errors, created_at, targets = rows[0]
        request = _asked.decode(bytes(asked))
        return BulkPage(
            id, workspace, verb, request.options, actor, cursor, _errors.decode(bytes(errors)), created_at,
            tuple(targets),
        )  # fmt: skip

    async def advance_bulk(
        self, page: BulkPage, done: int, skipped: int, errors: tuple[BulkError, ...], now_ms: int, until_ms: int
    ) -> None:
        count = len(page.targets)
        async with self._db.connection() as connection:
            await connection.execute(
                _sql["advance"],
                {
                    "id": page.id, "cursor": page.cursor, "count": count, "done": done, "skipped": skipped,
                    "failed": count - done - skipped, "errors": msgspec.json.encode(errors), "now": now_ms,
                    "until": until_ms,
                },
            )  # fmt: skip

    async def release_bulks(self, owner: str, now_ms: int) -> None:
        async with self._db.connection() as connection:
            await connection.execute(_sql["release"], {"owner": owner, "now": now_ms})

    async def _bulk_rows(self, statement: str, **args: Any) -> list[tuple[Any, ...]]:
        async with self._db.connection() as connection:
            return await (await connection.execute(_sql[statement], args)).fetchall()


def _which(request: BulkRequest) -> dict[str, Any]:
    chosen = request.filter
    return {
        "workspace": request.workspace_id,
        "workflow": chosen.workflow_id or None,
        "status": [STATUS.index(name) for name in chosen.status],
        "mode": chosen.mode,
        "after": chosen.started_after,
        "before": chosen.started_before,
        "ids": list(chosen.ids),
        "limit": request.limit,
    }


def _bulk(row: tuple[Any, ...]) -> Bulk:
    id, workspace, verb, asked, actor, status, total, more, done, failed, skipped, errors, *times = row
    request = _asked.decode(bytes(asked))
    return Bulk(
        id, workspace, verb, request.filter, request.options, actor, status, total, more, done, failed, skipped,
        _errors.decode(bytes(errors)), *times,
    )  # fmt: skip

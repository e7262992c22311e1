"""Cursors: a page names where the next one starts. A page is asked for with one row more than it shows."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.ids import is_uuid


def page(rows: list[dict[str, Any]], per_page: int, key: str) -> dict[str, Any]:
    """``{data, meta: {next_cursor, per_page}}``; the cursor is the last row's `key`, or null at the end."""
    shown = rows[:per_page]
    following = str(shown[-1][key]) if len(rows) > per_page else None
    return {"data": shown, "meta": {"next_cursor": following, "per_page": per_page}}


def id_cursor(cursor: str) -> str:
    """Raises `InvalidInput` for what no page has handed out."""
    if cursor and not is_uuid(cursor):
        raise _bad()
    return cursor


def number_cursor(cursor: str) -> int:
    """Raises `InvalidInput` for what no page has handed out."""
    if not cursor:
        return 0
    if not (cursor.isascii() and cursor.isdecimal() and len(cursor) < 10):
        raise _bad()
    return int(cursor)


def pair_cursor(cursor: str) -> tuple[str, str] | None:
    """What a row is sorted by, and its id. Raises `InvalidInput` for what no page has handed out."""
    if not cursor:
        return None
    try:
        key, id = msgspec.json.decode(b64decode(cursor, "-_", validate=True), type=tuple[str, str])
    except (ValueError, msgspec.MsgspecError):
        raise _bad() from None
    if not is_uuid(id) or "\0" in key:
        raise _bad()
    return key, id


def paired(rows: list[dict[str, Any]], per_page: int, keys: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """`page`, with such cursors; `keys` are those of the rows."""
    more = len(rows) > per_page
    following = b64encode(msgspec.json.encode(keys[per_page - 1]), b"-_").decode() if more else None
    return {"data": rows[:per_page], "meta": {"next_cursor": following, "per_page": per_page}}


def _bad() -> InvalidInput:
    fault = Problem("/cursor", "bad_cursor", "Use a page's meta.next_cursor.")
    return InvalidInput("This is no cursor.", problems=[fault])

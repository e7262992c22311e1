"""Large payloads as clients see them: in full where they came along, else as links.

``{"$blob": {"href": …, "size": bytes}}`` stands for a value, ``{"$list": […]}`` for lists (or links to such) one after
another, and ``{"$preview": {"href": …, "type": …, "size": …, "count": …, "head": …}}`` for a value that is larger than
what was asked for.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote

import msgspec

from linkflow.domain.payloads import Blob, blob_of, lists_of, references
from linkflow.domain.portions import measured, preview

INLINE = 32_768
"""Bytes of one value that come along unasked: what is larger is kept outside of its run, and linked."""
ANSWER = 1024 * 1024
"""Bytes of values in one answer; behind them there are previews."""


def shown(value: Any, workspace_id: str) -> Any:
    """`value` with links where it holds references."""
    if next(references(value), None) is None:
        return value
    return _shown(value, workspace_id)


def _shown(value: Any, workspace_id: str) -> Any:
    if isinstance(value, dict):
        blob, lists = blob_of(value), lists_of(value)
        if blob is not None:
            return _link(blob, workspace_id)
        if lists is not None:
            return {"$list": [_shown(part, workspace_id) for part in lists]}
        return {name: _shown(item, workspace_id) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(item, workspace_id) for item in value]
    return value


def _link(blob: Blob, workspace_id: str) -> dict[str, Any]:
    name = blob.key.rpartition("/")[2]
    href = f"/api/v1/workspaces/{workspace_id}/executions/{blob.execution_id}/blobs/{name}"
    return {"$blob": {"href": f"{href}?at={blob.at}" if blob.at >= 0 else href, "size": blob.size}}


class Shelf:
    """The values of one answer: whole up to `inline` bytes each and `ANSWER`, or four such values, in all; previews
    behind that."""

    def __init__(self, workspace_id: str, inline: int) -> None:
        self._workspace = workspace_id
        self._inline = inline
        self._left = max(ANSWER, 4 * inline)

    def put(self, value: Any, href: str) -> Any:
        """The value as it goes into the answer; `href` is where it is in full."""
        if value is None or isinstance(value, bool | int | float):
            return value
        value = shown(value, self._workspace)
        if isinstance(value, dict) and value.keys() == {"$blob"}:
            return value
        encoded = measured(value)
        if len(encoded) > self._inline or len(encoded) > self._left:
            return {"$preview": {"href": href, **msgspec.to_builtins(preview(value, encoded))}}
        self._left -= len(encoded)
        return msgspec.Raw(encoded)


def segment(key: str) -> str:
    """A node run's key as a part of a path: ``~`` stands where a percent sign would."""
    return quote(key, safe="").replace("~", "%7E").replace("%", "~")


def unsegmented(part: str) -> str:
    """The key. One without a tilde may also come as it is."""
    return unquote(part.replace("~", "%"), errors="replace")

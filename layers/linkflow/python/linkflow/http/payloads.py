"""Large payloads as clients see them: in full where they came along, else as links.

``{"$blob": {"href": …, "size": bytes}}`` stands for a value, ``{"$list": […]}`` for lists (or links to such) one after
another.
"""

from __future__ import annotations

from typing import Any

from linkflow.domain.payloads import Blob, blob_of, lists_of, references


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

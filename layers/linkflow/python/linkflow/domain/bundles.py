"""Files with workflows: what is in one, and what an export looks like.

One workflow is bare, or ``{version, exported_at, workflow, metadata}``; several are ``{workflows: [...]}`` or a list of
those. Ids in a file are of where it came from: `renamed` puts those of here in their place, wherever they stand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from .definition import Definition, encode

VERSION = "1.0"
MOST = 500
"""Workflows of one file."""


def documents(body: Any) -> list[tuple[str, Any]]:
    """The workflow documents in a file, each with its place (a JSON Pointer)."""
    if isinstance(body, list):
        return [(f"/{at}", one) for at, one in enumerate(body)]
    if isinstance(body, dict) and "nodes" not in body and isinstance(body.get("workflows"), list):
        return [(f"/workflows/{at}", one) for at, one in enumerate(body["workflows"])]
    return [("", body)]


def name_of(document: Any) -> str:
    return _text(_inner(document), "name")


def id_of(document: Any) -> str:
    """The id that it had where it came from; empty where the file does not say."""
    return _text(_inner(document), "id") or _text(_about(document), "workflow_id")


def tags_of(document: Any) -> list[str]:
    """The names of its tags."""
    found = _about(document).get("tags") or _inner(document).get("tags")
    names = [_text(one, "name") if isinstance(one, Mapping) else one for one in found or ()] if _is_list(found) else []
    return [name.strip() for name in names if isinstance(name, str) and 0 < len(name.strip()) <= 64][:50]


def renamed(value: Any, ids: Mapping[str, str]) -> Any:
    """The same with other ids."""
    if isinstance(value, str):
        return ids.get(value, value)
    if isinstance(value, dict):
        return {name: renamed(inner, ids) for name, inner in value.items()}
    if isinstance(value, list):
        return [renamed(inner, ids) for inner in value]
    return value


def exported(
    definition: Definition, id: str, version: int, at: str, tags: Sequence[str] = (), folder: str = ""
) -> dict[str, Any]:
    """The file of one workflow, as the original has it."""
    workflow: dict[str, Any] = {"id": id, **msgspec.json.decode(encode(definition))}
    metadata = {"source": "linkflow", "workflow_id": id, "workflow_version": version}
    more = {"tags": list(tags)} if tags else {}
    place = {"folder": folder} if folder else {}
    return {"version": VERSION, "exported_at": at, "workflow": workflow, "metadata": {**metadata, **more, **place}}


def _inner(document: Any) -> Mapping[str, Any]:
    if not isinstance(document, dict):
        return {}
    inner = document.get("workflow")
    return inner if "nodes" not in document and isinstance(inner, dict) else document


def _about(document: Any) -> Mapping[str, Any]:
    found = document.get("metadata") if isinstance(document, dict) else None
    return found if isinstance(found, dict) else {}


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return value if isinstance(value, str) else ""


def _is_list(value: Any) -> bool:
    return isinstance(value, list)

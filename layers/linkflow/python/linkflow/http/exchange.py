"""Workflows as files: export, import, and whether a document would be taken."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.bundles import MOST, VERSION, documents
from linkflow.domain.errors import InvalidDefinition, LinkFlowError, Problem
from linkflow.services import archives
from linkflow.services.exchange import CREATED, FAILED, Document, Result
from linkflow.services.shelf import Wanted
from linkflow.services.workspaces import Membership

from . import hook_bodies, shapes, strict_json
from .bodies import Document as Body
from .guard import can
from .idempotency import once
from .replying import reply
from .routing import router as new_router
from .strict_json import Malformed
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/workflows", tags=["Import and export"])

Exporter = Annotated[Membership, can("workflow.export")]
Importer = Annotated[Membership, can("workflow.import")]
Viewer = Annotated[Membership, can("workflow.view")]
Label = Annotated[str, StringConstraints(min_length=1, max_length=64)]

_FILE = {"type": "string", "format": "binary"}
BODIES = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"oneOf": [{"type": "object"}, {"type": "array", "items": {}}]}},
            archives.MEDIA_TYPE: {"schema": _FILE},
            "multipart/form-data": {"schema": {"type": "object", "properties": {"file": _FILE}}},
        },
    }
}  # fmt: skip


class Choice(BaseModel):
    """Workflows by `ids`; without them, those with this text, these tags, in this folder (`below`: and those in it)."""

    ids: Annotated[list[Annotated[str, StringConstraints(max_length=64)]], Field(max_length=MOST)] | None = None
    q: Annotated[str, StringConstraints(max_length=300)] = ""
    tags: Annotated[list[Label], Field(max_length=20)] = []
    folder: Annotated[str, StringConstraints(max_length=64)] = ""
    below: bool = False
    format: Literal["json", "zip"] = "json"


@router.get("/{workflow_id}/export")
async def export(
    workflow_id: str, services: Given, who: Exporter, version: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0
) -> Response:
    """A workflow as a file, with credentials by name; `version` 0 is what runs in production."""
    return reply(await services.exchange.export(who, workflow_id, version))


@router.post("/export-bulk")
async def export_bulk(services: Given, who: Exporter, form: Choice | None = None) -> Response:
    """Several in one file, JSON or zip. 207 where some of the ids are no workflows, which are then told."""
    form = form or Choice()
    wanted = Wanted(form.q, tuple(form.tags), form.folder, form.below)
    found, problems = await services.exchange.export_all(who, form.ids, wanted)
    status = 207 if problems else 200
    if form.format == "zip":
        files = ((one["workflow"]["name"], msgspec.json.format(msgspec.json.encode(one))) for one in found)
        headers = {"Cache-Control": "no-store", "Content-Disposition": 'attachment; filename="workflows.zip"'}
        return Response(archives.pack(files), status, headers, archives.MEDIA_TYPE)
    body = {"version": VERSION, "exported_at": shapes.at(services.clock.now_ms()), "workflows": found}
    return reply({**body, "errors": _told(problems)} if problems else body, status)


@router.post("/import", status_code=201, openapi_extra=BODIES)
async def import_(
    request: Request,
    services: Given,
    who: Importer,
    on_conflict: Literal["new", "skip", "replace"] = "new",
    dry_run: bool = False,
    folder_id: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Take workflows in from a file: one, `{workflows: [...]}`, a list, or a zip of such; as the body or a form's file.

    Each is for itself: 201 where all came in, 207 where some did not. `on_conflict` is about names that are there.
    References among them are kept; credentials go by name. New ones are switched off. Takes an Idempotency-Key.
    """
    given = _documents(await request.body(), request.headers.get("content-type", ""))

    async def act() -> Response:
        found = await services.exchange.take(who, given, on_conflict=on_conflict, dry_run=dry_run, folder_id=folder_id)
        failed = [one for one in found if one.status == FAILED]
        if failed and len(found) == 1 and not dry_run:
            message = f"The workflow has {_errors(failed[0].problems)} problem(s)."
            raise InvalidDefinition(message, problems=failed[0].problems)
        created = sum(one.status == CREATED for one in found)
        body = {
            "message": f"{len(found) - len(failed)} of {len(found)} {'would come' if dry_run else 'came'} in.",
            "dry_run": dry_run, "created": created, "failed": len(failed), "results": [_result(one) for one in found],
        }  # fmt: skip
        return reply(body, 207 if failed else 200 if dry_run else 201)

    return await act() if dry_run else await once(request, services, who, act)


@router.post("/validate")
async def validate(services: Given, who: Viewer, document: Body) -> Response:
    """Whether this could be saved: every problem and warning at once, with pointers. Nothing is saved."""
    found = await services.exchange.validate(who, document)
    errors = _errors(found)
    body = {"valid": not errors, "errors": errors, "warnings": len(found) - errors, "problems": _told(found)}
    return reply(body)


def _documents(raw: bytes, content_type: str) -> list[Document]:
    """Raises `Malformed`, and what `archives.unpack` does."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        files = [
            base64.b64decode(one["base64"])
            for value in hook_bodies.multipart(raw, content_type).values()
            for one in (value if isinstance(value, list) else [value])
            if isinstance(one, dict)
        ]
        if not files:
            raise Malformed("The form has no file.")
        return [one for file in files for one in _documents(file, "")]
    if kind == archives.MEDIA_TYPE or raw[:4] == b"PK\x03\x04":
        return [one for name, text in archives.unpack(raw, MOST) for one in _in(name, text)]
    return [Document(place, value) for place, value in documents(strict_json.load(raw))]


def _in(name: str, text: bytes) -> Sequence[Document]:
    """What is in a file of an archive. One that is no JSON is no reason to leave the others out."""
    try:
        return [Document(f"{name}{place}", value) for place, value in documents(strict_json.load(text))]
    except LinkFlowError as error:
        return [Document(name, fault=Problem("", error.code, error.message))]


def _result(found: Result) -> dict[str, Any]:
    return {
        "source": found.source,
        "name": found.name,
        "status": found.status,
        "workflow_id": found.workflow_id or None,
        "version": found.version or None,
        "problems": _told(found.problems),
    }


def _told(problems: Sequence[Problem]) -> list[dict[str, str]]:
    return [
        {"pointer": one.path, "code": one.code, "detail": one.message, "severity": one.severity} for one in problems
    ]


def _errors(problems: Sequence[Problem]) -> int:
    return sum(one.severity == "error" for one in problems)

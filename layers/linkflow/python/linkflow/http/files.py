"""Files of the workspace: the same that the node action_storage has."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import Query
from pydantic import BaseModel, Field
from starlette.responses import Response

from linkflow.domain.drawers import LONGEST, FileInfo
from linkflow.domain.errors import InvalidInput, Problem
from linkflow.services.workspaces import Membership

from .guard import can
from .paging import page
from .replying import reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/files", tags=["Files"])

Viewer = Annotated[Membership, can("execution.view")]
Writer = Annotated[Membership, can("workflow.execute")]
"""Who may run workflows may do what a workflow can."""
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
          "description": "The file."}
}  # fmt: skip


class File(BaseModel):
    """`content` is text, or another JSON value that is kept as JSON; or `base64` has the bytes."""

    content: Any = None
    base64: str = ""
    content_type: Annotated[str, Field(max_length=200, pattern=r"^[ -~]*$")] = ""
    overwrite: bool = True


@router.get("")
async def index(
    services: Given,
    who: Viewer,
    prefix: Annotated[str, Query(max_length=LONGEST)] = "",
    cursor: Annotated[str, Query(max_length=LONGEST)] = "",
    per_page: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Files whose paths begin with `prefix`, by path."""
    found = await services.files.list(who, prefix, cursor, per_page + 1)
    return reply(page([_shape(one) for one in found], per_page, "path"))


@router.get("/{path:path}", response_class=Response, responses=BYTES)
async def download(path: str, services: Given, who: Viewer) -> Response:
    """A file as it is. It comes as an attachment, whatever its type: nothing in it runs in this place's name."""
    info, data = await services.files.get(who, path)
    name = quote(path.rpartition("/")[2], safe="")
    headers = {
        "Cache-Control": "no-store", "Content-Disposition": f"attachment; filename*=UTF-8''{name}",
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }  # fmt: skip
    return Response(data, 200, headers, info.content_type or "application/octet-stream")


@router.put("/{path:path}")
async def upload(path: str, form: File, services: Given, who: Writer) -> Response:
    """Keep a file; one of that path is replaced, unless `overwrite` is false (409). The same content twice is once."""
    data, kind = _content(form)
    info = await services.files.put(who, path, data, form.content_type or kind, form.overwrite)
    return reply({"message": "File kept.", "file": _shape(info)})


@router.delete("/{path:path}")
async def delete(path: str, services: Given, who: Writer) -> Response:
    """Delete a file, for good."""
    await services.files.delete(who, path)
    return reply({"message": "File deleted."})


def _content(form: File) -> tuple[bytes, str]:
    if "base64" in form.model_fields_set:
        try:
            return base64.b64decode(form.base64, validate=True), "application/octet-stream"
        except (ValueError, binascii.Error):
            raise InvalidInput(
                "This is no base64.", problems=[Problem("/base64", "bad_base64", "No base64.")]
            ) from None
    if "content" not in form.model_fields_set:
        fault = Problem("/content", "missing", "Give `content`, or `base64`.")
        raise InvalidInput("There is no content.", problems=[fault])
    if isinstance(form.content, str):
        return form.content.encode(), "text/plain; charset=utf-8"
    return msgspec.json.encode(form.content), "application/json"


def _shape(info: FileInfo) -> Json:
    return {
        "path": info.path, "size": info.size, "content_type": info.content_type, "sha256": info.sha256,
        "updated_at": at(info.updated_at),
    }  # fmt: skip

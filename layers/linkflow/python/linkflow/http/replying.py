"""Answers that are no errors, and what of a request's headers decides about them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response


def reply(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer. Nothing of it may be kept by caches on the way."""
    return Response(
        msgspec.json.encode(data), status, {"Cache-Control": "no-store", **(headers or {})}, "application/json"
    )


def etag(lock_version: int) -> dict[str, str]:
    return {"ETag": f'"{lock_version}"'}


def expected(request: Request) -> frozenset[int] | None:
    """The lock versions that ``If-Match`` names (RFC 9110, 13.1.1); None where any will do."""
    given = request.headers.get("if-match")
    if given is None or given.strip() == "*":
        return None
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in given.split(","))
    return frozenset(int(tag) for tag in tags if tag.isdecimal() and len(tag) < 10)

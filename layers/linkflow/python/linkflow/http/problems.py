"""Errors as RFC 9457 problem documents. The only place where our errors have HTTP status codes."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain import errors
from linkflow.domain.errors import LinkFlowError, Problem
from linkflow.services.providers import Failed
from linkflow.services.webhooks import MethodNotAllowed

from .strict_json import Malformed, escape

MEDIA_TYPE = "application/problem+json"

_log = logging.getLogger("linkflow.http")

STATUS: dict[type[LinkFlowError], int] = {
    Malformed: 400,
    errors.InvalidInput: 422,
    errors.Unauthenticated: 401,
    errors.Forbidden: 403,
    errors.NotFound: 404,
    errors.Locked: 423,
    errors.VersionConflict: 409,
    errors.Conflict: 409,
    errors.RateLimited: 429,
    errors.PayloadTooLarge: 413,
    errors.LimitExceeded: 422,
    errors.DeadlineExceeded: 504,
    errors.Unavailable: 503,
    errors.Internal: 500,
    Failed: 502,
}
"""By class; a class that is not here has its nearest ancestor's."""

TITLES = {
    400: "Bad request",
    401: "Not signed in",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    412: "Precondition failed",
    413: "Too large",
    415: "Unsupported media type",
    422: "Invalid input",
    423: "Locked",
    429: "Too many requests",
    500: "Internal error",
    502: "The other side failed",
    503: "Not available",
    504: "Took too long",
}

CODES = {404: "not_found", 405: "method_not_allowed", 413: "payload_too_large", 415: "unsupported_media_type"}
"""Codes of errors that the router raises, not we."""

TOLD = {
    "concurrency_limit": ("key", "limit"),
    "start_rate_limited": ("key", "limit", "per", "retry_after"),
    "queue_full": ("queues", "retry_after"),
    "policy_violation": ("violations",),
    "released": ("environment", "workflow_id", "node_id"),
    "locked": ("locked_by", "locked_at", "reason"),
}
"""Details that are members of the problem document, by the error's code."""

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "code", "instance", "request_id"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "instance": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "code", "detail"],
                "properties": {name: {"type": "string"} for name in ("pointer", "code", "detail", "in", "severity")},
            },
        },
    },
}
"""The document's JSON Schema, for OpenAPI."""


def problem(
    request: Request,
    status: int,
    code: str,
    detail: str,
    *,
    faults: Iterable[Mapping[str, str]] = (),
    headers: Mapping[str, str] | None = None,
    extra: Mapping[str, Any] | None = None,
) -> Response:
    """A problem document; `extra` are further members."""
    document: dict[str, Any] = {
        "type": f"urn:linkflow:problem:{code}",
        "title": TITLES.get(status, "Error"),
        "status": status,
        "detail": detail,
        "code": code,
        "instance": request.scope.get("path", "/"),
        "request_id": request.scope.get("state", {}).get("request_id", ""),
        **(extra or {}),
    }
    if found := list(faults):
        document["errors"] = found
    return Response(msgspec.json.encode(document), status, headers, MEDIA_TYPE)


def respond(request: Request, error: Exception) -> Response:
    """The problem document for any error. What we did not raise on purpose is logged, and told without its inside."""
    if isinstance(error, LinkFlowError):
        return _ours(request, error)
    if isinstance(error, RequestValidationError):
        faults = [_fault(found) for found in error.errors()]
        broken = any(found["type"] == "json_invalid" for found in error.errors())
        status, code = (400, "malformed_body") if broken else (422, "invalid_input")
        return problem(request, status, code, f"The request has {len(faults)} problem(s).", faults=faults)
    if isinstance(error, MethodNotAllowed):
        return problem(request, 405, CODES[405], str(error), headers={"Allow": ", ".join(error.allowed)})
    if isinstance(error, HTTPException):
        code = CODES.get(error.status_code, "bad_request")
        return problem(request, error.status_code, code, _detail(error), headers=error.headers)
    _log.error("Unhandled error at %s %s", request.method, request.scope.get("path"), exc_info=error)
    return _internal(request)


def said(response: Response) -> tuple[str, str]:
    """Code and detail of a problem document."""
    document = msgspec.json.decode(response.body)
    return document["code"], document["detail"]


async def handle(request: Request, error: Exception) -> Response:
    """`respond`, as an exception handler."""
    return respond(request, error)


def status_of(error: LinkFlowError) -> int:
    for cls in type(error).__mro__:
        if cls in STATUS:
            return STATUS[cls]
    return 500


def _ours(request: Request, error: LinkFlowError) -> Response:
    status = status_of(error)
    if status == 500:
        _log.error("Internal error at %s %s: %s", request.method, request.scope.get("path"), error, exc_info=error)
        return _internal(request)
    if isinstance(error, errors.VersionConflict) and "if-match" in request.headers:
        status = 412
    faults = [_told(found) for found in error.problems]
    told = {name: error.details[name] for name in TOLD.get(error.code, ()) if name in error.details}
    headers = _headers(status, error)
    return problem(request, status, error.code, error.message, faults=faults, headers=headers, extra=told)


def _headers(status: int, error: LinkFlowError) -> dict[str, str]:
    if status == 401:
        return {"WWW-Authenticate": str(error.details.get("challenge") or "Bearer")}
    if status in (429, 503):
        return {"Retry-After": str(max(1, math.ceil(float(error.details.get("retry_after", 1)))))}
    return {}


def _told(found: Problem) -> dict[str, str]:
    own = {"pointer": found.path, "code": found.code, "detail": found.message}
    return own if found.severity == "error" else {**own, "severity": found.severity}


def _fault(found: Mapping[str, Any]) -> dict[str, str]:
    """One of pydantic's errors. Its input is not repeated: it may be a password."""
    place, *path = found["loc"] or ("body",)
    fault = {
        "pointer": "".join(f"/{escape(part)}" for part in path),
        "code": str(found["type"]),
        "detail": str(found["msg"]),
    }
    return fault if place == "body" else {**fault, "in": str(place)}


def _detail(error: HTTPException) -> str:
    if error.status_code == 404:
        return "There is nothing at this address."
    if error.status_code == 405:
        return "This address does not take this method."
    return str(error.detail)


def _internal(request: Request) -> Response:
    return problem(request, 500, "internal", "Something went wrong on our side. Tell us the request id.")

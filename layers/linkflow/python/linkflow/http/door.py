"""The outermost middleware: request ids, body size, media types, strict JSON, and the last net for errors.

The body is read here, whole and within its limit, so that nothing behind it meets one that is too large or no JSON.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from starlette._utils import get_route_path
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linkflow import tracing
from linkflow.domain.errors import DeadlineExceeded, PayloadTooLarge
from linkflow.metrics import HTTP_REQUESTS, HTTP_SECONDS, OTHER

from . import problems, strict_json
from .defaults import limit_headers
from .finding import fitting
from .traces import run_named, traced

API = "/api/"
HOOKS, SHORTCUT = "/webhooks/", "/webhooks/{webhook_id}"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN = "unknown"
ABANDONED = 499
"""The caller went before there was an answer."""

Shortcut = Callable[[Request], Awaitable[ASGIApp] | None]
Left = Callable[[Scope], float]
"""Seconds that are left for a call, where its host ends it."""

TAKES_FILES = "/workflows/import"
FILES = frozenset(("application/zip", "multipart/form-data"))
"""What that path takes besides JSON."""

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_log = logging.getLogger("linkflow.http")


class _Gone(Exception):
    """The client hung up while sending."""


class Door:
    """ASGI middleware. `max_body` is bytes. `shortcut` answers calls that need no router, or gives None. What takes
    longer than there is `left` is answered with 504."""

    def __init__(self, app: ASGIApp, max_body: int, shortcut: Shortcut | None = None, left: Left | None = None) -> None:
        self._app = app
        self._max_body = max_body
        self._shortcut = shortcut
        self._left = left

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        id = _request_id(request.headers)
        scope.setdefault("state", {})["request_id"] = id
        started, status, began, run = False, 0, time.perf_counter(), ""

        async def reply(message: Message) -> None:
            nonlocal started, status, run
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                run = (tracing.on() and run_named(message)) or ""
                headers = MutableHeaders(scope=message)
                headers["X-Request-Id"] = id
                headers["X-Content-Type-Options"] = "nosniff"
                headers.update(limit_headers(scope))
            await send(message)

        try:
            if self._left is None:
                await self._serve(request, receive, reply)
            else:
                await self._in_time(request, receive, reply, self._left(scope))
        except _Gone:
            _log.info("The client hung up while sending to %s", scope["path"])
        except Exception as error:
            if started:
                raise  # too late for another answer: the server breaks the connection off
            await problems.respond(request, error)(scope, receive, reply)
        finally:
            route = getattr(scope.get("route"), "path", SHORTCUT if scope["path"].startswith(HOOKS) else UNKNOWN)
            method = scope["method"] if scope["method"] in METHODS else OTHER
            HTTP_SECONDS.observe(time.perf_counter() - began, method, route)
            HTTP_REQUESTS.add(method, route, str(status or ABANDONED))
            if tracing.on():
                traced(request, method, route, status or ABANDONED, time.perf_counter() - began, run)

    async def _in_time(self, request: Request, receive: Receive, reply: Send, seconds: float) -> None:
        try:
            async with asyncio.timeout(max(0.0, seconds)) as limit:
                await self._serve(request, receive, reply)
        except TimeoutError:
            if not limit.expired():
                raise
            words = "This took longer than a call may. It may have been done: the same Idempotency-Key makes it one."
            raise DeadlineExceeded(words) from None

    async def _serve(self, request: Request, receive: Receive, reply: Send) -> None:
        scope = request.scope
        body = await self._read(request.headers, receive)
        self._check(request, body)
        answer = self._shortcut(Request(scope, _replay(body, receive))) if self._shortcut else None
        if answer is None:
            with fitting(get_route_path(scope)):
                await self._app(scope, _replay(body, receive), reply)
        else:
            await (await answer)(scope, receive, reply)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self._max_body):
            raise self._too_large()
        parts, size, more = [], 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            part = message.get("body", b"")
            size += len(part)
            if size > self._max_body:
                raise self._too_large()
            parts.append(part)
            more = message.get("more_body", False)
        return b"".join(parts)

    def _check(self, request: Request, body: bytes) -> None:
        path = request.scope["path"]
        if "\0" in path or b"%00" in request.scope.get("query_string", b""):
            raise HTTPException(400, "An address cannot have a NUL character.")
        if body and path.startswith(API):
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind in FILES and path.endswith(TAKES_FILES):
                return
            if not is_json(request.headers.get("content-type", "")):
                raise HTTPException(415, "Send the body as application/json.")
            strict_json.load(body)

    def _too_large(self) -> PayloadTooLarge:
        return PayloadTooLarge(f"The body is larger than {self._max_body} bytes.")


def is_json(content_type: str) -> bool:
    """Is it application/json or a ``+json`` type, in UTF-8?"""
    kind, _, parameters = content_type.lower().partition(";")
    kind, charset = kind.strip(), re.search(r'charset\s*=\s*"?([^\s;"]*)', parameters)
    json = kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
    return json and (charset is None or charset[1] in ("utf-8", "utf8", "us-ascii"))


def _request_id(headers: Headers) -> str:
    """The client's, where it is a decent one: it goes into logs."""
    given = headers.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read, once, and then whatever comes."""
    first: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay

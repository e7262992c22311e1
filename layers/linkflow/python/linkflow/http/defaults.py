"""What every route that asks who calls does besides its own work:

- a POST with an ``Idempotency-Key`` is done once (`idempotency`), but where it has an `own_key`;
- a GET has an ETag, and ``If-None-Match`` is answered with 304 where it names that (RFC 9110, 13);
- a change with ``If-Match`` is refused with 412 unless what GET would give now has one of its ETags;
- calls are counted (`services.allowance`), and the answer says how many are left.
"""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Scope

from linkflow.domain.errors import Conflict, InvalidInput, Problem, RateLimited, VersionConflict

from .idempotency import Scope as Whose
from .idempotency import once
from .wiring import services_of

LOCKED_MS = 35_000
"""A change with If-Match keeps others with one away for so long at most: a little longer than any call may take."""
ALLOWANCE = "allowance"
_CONDITIONS = frozenset({b"if-match", b"if-none-match", b"content-length", b"content-type", b"idempotency-key"})

Endpoint = Callable[..., Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class _Asking:
    request: Request
    whose: Whose


_asking: ContextVar[_Asking | None] = ContextVar("asking", default=None)


def own_key(endpoint: Endpoint) -> Endpoint:
    """Marks a POST that makes something of the Idempotency-Key itself."""
    endpoint.own_key = True  # type: ignore[attr-defined]
    return endpoint


def shown_once(endpoint: Endpoint) -> Endpoint:
    """Marks a POST that answers with a secret, which is not kept: with the same Idempotency-Key it is a conflict."""
    endpoint.shown_once = True  # type: ignore[attr-defined]
    return endpoint


async def entered(request: Request, user_id: str, principal: str) -> None:
    """Somebody is known to be who he says: from here on his calls count. Raises `RateLimited`."""
    _asking.set(_Asking(request, Whose(user_id, user_id)))
    if ALLOWANCE in request.scope.get("state", {}):  # the look behind an If-Match
        return
    try:
        request.state.allowance = await services_of(request).allowance.spend(principal)
    except RateLimited as error:
        request.state.allowance = error.details.get(ALLOWANCE)
        raise


def inside(request: Request, user_id: str, workspace_id: str) -> None:
    """It is about this workspace, whose member he is."""
    _asking.set(_Asking(request, Whose(workspace_id, user_id)))


def limit_headers(scope: Scope) -> dict[str, str]:
    """``RateLimit-Policy`` and ``RateLimit`` (draft-ietf-httpapi-ratelimit-headers), where calls are counted."""
    found = scope.get("state", {}).get(ALLOWANCE)
    if found is None:
        return {}
    return {
        "RateLimit-Policy": f'"api";q={found.quota};w={found.window}',
        "RateLimit": f'"api";r={found.left};t={found.reset}',
    }


def apply(route: APIRoute, reader: Callable[[], APIRoute | None]) -> None:
    """Put these around what the route calls. `reader` finds the GET at the same address."""
    endpoint = route.dependant.call
    assert endpoint is not None  # noqa: S101  # FastAPI has built it
    if not inspect.iscoroutinefunction(endpoint):
        raise LookupError(f"The route {route.path} calls what is no coroutine.")
    methods = route.methods or set()
    if "POST" in methods:
        if not getattr(endpoint, "own_key", False):
            route.dependant.call = _once(endpoint)
    elif "GET" in methods:
        route.dependant.call = _tagged(endpoint)
    elif methods & {"PUT", "PATCH", "DELETE"}:
        route.dependant.call = _matching(endpoint, reader)


def _once(endpoint: Endpoint) -> Endpoint:
    async def call(**values: Any) -> Response:
        asking = _asking.get()
        if asking is None or "idempotency-key" not in asking.request.headers:
            return await endpoint(**values)
        services, kept = services_of(asking.request), not getattr(endpoint, "shown_once", False)
        return await once(asking.request, services, asking.whose, lambda: endpoint(**values), kept=kept)

    return call


def _tagged(endpoint: Endpoint) -> Endpoint:
    async def call(**values: Any) -> Response:
        response = await endpoint(**values)
        asking, body = _asking.get(), getattr(response, "body", None)
        if asking is None or response.status_code != 200 or not isinstance(body, bytes):
            return response
        if "etag" not in response.headers:
            response.headers["ETag"] = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
        wanted = asking.request.headers.get("if-none-match", "")
        if not wanted or not _names(wanted, response.headers["etag"]):
            return response
        kept = {name: response.headers[name] for name in ("etag", "cache-control", "vary") if name in response.headers}
        return Response(status_code=304, headers=kept)

    return call


def _matching(endpoint: Endpoint, reader: Callable[[], APIRoute | None]) -> Endpoint:
    async def call(**values: Any) -> Response:
        asking = _asking.get()
        wanted = asking.request.headers.get("if-match", "*").strip() if asking else "*"
        if asking is None or wanted == "*":
            return await endpoint(**values)
        request, store, now = (
            asking.request,
            services_of(asking.request).replies,
            services_of(asking.request).clock.now_ms(),
        )
        key = f"if-match {hashlib.sha256(request.url.path.encode()).hexdigest()}"  # no client's key has a space
        if await store.claim(asking.whose.id, key, b"", now, now + LOCKED_MS) is not None:
            raise Conflict("Somebody else is changing this at the moment. Try again.")
        try:
            tag = await _tag_now(reader(), request)
            if tag and not _names(wanted, tag):
                raise VersionConflict("It was changed meanwhile. Get it again, and send its new ETag.")
            return await endpoint(**values)
        finally:
            await store.drop(asking.whose.id, key)

    return call


def _names(given: str, tag: str) -> bool:
    """Does a list of ETags name this one, or all? Weak ones count."""
    return any(one.strip() in ("*", tag, f"W/{tag}") for one in given.split(","))


async def _tag_now(reader: APIRoute | None, request: Request) -> str:
    """The ETag of what GET gives at this address now; nothing where it gives no such thing."""
    if reader is None:
        fault = Problem(
            "If-Match", "no_etag", "What is at this address has no ETag of its own. Send the call without If-Match."
        )
        raise InvalidInput("If-Match cannot be used here.", problems=[fault])
    headers = [pair for pair in request.scope["headers"] if pair[0].lower() not in _CONDITIONS]
    state = {**request.scope.get("state", {}), ALLOWANCE: None}
    scope = {**request.scope, "method": "GET", "headers": headers, "query_string": b"", "state": state}
    found = {"status": 0, "etag": ""}

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            tags = {name.lower(): value for name, value in message["headers"]}
            found.update(status=message["status"], etag=tags.get(b"etag", b"").decode())

    before = _asking.get()
    await reader.handle(scope, receive, send)
    _asking.set(before)
    return str(found["etag"]) if found["status"] == 200 else ""

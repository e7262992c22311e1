"""``Idempotency-Key``: a POST that comes twice is done once, and answered the same both times."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import Awaitable, Callable
from contextvars import Context

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.errors import Conflict, InvalidInput, Unavailable
from linkflow.services.control_ports import Reply
from linkflow.services.workspaces import Membership

from .wiring import Services

KEPT_MS = 24 * 3600 * 1000
"""How long an answer is kept."""

_UNDER_WAY_MS = 35_000
"""A first call that died with its process blocks the key for so long: a little longer than any call may take."""

_LATER = (0.2, 5.0)
"""Seconds between tries to tell a store that was away what became of a call: the first, and the longest."""

_NOT_KEPT = Reply(b"", 1, {}, b"")
"""Stands for an answer that held a secret."""

_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_HEADERS = ("etag", "location", "content-type", "cache-control")


def key_of(request: Request, *names: str) -> str:
    """The key in the first of these headers that is there, or nothing. Raises `InvalidInput` for one that cannot be."""
    for name in names or ("idempotency-key",):
        if (given := request.headers.get(name)) is not None:
            if not _KEY.fullmatch(given):
                raise InvalidInput(f"The header {name} has 1 to 200 visible ASCII characters.")
            return given
    return ""


class Scope(Struct, frozen=True):
    """Within what a key is unique, and who gave it."""

    id: str
    user_id: str


async def once(
    request: Request, services: Services, who: Membership | Scope, act: Callable[[], Awaitable[Response]],
    key: str = "", *, kept: bool = True,
) -> Response:  # fmt: skip
    """Do `act`, or repeat what it answered when this key came first. Errors are not kept: the call may be repeated.
    `key` stands for the header where a body names what it is about. An answer that is not `kept` is not repeated: the
    second call is a conflict.

    Raises `InvalidInput` where the key came with another request, `Conflict` while the first call is under way.
    """
    key = key or key_of(request)
    taken: set[str] = request.scope.setdefault("state", {}).setdefault("idempotency_keys", set())
    if not key or key in taken:  # somebody further out sees to it
        return await act()
    taken.add(key)
    scope = who if isinstance(who, Scope) else Scope(who.workspace_id, who.user_id)
    now = services.clock.now_ms()
    ours_until = asyncio.get_running_loop().time() + _UNDER_WAY_MS / 1000 - _LATER[1]
    fingerprint = await _fingerprint(request, scope)
    found = await services.replies.claim(scope.id, key, fingerprint, now, now + _UNDER_WAY_MS)
    if found is not None:
        return _repeat(found, fingerprint)
    try:
        answer = await act()
    except BaseException:
        await _surely(lambda: services.replies.drop(scope.id, key), ours_until)
        raise
    headers = {name: answer.headers[name] for name in _HEADERS if name in answer.headers}
    stored = Reply(fingerprint, answer.status_code, headers, bytes(answer.body)) if kept else _NOT_KEPT
    await _surely(lambda: services.replies.keep(scope.id, key, stored, now + KEPT_MS), ours_until)
    return answer


_telling: set[asyncio.Task[None]] = set()


async def _surely(tell: Callable[[], Awaitable[None]], until: float) -> None:
    """Tell the store now; if it does not answer, go on behind the call's back, or the key would stay taken. Not after
    `until` (the loop's time): the key may be another call's by then."""
    try:
        await tell()
    except Unavailable:
        task = asyncio.create_task(_later(tell, until), context=Context())
        _telling.add(task)
        task.add_done_callback(_telling.discard)


async def _later(tell: Callable[[], Awaitable[None]], until: float) -> None:
    wait, longest = _LATER
    while asyncio.get_running_loop().time() + wait < until:
        await asyncio.sleep(wait)
        wait = min(2 * wait, longest)
        with contextlib.suppress(Unavailable):
            await tell()
            return


async def _fingerprint(request: Request, who: Scope) -> bytes:
    asked = f"{who.user_id} {request.method} {request.url.path}\n".encode()
    return hashlib.sha256(asked + await request.body()).digest()


def _repeat(found: Reply, fingerprint: bytes) -> Response:
    if found.fingerprint != fingerprint:
        raise InvalidInput("This Idempotency-Key was used for another request. Take a new one.")
    if not found.status:
        raise Conflict("The first request with this Idempotency-Key is still under way. Try again in a moment.")
    if found.status == _NOT_KEPT.status:
        raise Conflict(
            "An earlier request with this Idempotency-Key has done this. What it answered is shown only once."
        )
    return Response(found.body, found.status, {**found.headers, "Idempotency-Replayed": "true"})

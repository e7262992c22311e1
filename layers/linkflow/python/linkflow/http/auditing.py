"""Every route that changes something leaves a line in the audit log: by default, so that none can be forgotten.

Most changes write theirs in their own transaction (`postgres.audit_log.recorded`). What has none by the time of the
answer gets one then.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services import audit
from linkflow.services.audit import Entry

from .origin import origin
from .wiring import services_of

READS = frozenset({"GET", "HEAD", "OPTIONS"})
API = "/api/"
LARGEST = 65_536
"""Bytes of a body that is looked through for words: larger ones hold data of runs."""
WORDS = (
    "reason", "decision", "note", "name", "action", "verb", "filter", "version", "environment", "from", "to", "overlap",
    "node", "trigger_node", "tags", "description", "is_active", "active", "dry_run", "from_event_id", "event_id",
    "up_to", "execution_id",
)  # fmt: skip
"""What of a request's body tells what was asked for. Data of runs is not among it: that is theirs, and kept by them."""
CLI = "linkflow-cli/"

_log = logging.getLogger("linkflow.audit")

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def action_of(route: APIRoute) -> str:
    """What the log calls it: ``workflows.activate``."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}.{route.endpoint.__name__}"


def is_audited(route: APIRoute, permission: str) -> bool:
    """Does it leave a line by itself? Reading does not, also by POST; what is public says itself who it was."""
    return not (route.methods or set()) <= READS and permission != "public" and not permission.endswith(".view")


def audited(route: APIRoute, permission: str, handler: Handler) -> Handler:
    """The handler, with an entry in its context."""
    if (route.methods or set()) <= READS or not route.path.startswith(API):
        return handler
    action, by_default = action_of(route), is_audited(route, permission)

    async def handle(request: Request) -> Response:
        came = origin(request)
        entry = Entry(
            action,
            ip=came.ip,
            user_agent=came.user_agent,
            request_id=request.scope.get("state", {}).get("request_id", ""),
            asked=lambda: _asked(request),
        )
        _name_target(entry, request.path_params)
        with audit.recording(entry):
            response = await handler(request)
        replayed = "idempotency-replayed" in response.headers
        if by_default and not entry.written and not replayed and response.status_code < 400:
            await _write(request, entry, response)
        return response

    return handle


async def _write(request: Request, entry: Entry, response: Response) -> None:
    if response.status_code in (201, 202) and entry.target_type in ("", "workspace"):
        _name_made(entry, response)
    write: Callable[[Entry], Awaitable[None]] = services_of(request).people.audit.write
    try:
        await write(entry)
    except Exception:
        # The change is done, and to say that it failed would be a lie.
        shown = {name: getattr(entry, name) for name in entry.__struct_fields__ if name != "asked"}
        _log.error("Not in the audit log: %s", msgspec.json.encode(shown).decode(), exc_info=True)


def _asked(request: Request) -> tuple[audit.Change, ...]:
    """What was asked for of things whose state is elsewhere, such as runs."""
    sent = getattr(request, "_body", b"")  # which the route has read
    if not 0 < len(sent) <= LARGEST:
        return ()
    try:
        body = msgspec.json.decode(sent)
    except msgspec.DecodeError:
        return ()
    if not isinstance(body, dict):
        return ()
    told = {name: body[name] for name in WORDS if body.get(name) not in (None, "", [], {}, False)}
    return tuple(audit.difference(None, told))[: audit.MOST_CHANGES] if told else ()


def _name_target(entry: Entry, params: dict[str, Any]) -> None:
    """The last part of the address that names something."""
    for name, value in params.items():
        if name not in ("workspace_id", "token"):
            entry.target_type, entry.target_id = name.removesuffix("_id"), str(value)[:200]
    if not entry.target_id and "workspace_id" in params:
        entry.target_type = "workspace"


def _name_made(entry: Entry, response: Response) -> None:
    """What was made is in the answer: ``{"workflow": {"id": …}}``."""
    try:
        body = msgspec.json.decode(bytes(response.body))
    except (msgspec.DecodeError, AttributeError):
        return
    for name, value in body.items() if isinstance(body, dict) else ():
        if isinstance(value, dict) and isinstance(value.get("id"), str):
            entry.target_type, entry.target_id = name, value["id"]
            return


def named(*, actor: str, user_id: str, workspace_id: str = "", key_id: str = "", session: str = "") -> None:
    """Who it is, as soon as that is known."""
    entry = audit.current()
    if entry is None:
        return
    entry.actor, entry.user_id, entry.workspace_id = actor, user_id, workspace_id
    entry.via, entry.via_id = ("key", key_id) if key_id else ("session", session)
    if not key_id and entry.user_agent.startswith(CLI):  # which anybody may say, so it hides no key
        entry.via = "cli"
    if entry.target_type == "workspace":
        entry.target_id = workspace_id

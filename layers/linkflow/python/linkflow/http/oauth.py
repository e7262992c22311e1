"""Where the other side sends people back to (OAuth 2). Public: who comes is told by `state` and by his browser."""

from __future__ import annotations

import html
from typing import Annotated

from fastapi import Query
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.errors import LinkFlowError

from .credentials import CALLBACK, COOKIE
from .guard import Anybody
from .routing import router as new_router
from .wiring import Given

router = new_router(tags=["Credentials"])

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="referrer" content="no-referrer">
<title>LinkFlow</title><style>body{{font:16px/1.5 system-ui,sans-serif;max-width:38em;margin:4em auto;padding:0 1em}}
code{{display:block;overflow-wrap:anywhere;background:#f3f3f3;padding:1em;border-radius:6px}}</style>
<h1>{title}</h1><p>{text}</p>{more}</html>"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@router.get(CALLBACK)
async def callback(
    request: Request, services: Given, _: Anybody, state: Annotated[str, Query(max_length=4000)] = "",
    code: Annotated[str, Query(max_length=4000)] = "", error: Annotated[str, Query(max_length=1000)] = "",
) -> Response:  # fmt: skip
    """Ends what `connect` began, in the browser that began it. Another one is shown a ticket for `connect/finish`."""
    try:
        found = await services.consent.back(state, code, error, request.cookies.get(COOKIE, ""))
    except LinkFlowError as fault:
        return _page("Not connected", fault.message, status=400)
    if found.reply is None:
        text = "Almost there. Give this ticket to the command line, or to whatever sent you here:"
        return _page("One more step", text, f"<code>{html.escape(found.ticket)}</code>")
    if not found.reply.ok:
        return _page("Not connected", found.reply.message, status=400)
    return _page("Connected", "You can close this window.")


def _page(title: str, text: str, more: str = "", status: int = 200) -> Response:
    page = _PAGE.format(title=html.escape(title), text=html.escape(text), more=more)
    gone = {"Set-Cookie": f"{COOKIE}=; Path={CALLBACK}; Max-Age=0; HttpOnly; SameSite=Lax"}
    return Response(page, status, {**_HEADERS, **gone}, "text/html; charset=utf-8")

"""The console: a page and its assets, which `make console` builds into the package. Nothing of them is a secret, so no
token is asked for; what the page shows comes from the API, by the token of whoever has signed in.

Names of assets carry a hash of their content, so they may be kept for ever. The page names them, and is asked for anew.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linkflow.domain.errors import NotFound

from .guard import Anybody
from .routing import router as new_router
from .wiring import Given

router = new_router(tags=["Console"])


TYPES = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff2": "font/woff2",
}
PACKED = {"br": ".br", "gzip": ".gz"}
"""The encodings that the build makes beside a text, best first, and how its file is called."""
TEXTS = frozenset(("css", "js", "svg"))
FOREVER = "public, max-age=31536000, immutable"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
GUARDS = {
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_NAME = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.(?P<kind>css|js|svg|woff2)")


@router.get("/", include_in_schema=False)
async def root(services: Given, _: Anybody) -> Response:
    """To the console, where there is one."""
    at = _at(services.public_url)
    services.console.page(at)
    return RedirectResponse(at, 307, {"Cache-Control": "no-cache"})


@router.get("/console", include_in_schema=False)
@router.get("/console/", include_in_schema=False)
async def page(request: Request, services: Given, _: Anybody) -> Response:
    """One page: where in it somebody is stands behind the #."""
    content, tag = services.console.page(_at(services.public_url))
    headers = {**GUARDS, "ETag": tag, "Cache-Control": "no-cache"}
    if _has(request, tag):
        return Response(None, 304, headers)
    return Response(content, 200, headers, "text/html; charset=utf-8")


@router.get("/console/assets/{name}", include_in_schema=False)
async def asset(request: Request, name: str, services: Given, _: Anybody) -> Response:
    """A part of the page, as small as the client takes it."""
    fits = _NAME.fullmatch(name)
    if fits is None:
        raise NotFound("The console has no such part.")
    kind = fits["kind"]
    for encoding in _encodings(request) if kind in TEXTS else ("",):
        tag = f'"{name}{PACKED.get(encoding, "")}"'
        headers = {**GUARDS, "ETag": tag, "Cache-Control": FOREVER, "Vary": "Accept-Encoding"}
        if _has(request, tag):
            return Response(None, 304, headers)
        content = await services.console.asset(f"{name}{PACKED.get(encoding, '')}")
        if content is not None:
            packed = {"Content-Encoding": encoding} if encoding else {}
            return Response(content, 200, headers | packed, TYPES[kind])
    raise NotFound("The console has no such part. After an upgrade, load the page again.")


def _at(public_url: str) -> str:
    """Where the API stands below a path of somebody's proxy, that path is a part of its public address."""
    return f"{urlsplit(public_url).path.rstrip('/')}/console/"


def _encodings(request: Request) -> list[str]:
    """Those that the client takes, ours to choose among; the last is as it is."""
    taken: dict[str, bool] = {}
    for part in request.headers.get("accept-encoding", "").lower().split(","):
        coding, _, parameters = part.partition(";")
        weight = parameters.strip().removeprefix("q=").strip()
        taken[coding.strip()] = not weight or weight.strip("0.") != ""
    return [*(one for one in PACKED if taken.get(one, taken.get("*", False))), ""]


def _has(request: Request, tag: str) -> bool:
    """RFC 9110, 13.1.2: does the client have it already?"""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or tag in (one.strip().removeprefix("W/") for one in given.split(","))

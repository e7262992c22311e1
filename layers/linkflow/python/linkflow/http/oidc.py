"""Signing in by a provider, and the accounts there that are linked with one's own."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, StringConstraints
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from linkflow.services.oidc import ATTEMPT_MS, Begun

from . import shapes
from .bodies import Secret
from .defaults import shown_once
from .guard import Anybody, InPerson
from .origin import origin
from .replying import reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1", tags=["Sign-in by a provider"])

COOKIE, PATH = "linkflow_oidc", "/api/v1/auth/oidc"
Redirect = Annotated[str, Query(max_length=2000)]
Challenge = Annotated[str, Query(max_length=100)]
NO_STORE = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}


class Exchange(BaseModel):
    """`code` came with the redirect. `otp` is a code of the second factor, where one is set up; `verifier` what the
    `challenge` was made from, where the sign-in began with one."""

    code: Secret
    verifier: Annotated[str, StringConstraints(max_length=200)] = ""
    otp: Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)] = ""


@router.get("/auth/providers")
async def providers(services: Given, _: Anybody) -> Response:
    """By whom one can sign in. Send the browser to `url`."""
    found = services.people.oidc.providers()
    base = f"{services.public_url}{PATH}"
    return reply({"data": [{"name": name, "label": label, "url": f"{base}/{name}/start"} for name, label in found]})


@router.get("/auth/oidc/{provider}/start", status_code=302)
async def start(
    request: Request, provider: str, services: Given, _: Anybody, redirect: Redirect = "", challenge: Challenge = ""
) -> Response:
    """Go to the provider. In the end the browser is at `redirect` (a path of ours, or an address on its own machine),
    with a `code` for `exchange`, or an `error`. An address on one's own machine needs a `challenge` (RFC 7636)."""
    begun = await services.people.oidc.begin(provider, redirect, origin(request), challenge=challenge)
    return _marked(RedirectResponse(begun.url, 302, NO_STORE), begun, services)


@router.get("/auth/oidc/{provider}/callback", status_code=302)
async def callback(request: Request, provider: str, services: Given, _: Anybody) -> Response:
    """Where the provider sends the browser back to."""
    cookie = request.cookies.get(COOKIE, "")
    onward = await services.people.oidc.back(provider, dict(request.query_params), cookie, origin(request))
    response = RedirectResponse(onward, 302, NO_STORE)
    response.delete_cookie(COOKIE, path=PATH)
    return response


@router.post("/auth/oidc/exchange")
async def exchange(request: Request, form: Exchange, services: Given, _: Anybody) -> Response:
    """Trade the code for a session: once, within two minutes."""
    return reply(
        shapes.session(await services.people.oidc.exchange(form.code, form.otp, origin(request), form.verifier))
    )


@router.get("/user/identities")
async def identities(services: Given, who: InPerson) -> Response:
    """One's accounts at providers."""
    found = await services.people.oidc.of_user(who.user_id)
    data = [
        {
            "provider": one.provider,
            "email": one.email,
            "created_at": shapes.at(one.created_at),
            "last_used_at": shapes.at(one.last_used_at),
        }
        for one in found
    ]
    return reply({"data": data})


@router.post("/user/identities/{provider}", status_code=201)
@shown_once
async def link(request: Request, provider: str, services: Given, who: InPerson, redirect: Redirect = "") -> Response:
    """Link an account at a provider: send the browser to `url`."""
    begun = await services.people.oidc.begin(provider, redirect, origin(request), who.user_id)
    return _marked(reply({"message": "Sign in there.", "url": begun.url}, 201), begun, services)


@router.delete("/user/identities/{provider}")
async def unlink(provider: str, services: Given, who: InPerson) -> Response:
    """Not by that account any more. Refused (409) where nothing would be left to sign in by."""
    await services.people.oidc.unlink(await services.auth.user(who), provider)
    return reply({"message": "Unlinked."})


def _marked(response: Response, begun: Begun, services: Services) -> Response:
    """The way back is open to this browser alone."""
    secure = services.public_url.startswith("https:")
    response.set_cookie(
        COOKIE, begun.cookie, max_age=ATTEMPT_MS // 1000, path=PATH, httponly=True, secure=secure, samesite="lax"
    )
    return response

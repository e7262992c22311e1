"""Registering, signing in and out, and who one is."""

from __future__ import annotations

from starlette.responses import Response

from linkflow.services.auth import Registration

from . import shapes
from .bodies import Login, Refresh, Register
from .guard import Anybody, SignedIn
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1", tags=["Accounts"])


@router.post("/auth/register", status_code=201)
async def register(form: Register, services: Given, _: Anybody) -> Response:
    """Make an account, with a first workspace, and sign in."""
    session = await services.auth.register(Registration(**form.model_dump()))
    spaces = await services.workspaces.of_user(session.user.id)
    body = {"message": "Welcome.", **shapes.session(session), "workspace": shapes.workspace(spaces[0])}
    return reply(body, 201)


@router.post("/auth/login")
async def login(form: Login, services: Given, _: Anybody) -> Response:
    """Sign in with e-mail address and password."""
    return reply(shapes.session(await services.auth.login(form.email, form.password)))


@router.post("/auth/refresh")
async def refresh(form: Refresh, services: Given, _: Anybody) -> Response:
    """Trade a refresh token for new tokens. Each is good for one use; a second use ends that login everywhere."""
    return reply(shapes.session(await services.auth.refresh(form.refresh_token)))


@router.post("/auth/logout")
async def logout(services: Given, who: SignedIn) -> Response:
    """Revoke this login's refresh tokens. The access token runs out by itself."""
    await services.auth.logout(who)
    return reply({"message": "Signed out."})


@router.get("/user")
async def me(services: Given, who: SignedIn) -> Response:
    """Who is signed in."""
    return reply({"user": shapes.user(await services.auth.user(who))})

"""Registering, signing in and out, verifying an address, resetting a password, and who one is."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.auth import Registration

from . import shapes
from .bodies import Login, Refresh, Register, Secret
from .guard import Anybody, InPerson, SignedIn
from .origin import origin
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1", tags=["Accounts"])

# What is too long is so with the spaces around it, too.
Address = Annotated[str, StringConstraints(min_length=1, max_length=254), AfterValidator(str.strip)]
REQUIRED = {"verification": "required"}
SENT = "If there is such an account, a mail is on its way."


class Token(BaseModel):
    """What is behind the # of a link in a mail."""

    token: Secret


class Forgotten(BaseModel):
    email: Address


class NewPassword(Token):
    password: Secret
    password_confirmation: Secret


@router.post("/auth/register", status_code=201)
async def register(request: Request, form: Register, services: Given, _: Anybody) -> Response:
    """Make an account, with a first workspace, and sign in. Where addresses have to be verified first, a mail is sent,
    nobody is signed in yet, and the answer does not tell whether there was an account already."""
    made = await services.auth.register(Registration(**form.model_dump()), origin(request))
    if made is None:
        return reply({"message": "Follow the link in the mail that we sent you, then sign in.", **REQUIRED}, 201)
    spaces = await services.workspaces.of_user(made.user.id)
    told = {"message": "Welcome.", "user": shapes.user(made.user), "workspace": shapes.workspace(spaces[0])}
    return reply({**told, **shapes.session(made)}, 201)


@router.post("/auth/login")
async def login(request: Request, form: Login, services: Given, _: Anybody) -> Response:
    """Sign in with e-mail address and password, and `code` where a second factor is set up (401
    `second_factor_required` without)."""
    return reply(shapes.session(await services.auth.login(form.email, form.password, form.code, origin(request))))


@router.post("/auth/refresh")
async def refresh(request: Request, form: Refresh, services: Given, _: Anybody) -> Response:
    """Trade a refresh token for new tokens. Each is good for one use; a second use ends that login everywhere."""
    return reply(shapes.session(await services.auth.refresh(form.refresh_token, origin(request))))


@router.post("/auth/logout")
async def logout(services: Given, who: InPerson) -> Response:
    """End this session: its refresh and access tokens are worth nothing any more."""
    await services.auth.logout(who)
    return reply({"message": "Signed out."})


@router.post("/auth/logout-all")
async def logout_all(services: Given, who: InPerson) -> Response:
    """End all sessions, this one too. API keys stay."""
    ended = await services.people.accounts.end_sessions(who.user_id)
    return reply({"message": "Signed out everywhere.", "ended": ended})


@router.post("/auth/verify-email")
async def verify_email(request: Request, form: Token, services: Given, _: Anybody) -> Response:
    """Confirm an address by the link in the mail."""
    await services.people.accounts.verify(form.token, origin(request))
    return reply({"message": "Your address is verified."})


@router.post("/auth/resend-verification-email", status_code=202)
async def resend_verification(request: Request, form: Forgotten, services: Given, _: Anybody) -> Response:
    """Send the link again. The answer does not tell whether there is such an account."""
    await services.people.accounts.resend(form.email, origin(request))
    return reply({"message": SENT}, 202)


@router.post("/auth/forgot-password", status_code=202)
async def forgot_password(request: Request, form: Forgotten, services: Given, _: Anybody) -> Response:
    """Send a link to reset the password. The answer does not tell whether there is such an account."""
    await services.people.accounts.forgot(form.email, origin(request))
    return reply({"message": SENT}, 202)


@router.post("/auth/reset-password")
async def reset_password(request: Request, form: NewPassword, services: Given, _: Anybody) -> Response:
    """Another password, by the link in the mail: once. All sessions are over."""
    await services.people.accounts.reset(form.token, form.password, form.password_confirmation, origin(request))
    return reply({"message": "Your password is changed. Sign in."})


@router.get("/user")
async def me(services: Given, who: SignedIn) -> Response:
    """Who is signed in."""
    return reply({"user": shapes.user(await services.auth.user(who))})

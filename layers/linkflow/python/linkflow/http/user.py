"""One's own account: profile, password, sessions, second factor, API keys, and what was done to it."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.people_ports import Key, SignIn

from . import shapes
from .audit import Action, Since, asked, line
from .bodies import Cursor, Name, Page, Secret
from .defaults import shown_once
from .guard import InPerson, SignedIn
from .moments import Moment
from .origin import origin
from .paging import page
from .replying import reply
from .routing import router as new_router
from .shapes import at
from .wiring import Given

router = new_router(prefix="/api/v1/user", tags=["Accounts"])

Code = Annotated[str, StringConstraints(strip_whitespace=True, max_length=40)]
Permissions = Annotated[list[Annotated[str, StringConstraints(max_length=100)]], Field(max_length=100)]
FAR = 253_402_300_799_000  # the end of the year 9999


class Profile(BaseModel):
    first_name: Name
    last_name: Name


class ChangedPassword(BaseModel):
    """`sign_out_others` ends all other sessions."""

    current_password: Annotated[str, StringConstraints(max_length=1000)] = ""
    password: Secret
    password_confirmation: Secret
    sign_out_others: bool = True


class Proof(BaseModel):
    """The password once more, before something grave. Empty where one signs in by a provider."""

    password: Annotated[str, StringConstraints(max_length=1000)] = ""


class Confirmation(BaseModel):
    code: Annotated[Code, StringConstraints(min_length=1)]


class NewKey(BaseModel):
    """`permissions` empty: all that one's role allows. `workspace_id` empty: in every workspace that one is in."""

    name: Name
    permissions: Permissions = []
    workspace_id: Annotated[str, StringConstraints(max_length=36)] = ""
    expires_at: Moment | None = None


@router.put("")
async def update(form: Profile, services: Given, who: InPerson) -> Response:
    """Change one's name."""
    user = await services.auth.user(who)
    changed = await services.people.accounts.update(user, form.first_name, form.last_name)
    return reply({"message": "Profile updated.", "user": shapes.user(changed)})


@router.delete("")
async def delete(request: Request, services: Given, who: InPerson, form: Proof | None = None) -> Response:
    """Delete one's account. Refused (409) while a workspace would be left without an owner."""
    user = await services.auth.user(who)
    await services.people.accounts.delete(user, who, form.password if form else "", origin(request))
    return reply({"message": "Your account is deleted."})


@router.put("/password")
async def change_password(request: Request, form: ChangedPassword, services: Given, who: InPerson) -> Response:
    """Another password."""
    user = await services.auth.user(who)
    await services.people.accounts.change_password(
        user, who, form.current_password, form.password, form.password_confirmation,
        others=form.sign_out_others, origin=origin(request),
    )  # fmt: skip
    return reply({"message": "Your password is changed."})


@router.get("/sessions")
async def sessions(services: Given, who: InPerson) -> Response:
    """Where one is signed in, the session used last first."""
    found = await services.people.accounts.sessions(who.user_id)
    return reply({"data": [_session(one, who.family) for one in found]})


@router.delete("/sessions")
async def end_sessions(services: Given, who: InPerson) -> Response:
    """End all sessions but this one."""
    ended = await services.people.accounts.end_sessions(who.user_id, who.family)
    return reply({"message": "Signed out elsewhere.", "ended": ended})


@router.delete("/sessions/{session_id}")
async def end_session(session_id: str, services: Given, who: InPerson) -> Response:
    """End one session."""
    await services.people.accounts.end_session(who.user_id, session_id)
    return reply({"message": "Session ended."})


@router.get("/second-factor")
async def second_factor(services: Given, who: InPerson) -> Response:
    """Whether a code is asked for when one signs in."""
    found = await services.people.factors.status(who.user_id)
    told = {"enabled": found.enabled, "since": at(found.since), "recovery_codes_left": found.recovery_codes_left}
    return reply({"second_factor": told})


@router.post("/second-factor", status_code=201)
@shown_once
async def begin_second_factor(request: Request, services: Given, who: InPerson, form: Proof | None = None) -> Response:
    """Begin to set up codes by time (TOTP). `uri` goes into a QR code; it counts once `confirm` has seen a code."""
    user = await services.auth.user(who)
    await services.people.accounts.prove(user, who, form.password if form else "", origin(request))
    made = await services.people.factors.begin(user)
    return reply({"message": "Confirm it with a code.", "secret": made.secret, "uri": made.uri}, 201)


@router.post("/second-factor/confirm")
@shown_once
async def confirm_second_factor(request: Request, form: Confirmation, services: Given, who: InPerson) -> Response:
    """Switch it on with a first code. The recovery codes are shown this once."""
    await services.people.gate.public(origin(request))
    codes = await services.people.factors.confirm(who.user_id, form.code)
    await services.people.accounts.tell(await services.auth.user(who), "second factor")
    return reply({"message": "The second factor is on.", "recovery_codes": codes})


@router.post("/second-factor/recovery-codes")
@shown_once
async def renew_recovery_codes(request: Request, services: Given, who: InPerson, form: Proof | None = None) -> Response:
    """New recovery codes; the old ones are worth nothing any more."""
    user = await services.auth.user(who)
    await services.people.accounts.prove(user, who, form.password if form else "", origin(request))
    return reply({"recovery_codes": await services.people.factors.renew_codes(who.user_id)})


@router.delete("/second-factor")
async def remove_second_factor(request: Request, services: Given, who: InPerson, form: Proof | None = None) -> Response:
    """Switch it off."""
    user = await services.auth.user(who)
    await services.people.accounts.prove(user, who, form.password if form else "", origin(request))
    await services.people.factors.remove(who.user_id)
    await services.people.accounts.tell(user, "second factor")
    return reply({"message": "The second factor is off."})


@router.get("/keys")
async def keys(services: Given, who: InPerson) -> Response:
    """One's own API keys, newest first."""
    return reply({"data": [key(one) for one in await services.people.keys.of_user(who.user_id)]})


@router.post("/keys", status_code=201)
@shown_once
async def create_key(form: NewKey, services: Given, who: InPerson) -> Response:
    """A key that stands for oneself. It is shown this once."""
    made, secret = await services.people.keys.create_personal(
        who.user_id, form.name, form.workspace_id, form.permissions, ms(form.expires_at)
    )
    await services.people.accounts.tell(await services.auth.user(who), "set of API keys")
    return reply({"message": "Keep the key: it is not shown again.", "key": key(made), "secret": secret}, 201)


@router.delete("/keys/{key_id}")
async def delete_key(key_id: str, services: Given, who: InPerson) -> Response:
    """Revoke a key, at once."""
    await services.people.keys.end_personal(who.user_id, key_id)
    return reply({"message": "Key revoked."})


@router.get("/audit")
async def activity(
    services: Given, who: InPerson, action: Action = "", after: Since = None, before: Since = None,
    cursor: Cursor = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """What was done to one's account: sign-ins, failed ones too, passwords, keys; newest first."""
    wanted = asked("", action, "", after, before, cursor, per_page + 1)
    found = await services.people.audit.of_account(who.user_id, wanted)
    return reply(page([line(one) for one in found], per_page, "id"))


@router.get("/whoami")
async def whoami(services: Given, who: SignedIn) -> Response:
    """By whose right one calls: a session's or a key's, and where it leads."""
    user = await services.auth.user(who) if who.user_id else None
    spaces = await services.workspaces.of(who)
    scope = who.scope
    told = {
        "kind": "key" if scope else "session",
        "key_id": scope.key_id if scope else None,
        "permissions": sorted(scope.permissions) if scope and scope.permissions else None,
        "user": shapes.user(user) if user else None,
        "workspaces": [shapes.workspace(one) for one in spaces],
    }
    return reply(told)


def ms(moment: Any) -> int:
    """0 for never; what no calendar has is never, too."""
    return min(round(moment.timestamp() * 1000), FAR) if moment else 0


def key(found: Key) -> dict[str, Any]:
    return {
        "id": found.id,
        "name": found.name,
        "hint": found.hint,
        "kind": "personal" if found.user_id else "service",
        "workspace_id": found.workspace_id or None,
        "permissions": list(found.permissions),
        "created_by": found.created_by,
        "created_at": at(found.created_at),
        "expires_at": at(found.expires_at),
        "last_used_at": at(found.last_used_at),
        "last_used_ip": found.last_used_ip or None,
    }


def _session(found: SignIn, current: str) -> dict[str, Any]:
    return {
        "id": found.id,
        "is_current": found.id == current,
        "method": found.method,
        "ip": found.ip or None,
        "user_agent": found.user_agent or None,
        "created_at": at(found.created_at),
        "last_used_at": at(found.last_used_at),
    }

"""Credentials: keeping, trying and connecting them. What is secret goes in and never comes out."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import AliasChoices, AwareDatetime, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.contracts.worker import ProbeReply
from linkflow.domain.errors import NotFound
from linkflow.domain.secrets import slug_of
from linkflow.services.credentials import Draft, Kept
from linkflow.services.secret_ports import Credential
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Cursor, Name, Page
from .defaults import own_key
from .guard import SignedIn, can
from .paging import id_cursor, page
from .replying import etag, expected, reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/credentials", tags=["Credentials"])
types = new_router(prefix="/api/v1/credential-types", tags=["Credentials"])

COOKIE = "linkflow_connect"
CALLBACK = "/api/v1/oauth/callback"

Viewer = Annotated[Membership, can("credential.view")]
Creator = Annotated[Membership, can("credential.create")]
Editor = Annotated[Membership, can("credential.update")]

Places = Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=100)]
Roles = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(max_length=50)]
Text = Annotated[str, StringConstraints(max_length=1000)]
Data = Annotated[dict[str, Any], Field(max_length=100)]
Type = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class NewCredential(BaseModel):
    """`data` are the fields of the type (`GET /api/v1/credential-types/{type}`). `hosts`: where it may go; empty is
    anywhere. `roles`: whose workflows may use it, each by its name or id; empty is everybody's. No part of `data` that
    is secret is shown again."""

    name: Name
    type: Type = Field(validation_alias=AliasChoices("type", "kind"))
    data: Data = {}
    description: Text = ""
    hosts: Places = []
    roles: Roles = []
    expires_at: AwareDatetime | None = None


class CredentialChange(BaseModel):
    """What is not sent stays as it is. Secrets in `data` that are not sent, or null, stay too."""

    name: Name | None = None
    type: Type | None = Field(None, validation_alias=AliasChoices("type", "kind"))
    data: Data | None = None
    description: Text | None = None
    hosts: Places | None = None
    roles: Roles | None = None
    expires_at: AwareDatetime | None = None


class Copy(BaseModel):
    name: Name | None = None


class Trial(BaseModel):
    """`url`: where to try a credential for HTTP, by a GET."""

    url: Annotated[str, StringConstraints(max_length=2000)] = ""


class Finish(BaseModel):
    """`ticket` is what the page of the callback shows."""

    ticket: Annotated[str, StringConstraints(min_length=1, max_length=8000)]


@types.get("")
async def kinds(services: Given, _: SignedIn) -> Response:
    """Every type of credential, with its fields as JSON Schema; secret ones are `writeOnly`."""
    return reply({"data": services.credential_types()})


@types.get("/{type}")
async def kind(type: str, services: Given, _: SignedIn) -> Response:
    """One type of credential."""
    for found in services.credential_types():
        if found["type"] == type:
            return reply({"credential_type": found})
    raise NotFound("There is no such type of credential.")


@router.get("")
async def index(
    services: Given, who: Viewer, type: Annotated[str, Query(max_length=100)] = "", cursor: Cursor = "",
    per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of credentials, newest first."""
    found = await services.credentials.page(who, type, id_cursor(cursor), per_page + 1)
    return reply(page([_shape(one, who) for one in found], per_page, "id"))


@router.post("", status_code=201)
async def create(form: NewCredential, services: Given, who: Creator) -> Response:
    """Keep a credential. Its name is unique in the workspace."""
    made = await services.credentials.create(who, _draft(form))
    return _one(made, who, "Credential created.", 201)


@router.get("/{credential_id}")
async def show(credential_id: str, services: Given, who: Viewer) -> Response:
    """One credential, without what is secret."""
    return _one(Kept(await services.credentials.show(who, credential_id)), who)


@router.put("/{credential_id}")
async def replace(request: Request, credential_id: str, form: NewCredential, services: Given, who: Editor) -> Response:
    """Replace it. Secrets in `data` that are not sent stay."""
    changed = await services.credentials.change(who, credential_id, _draft(form), expected(request), whole=True)
    return _one(changed, who, "Credential updated.")


@router.patch("/{credential_id}")
async def amend(request: Request, credential_id: str, form: CredentialChange, services: Given, who: Editor) -> Response:
    """Change what is sent."""
    changed = await services.credentials.change(who, credential_id, _draft(form), expected(request))
    return _one(changed, who, "Credential updated.")


@router.delete("/{credential_id}")
async def delete(
    request: Request, credential_id: str, services: Given, who: Annotated[Membership, can("credential.delete")]
) -> Response:
    """Delete it for good. Nodes that refer to it fail from then on, and say why."""
    await services.credentials.delete(who, credential_id, expected(request))
    return reply({"message": "Credential deleted."})


@router.post("/{credential_id}/duplicate", status_code=201)
async def duplicate(credential_id: str, services: Given, who: Editor, form: Copy | None = None) -> Response:
    """Make a copy with the same secrets."""
    made = await services.credentials.duplicate(who, credential_id, (form.name if form else None) or "")
    return _one(Kept(made), who, "Credential duplicated.", 201)


@router.post("/{credential_id}/test")
@own_key
async def trial(credential_id: str, services: Given, who: Editor, form: Trial | None = None) -> Response:
    """Make a light call with it, in a worker. 422 where the other side does not take it."""
    return _probed(await services.credentials.test(who, credential_id, form.url if form else ""))


@router.get("/{credential_id}/uses")
async def uses(credential_id: str, services: Given, who: Viewer, cursor: Cursor = "", per_page: Page = 100) -> Response:
    """Workflows that refer to it in their current version. A page looks through `per_page` workflows of the workspace,
    and has those among them that do."""
    found, following = await services.credentials.uses(who, credential_id, id_cursor(cursor), per_page)
    rows = [{"id": id, "name": name, "is_active": active} for id, name, active in found]
    return reply({"data": rows, "meta": {"next_cursor": following or None, "per_page": per_page}})


@router.post("/{credential_id}/connect")
@own_key
async def connect(credential_id: str, services: Given, who: Editor) -> Response:
    """Begin OAuth 2: open `authorize_url` in a browser within ten minutes. The answer sets a cookie; a browser without
    it is shown a ticket at the end, for `connect/finish`."""
    way = await services.consent.begin(who, credential_id)
    body = {
        "authorize_url": way.url,
        "redirect_uri": services.consent.redirect_uri,
        "expires_at": shapes.at(way.expires_at),
    }
    secure = "; Secure" if services.public_url.startswith("https:") else ""
    cookie = f"{COOKIE}={way.browser}; Path={CALLBACK}; Max-Age=600; HttpOnly; SameSite=Lax{secure}"
    return reply(body, headers={"Set-Cookie": cookie})


@router.post("/{credential_id}/connect/finish")
@own_key
async def finish(credential_id: str, form: Finish, services: Given, who: Editor) -> Response:
    """End OAuth 2 with the ticket that the browser shows. Only the one who began can."""
    return _probed(await services.consent.finish(who, credential_id, form.ticket.strip()))


def _probed(found: ProbeReply) -> Response:
    body: dict[str, Any] = {"ok": found.ok, "message": found.message, "duration_ms": found.duration_ms}
    if found.code:
        body["code"] = found.code
    return reply(body, 200 if found.ok else 422)


def _draft(form: NewCredential | CredentialChange) -> Draft:
    until = round(form.expires_at.timestamp() * 1000) if form.expires_at else None
    if until is None and "expires_at" in form.model_fields_set:
        until = 0
    return Draft(form.name, form.type, form.data, form.description, form.hosts, form.roles, until)


def _one(kept: Kept, who: Membership, message: str = "", status: int = 200) -> Response:
    found = kept.credential
    shape = _shape(found, who)
    if kept.warnings:
        shape["warnings"] = [{"path": one.path, "code": one.code, "message": one.message} for one in kept.warnings]
    headers = etag(found.lock_version)
    if status == 201:
        headers["Location"] = f"/api/v1/workspaces/{found.workspace_id}/credentials/{found.id}"
    body = {"credential": shape}
    return reply({"message": message, **body} if message else body, status, headers)


def _shape(found: Credential, who: Membership) -> dict[str, Any]:
    """The ends of secrets are for those who may change them."""
    whole = "credential.update" in who.permissions
    data = found.shown if whole else {name: _hidden(value) for name, value in found.shown.items()}
    return {
        "id": found.id, "name": found.name, "slug": slug_of(found.name), "type": found.kind,
        "description": found.description, "data": data, "hosts": list(found.hosts), "roles": list(found.role_names),
        "status": found.status, "status_at": shapes.at(found.status_at), "status_detail": found.status_detail or None,
        "expires_at": shapes.at(found.expires_at) if found.expires_at else None, "key_id": found.key_id or None,
        "lock_version": found.lock_version, "created_by": found.created_by,
        "created_at": shapes.at(found.created_at), "updated_at": shapes.at(found.updated_at),
    }  # fmt: skip


def _hidden(value: Any) -> Any:
    return value[:8] if isinstance(value, str) and value.startswith("••••••••") else value

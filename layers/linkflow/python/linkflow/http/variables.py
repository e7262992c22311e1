"""Variables of a workspace."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Query
from pydantic import AliasChoices, BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.services.secret_ports import Variable
from linkflow.services.variables import Draft, Kept
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Cursor, Page
from .guard import can
from .paging import id_cursor, page
from .replying import etag, expected, reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/variables", tags=["Variables"])

Viewer = Annotated[Membership, can("variable.view")]
Key = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Value = Annotated[str, StringConstraints(max_length=10_000)]
Text = Annotated[str, StringConstraints(max_length=1000)]
Environment = Annotated[str, StringConstraints(max_length=100)]
MASK = "••••••••"


class NewVariable(BaseModel):
    """`key`: capitals, digits and _. `environment` "" is every one. A secret value is not shown again."""

    key: Key
    value: Value
    environment: Environment = ""
    secret: bool = Field(False, validation_alias=AliasChoices("secret", "is_secret"))
    description: Text = ""


class VariableChange(BaseModel):
    """What is not sent stays as it is."""

    key: Key | None = None
    value: Value | None = None
    environment: Environment | None = None
    secret: bool | None = Field(None, validation_alias=AliasChoices("secret", "is_secret"))
    description: Text | None = None


@router.get("")
async def index(
    services: Given, who: Viewer, environment: Annotated[str | None, Query(max_length=100)] = None,
    cursor: Cursor = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of variables, newest first; of one environment ("" are those of all), or every one."""
    found = await services.variables.page(who, environment, id_cursor(cursor), per_page + 1)
    return reply(page([_shape(one) for one in found], per_page, "id"))


@router.post("", status_code=201)
async def create(form: NewVariable, services: Given, who: Annotated[Membership, can("variable.create")]) -> Response:
    """Make a variable. Runs that start from now on have it."""
    draft = Draft(form.key, form.value, form.environment, form.secret, form.description)
    return _one(await services.variables.create(who, draft), "Variable created.", 201)


@router.get("/{variable_id}")
async def show(variable_id: str, services: Given, who: Viewer) -> Response:
    """One variable; of a secret one all but the value."""
    return _one(Kept(await services.variables.show(who, variable_id)))


@router.put("/{variable_id}")
async def replace(
    request: Request, variable_id: str, form: NewVariable, services: Given,
    who: Annotated[Membership, can("variable.update")],
) -> Response:  # fmt: skip
    """Replace it. Runs that have started keep a plain one as it was; a secret one changes for them too."""
    draft = Draft(form.key, form.value, form.environment, form.secret, form.description)
    changed = await services.variables.change(who, variable_id, draft, expected(request), whole=True)
    return _one(changed, "Variable updated.")


@router.patch("/{variable_id}")
async def amend(
    request: Request, variable_id: str, form: VariableChange, services: Given,
    who: Annotated[Membership, can("variable.update")],
) -> Response:  # fmt: skip
    """Change what is sent."""
    draft = Draft(form.key, form.value, form.environment, form.secret, form.description)
    return _one(await services.variables.change(who, variable_id, draft, expected(request)), "Variable updated.")


@router.delete("/{variable_id}")
async def delete(
    request: Request, variable_id: str, services: Given, who: Annotated[Membership, can("variable.delete")]
) -> Response:
    """Delete it. Expressions that name it are null from then on."""
    await services.variables.delete(who, variable_id, expected(request))
    return reply({"message": "Variable deleted."})


def _one(kept: Kept, message: str = "", status: int = 200) -> Response:
    found, shape = kept.variable, _shape(kept.variable)
    if kept.warnings:
        shape["warnings"] = [{"path": one.path, "code": one.code, "message": one.message} for one in kept.warnings]
    headers = etag(found.lock_version)
    if status == 201:
        headers["Location"] = f"/api/v1/workspaces/{found.workspace_id}/variables/{found.id}"
    body = {"variable": shape}
    return reply({"message": message, **body} if message else body, status, headers)


def _shape(found: Variable) -> dict[str, Any]:
    return {
        "id": found.id, "key": found.key, "value": MASK if found.secret else found.value,
        "environment": found.environment, "secret": found.secret, "is_secret": found.secret,
        "description": found.description, "lock_version": found.lock_version,
        "created_at": shapes.at(found.created_at), "updated_at": shapes.at(found.updated_at),
    }  # fmt: skip

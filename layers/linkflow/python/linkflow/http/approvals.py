"""The approvals' inbox, and the page of those who have a link."""

from __future__ import annotations

import logging
from typing import Annotated, Any

import msgspec
from fastapi import Query
from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain.errors import Conflict, Forbidden, InvalidInput, LinkFlowError, NotFound
from linkflow.domain.waiting import is_named
from linkflow.services.approval_links import PATH, Holder
from linkflow.services.audit import Entry
from linkflow.services.link_desk import MESSAGES, Link
from linkflow.services.tokens import Identity
from linkflow.services.workspaces import Membership
from linkflow.services.world import PENDING, ApprovalView, Wanted, approval_id

from . import approval_page, shapes
from .bodies import Decision, NewLink, Page
from .defaults import shown_once
from .guard import Anybody, can
from .hook_bodies import parsed
from .idempotency import once
from .moments import Moment
from .origin import origin
from .paging import id_cursor, page
from .replying import reply
from .routing import router as new_router
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/approvals", tags=["Approvals"])
links = new_router(prefix=PATH, tags=["Approvals"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
ApprovalCursor = Annotated[str, Query(max_length=4000)]
Text = Annotated[str, Query(max_length=200)]
_log = logging.getLogger("linkflow.audit")
_DECISION = TypeAdapter(Decision)


@router.get("")
async def index(
    services: Given, who: Viewer, workflow_id: str = "", assignee: Text = "", mine: bool = False, q: Text = "",
    due_before: Moment | None = None, cursor: ApprovalCursor = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of the approvals that wait for somebody, the newest runs first: those that ask `assignee`, or the caller
    (`mine`: his address, id and role), with `q` in their title, due before a time."""
    names = (*((assignee,) if assignee else ()), *(await _names(services, who) if mine else ()))
    due = max(1, round(due_before.timestamp() * 1000)) if due_before else 0
    wanted = Wanted(id_cursor(workflow_id), names, q, due)
    found = await services.world.approvals(who, wanted, after=cursor, limit=per_page + 1)
    return reply(page([shapes.approval(view, who.workspace_id) for view in found], per_page, "id"))


@router.get("/{approval_id}")
async def show(approval_id: str, services: Given, who: Viewer) -> Response:
    """One approval, and what became of it."""
    return reply({"approval": shapes.approval(await services.world.approval(who, approval_id), who.workspace_id)})


@router.post("/{approval_id}/decision")
async def decide(request: Request, approval_id: str, services: Given, who: Runner, form: Decision) -> Response:
    """Approve or reject. The first decision counts; a later one is a conflict. Takes an Idempotency-Key."""

    async def act() -> Response:
        names = await _names(services, who)
        status = await services.world.decide(who, approval_id, form.decision, form.payload, form.comment, names)
        execution_id = approval_id.partition(":")[0]
        return reply(
            {
                "message": "Decision recorded.",
                "approval": {"id": approval_id, "status": form.decision},
                "execution": {"id": execution_id, "status": status},
                "resumed_execution_id": execution_id,
            }
        )

    return await once(request, services, who, act)


@router.post("/{approval_id}/link")
@shown_once
async def link(approval_id: str, services: Given, who: Runner, form: NewLink | None = None) -> Response:
    """A link by which somebody decides who cannot sign in. For those who may decide themselves. `note` says, for the
    list of links, whom it is for."""
    found = await services.world.approval(who, approval_id)
    if found.status != PENDING:
        raise Conflict(f"This approval is {found.status}.")
    if found.only_assignees and not is_named(found.assignees, await _names(services, who)):
        raise Forbidden(f"This is for {', '.join(found.assignees)} to decide.")
    made, urls = await services.approval_links.make(who, found, form.note if form else "")
    told = {"id": made.id, **urls, "expires_at": shapes.at(made.expires_at)}
    return reply({"message": "Whoever has this link may decide.", "link": told})


@router.get("/{approval_id}/links")
async def list_links(approval_id: str, services: Given, who: Viewer) -> Response:
    """Its links, the newest first, without their addresses. The last one, ``messages``, stands for all those in
    messages of the run."""
    found = await services.world.approval(who, approval_id)
    return reply({"data": [_link(one) for one in await services.approval_links.list(who, found)]})


@router.delete("/{approval_id}/links/{link_id}")
async def revoke_link(approval_id: str, link_id: str, services: Given, who: Runner) -> Response:
    """Revoke a link: nobody decides by it any more. ``messages`` are all those in messages, also in later ones."""
    found = await services.world.approval(who, approval_id)
    await services.approval_links.revoke(who, found, link_id)
    return reply({"message": "Link revoked."})


def _link(found: Link) -> dict[str, Any]:
    return {
        "id": found.id or MESSAGES,
        "note": found.note,
        "created_by": found.created_by or None,
        "created_at": shapes.at(found.created_at) if found.id else None,
        "expires_at": shapes.at(found.expires_at) if found.expires_at else None,
        "revoked_by": found.revoked_by or None,
        "revoked_at": shapes.at(found.revoked_at) if found.revoked_at else None,
    }


async def _names(services: Services, who: Membership) -> tuple[str, ...]:
    """What assignees may call him."""
    if not who.is_person:
        return (who.actor,)
    user = await services.auth.user(Identity(who.user_id, ""))
    by_id = (f"role:{who.workspace.role_id}",) if who.workspace.role_id else ()
    return (user.email, who.user_id, who.actor, f"role:{who.workspace.role}", *by_id)


@links.get("/{token}")
async def ask(request: Request, token: str, services: Given, _: Anybody, decision: str = "") -> Response:
    """What there is to decide, and a form. To open it decides nothing, whoever does it."""
    try:
        found = await _approval(services, await services.approval_links.holder(token))
    except LinkFlowError as error:
        return _fault(request, error)
    if _wants_json(request):
        return reply({"approval": _told(found)}, 200, approval_page.HEADERS)
    return approval_page.question(found, decision)


@links.post("/{token}")
async def answer(request: Request, token: str, services: Given, _: Anybody) -> Response:
    """Decide by a link: ``decision``, ``comment`` and ``name`` as a form; or JSON, then also ``payload``."""
    try:
        holder = await services.approval_links.holder(token)
        data = parsed(await request.body(), request.headers.get("content-type", ""))
        name = str(data.pop("name", "") or "") if isinstance(data, dict) else ""
        form = _DECISION.validate_python(data)
        holder = msgspec.structs.replace(holder, name=approval_page.plain(name))
        id = approval_id(holder.execution_id, holder.node_key)
        await services.world.decide(holder, id, form.decision, form.payload, form.comment, ("*",))
        await _record(request, services, holder, id)
        found = await _approval(services, holder)
    except ValidationError:
        return _fault(request, InvalidInput("Say what you decide: approved or rejected."))
    except LinkFlowError as error:
        return _fault(request, error)
    if _wants_json(request):
        return reply({"message": "Decision recorded.", "approval": _told(found)}, 200, approval_page.HEADERS)
    return approval_page.question(found, done=True)


async def _approval(services: Services, holder: Holder) -> ApprovalView:
    """Raises `NotFound`."""
    try:
        return await services.world.approval(holder, approval_id(holder.execution_id, holder.node_key))
    except NotFound:
        raise NotFound("Nothing is asked here: not yet, or not any more.") from None


async def _record(request: Request, services: Services, holder: Holder, id: str) -> None:
    came = origin(request)
    entry = Entry(
        "approvals.answer", holder.actor, "link", workspace_id=holder.workspace_id, target_type="approval",
        target_id=id, ip=came.ip, user_agent=came.user_agent,
        request_id=request.scope.get("state", {}).get("request_id", ""),
    )  # fmt: skip
    try:
        await services.people.audit.write(entry)
    except LinkFlowError:  # it is decided, and the run's history has it
        _log.error("Not in the audit log: %s", msgspec.json.encode(entry).decode(), exc_info=True)


def _told(found: ApprovalView) -> dict[str, Any]:
    """What somebody outside of the workspace is told."""
    told = shapes.approval(found, "")
    return {name: told[name] for name in ("status", "title", "description", "payload", "due_at", "decided_at")}


def _wants_json(request: Request) -> bool:
    return "application/json" in request.headers.get("accept", "")


def _fault(request: Request, error: LinkFlowError) -> Response:
    if _wants_json(request):
        raise error
    return approval_page.fault(error)

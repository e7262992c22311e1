"""New runs from old ones (fork, reset, rerun), and verbs upon many runs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.contracts.controlling import Bulk, BulkFilter, BulkOptions, ForkReply
from linkflow.contracts.searching import RunFilter
from linkflow.services.workspaces import Membership

from .bodies import Cursor, EventKey, Page
from .filters import Compared, run_filter
from .guard import can
from .idempotency import key_of, once
from .moments import Moment
from .paging import id_cursor, page
from .replying import reply
from .routing import router as new_router
from .shapes import Json, at
from .wiring import Given, Services

router = new_router(prefix="/api/v1/workspaces/{workspace_id}", tags=["Forks and bulk operations"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)] | Literal["latest"] | None
Reason = Annotated[str, StringConstraints(max_length=1000)]
NodeKey = Annotated[str, StringConstraints(max_length=300)]
Duration = Annotated[float | None, Field(ge=0, le=10**9, allow_inf_nan=False)]
LATEST = -1


class Rerun(BaseModel):
    """`input` is other trigger data, `version` another version (a number or ``latest``). The original's names do."""

    model_config = ConfigDict(extra="ignore")

    input: Any = Field(default=None, validation_alias=AliasChoices("input", "override_trigger_data"))
    version: Version = None
    use_latest_workflow: bool = False
    dry_run: bool = False
    reason: Reason = ""

    def options(self) -> BulkOptions:
        version = LATEST if self.version == "latest" or self.use_latest_workflow else self.version or 0
        edited = "input" in self.model_fields_set
        return BulkOptions(reason=self.reason, edited=edited, input=self.input, version=version)


class Fork(Rerun):
    """`node` is the key of the node to go on from, as in an execution's nodes: ``send``, ``send[3]``; `input` replaces
    its input."""

    node: Annotated[NodeKey, StringConstraints(min_length=1)]

    def options(self) -> BulkOptions:
        return msgspec.structs.replace(super().options(), node=self.node)


class Filter(BaseModel):
    """Which runs. What is left out does not narrow; `started_after` is included, `started_before` is not. Durations
    are seconds; the others are as in the list of runs."""

    workflow_id: Annotated[str, StringConstraints(max_length=36)] = ""
    status: str | list[str] = Field(default_factory=list)
    mode: Annotated[str, StringConstraints(max_length=20)] = ""
    started_after: Moment | None = None
    started_before: Moment | None = None
    ids: Annotated[list[str], Field(max_length=10_000)] = Field(default_factory=list)
    version: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0
    environment: Annotated[str, StringConstraints(max_length=100)] = ""
    error_code: Annotated[str, StringConstraints(max_length=200)] = ""
    text: Annotated[str, StringConstraints(max_length=500)] = ""
    attributes: Annotated[list[Compared], Field(max_length=10)] = Field(default_factory=list)
    min_duration: Duration = None
    max_duration: Duration = None

    def chosen(self) -> BulkFilter:
        after, before = (
            round(moment.timestamp() * 1000) if moment else 0 for moment in (self.started_after, self.started_before)
        )
        status = [self.status] if isinstance(self.status, str) else self.status
        more = run_filter(
            self.version, self.environment, self.error_code, self.text, self.attributes,
            min_duration=self.min_duration, max_duration=self.max_duration, pointer="/filter/attributes",
        )  # fmt: skip
        narrow = more if more != RunFilter() else None
        return BulkFilter(
            self.workflow_id, tuple(filter(None, status)), self.mode, after, before, tuple(self.ids), narrow
        )


class NewBulk(Rerun):
    """`verb` is cancel, terminate, pause, resume, retry, signal, fork, reset, rerun or delete; the others are its
    fields."""

    verb: Annotated[str, StringConstraints(max_length=20)]
    filter: Filter = Field(default_factory=Filter)
    limit: int = 10_000
    node: NodeKey = ""
    name: EventKey = ""
    key: EventKey = ""
    payload: Any = None

    def options(self) -> BulkOptions:
        more = {"node": self.node, "name": self.name, "key": self.key, "payload": self.payload}
        return msgspec.structs.replace(super().options(), **more)


@router.post("/executions/{execution_id}/fork", status_code=201)
async def fork(request: Request, execution_id: str, services: Given, who: Runner, form: Fork) -> Response:
    """A new run that keeps what this one had done, except for a node and all behind it, and goes on from there."""
    return await _made(request, services, who, execution_id, "fork", form)


@router.post("/executions/{execution_id}/reset", status_code=201)
async def reset(request: Request, execution_id: str, services: Given, who: Runner, form: Fork) -> Response:
    """Fork, and terminate this run if it is open."""
    return await _made(request, services, who, execution_id, "reset", form)


@router.post("/executions/{execution_id}/rerun", status_code=201)
async def rerun(
    request: Request, execution_id: str, services: Given, who: Runner, form: Rerun | None = None
) -> Response:
    """A new run with the same trigger data, or with other."""
    return await _made(request, services, who, execution_id, "rerun", form or Rerun())


@router.post("/executions/{execution_id}/rerun-deterministic", status_code=201)
async def rerun_deterministic(
    request: Request, execution_id: str, services: Given, who: Runner, form: Rerun | None = None
) -> Response:
    """The original's name for rerun."""
    return await _made(request, services, who, execution_id, "rerun", form or Rerun())


@router.post("/executions/bulk", status_code=202)
async def begin(request: Request, services: Given, who: Runner, form: NewBulk) -> Response:
    """A verb upon all runs that fit the filter now, worked off in the background. A dry run counts them. To delete
    needs `execution.delete`."""
    if form.verb == "delete":
        who.require("execution.delete")

    async def act() -> Response:
        found = await services.forks.bulk(
            who, form.verb, form.filter.chosen(), form.options(), limit=form.limit, dry_run=form.dry_run
        )
        if found.bulk is None:
            return reply({"message": "Nothing was done.", "total": found.total, "more": found.more})
        location = f"/api/v1/workspaces/{who.workspace_id}/executions/bulk/{found.bulk.id}"
        return reply({"message": "Bulk operation started.", "bulk": bulk(found.bulk)}, 202, {"Location": location})

    return await once(request, services, who, act)


@router.get("/executions/bulk")
async def operations(services: Given, who: Viewer, cursor: Cursor = "", per_page: Page = 20) -> Response:
    """A page of bulk operations, newest first."""
    found = await services.forks.operations(who, id_cursor(cursor), per_page + 1)
    return reply(page([bulk(one) for one in found], per_page, "id"))


@router.get("/executions/bulk/{bulk_id}")
async def operation(bulk_id: str, services: Given, who: Viewer) -> Response:
    """A bulk operation and how far it is."""
    return reply({"bulk": bulk(await services.forks.operation(who, bulk_id))})


@router.post("/executions/bulk/{bulk_id}/cancel")
async def stop(request: Request, bulk_id: str, services: Given, who: Runner) -> Response:
    """Stop it: runs that it has not come to stay as they are."""

    async def act() -> Response:
        found = await services.forks.operation(who, bulk_id, cancel=True)
        return reply({"message": "Bulk operation cancelled.", "bulk": bulk(found)})

    return await once(request, services, who, act)


async def _made(
    request: Request, services: Services, who: Membership, execution_id: str, verb: str, form: Rerun
) -> Response:
    async def act() -> Response:
        made = await services.forks.fork(
            who, execution_id, verb, form.options(), dry_run=form.dry_run, key=key_of(request)
        )
        told = {"plan": _plan(made), "report": msgspec.to_builtins(made.plan.report) if made.plan else None}
        if form.dry_run:
            return reply({"message": "Nothing was started.", "workflow_version": made.workflow_version, **told})
        execution = {
            "id": made.execution_id,
            "workspace_id": who.workspace_id,
            "workflow_id": made.workflow_id,
            "workflow_version": made.workflow_version,
            "mode": made.mode,
            "source": {"execution_id": execution_id},
        }
        location = f"/api/v1/workspaces/{who.workspace_id}/executions/{made.execution_id}"
        message = {"fork": "Execution forked.", "reset": "Execution reset."}.get(verb, "Execution started again.")
        return reply({"message": message, "execution": execution, **told}, 201, {"Location": location})

    return await once(request, services, who, act)


def _plan(made: ForkReply) -> Json | None:
    if made.plan is None:
        return None
    document: Json = msgspec.to_builtins(made.plan)
    document.pop("report", None)
    return {"kept": [], "runs": [], "skipped": [], "loops": [], **document}


def bulk(found: Bulk) -> Json:
    """As clients see it. `progress` is the share of its runs that were seen to."""
    seen = found.done + found.failed + found.skipped
    chosen = msgspec.to_builtins(found.filter)
    for name in ("started_after", "started_before"):
        if name in chosen:
            chosen[name] = at(chosen[name])
    return {
        "id": found.id,
        "workspace_id": found.workspace_id,
        "verb": found.verb,
        "filter": chosen,
        "node": found.options.node or None,
        "reason": found.options.reason or None,
        "actor": found.actor,
        "status": found.status,
        "total": found.total,
        "more": found.more,
        "done": found.done,
        "failed": found.failed,
        "skipped": found.skipped,
        "progress": round(seen / found.total, 4) if found.total else 1.0,
        "errors": msgspec.to_builtins(found.errors),
        "created_at": at(found.created_at),
        "updated_at": at(found.updated_at),
        "finished_at": at(found.finished_at),
    }

"""Schedules: looking at them and at what became of their fires, pausing, running now and for times that are past."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.domain import schedules as clock
from linkflow.domain.environments import shown, trigger_of
from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.firings import Firing
from linkflow.services.schedule_ports import ScheduleRow
from linkflow.services.workspaces import Membership

from .bodies import Cursor, Page
from .guard import can
from .idempotency import once
from .moments import Moment
from .paging import id_cursor, page
from .replying import reply
from .routing import router as new_router
from .shapes import at
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/schedules", tags=["Schedules"])

Viewer = Annotated[Membership, can("workflow.view")]
Editor = Annotated[Membership, can("workflow.update")]
Operator = Annotated[Membership, can("workflow.activate")]
Runner = Annotated[Membership, can("workflow.execute")]
Overlap = Literal["", "allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other"]
Outcome = Literal["", "queued", "starting", "started", "skipped"]
Count = Annotated[int, Query(ge=1, le=100)]
_CURSOR = re.compile(r"(\d{1,15})-([\x21-\x7e]{1,60})")


class Note(BaseModel):
    note: Annotated[str, StringConstraints(max_length=1000)] = ""


class Trigger(BaseModel):
    overlap: Overlap = ""


class Backfill(BaseModel):
    """Both ends are inside the range. `overlap` left out is the schedule's."""

    from_: Moment = Field(alias="from")
    to: Moment
    overlap: Overlap = ""


class New(BaseModel):
    """`config` is that of the node type `trigger_schedule`; `name` is the node's."""

    workflow_id: Annotated[str, StringConstraints(max_length=36)]
    config: dict[str, Any]
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=255)] = ""


class Changed(BaseModel):
    config: dict[str, Any]


class Draft(BaseModel):
    """A schedule trigger's config as it is being written, and the workflow's time zone."""

    config: dict[str, Any]
    timezone: Annotated[str, StringConstraints(max_length=100)] = "UTC"
    count: Annotated[int, Field(ge=1, le=100)] = 5


@router.get("")
async def index(
    services: Given, who: Viewer, workflow_id: str = "", cursor: Cursor = "", per_page: Page = 20
) -> Response:
    """A page of schedules."""
    found = await services.schedules.page(who, id_cursor(workflow_id), id_cursor(cursor), per_page + 1)
    return reply(page([_schedule(row) for row in found], per_page, "id"))


@router.post("", status_code=201)
async def create(services: Given, who: Editor, form: New) -> Response:
    """A schedule more for a workflow: a trigger node that leads where the others lead, in a new version of it."""
    found = await services.schedule_edits.add(who, form.workflow_id, form.config, form.name)
    location = f"/api/v1/workspaces/{who.workspace_id}/schedules/{found.id}"
    return reply({"message": "Schedule created.", "schedule": _schedule(found)}, 201, {"Location": location})


@router.patch("/{schedule_id}")
async def update(schedule_id: str, services: Given, who: Editor, form: Changed) -> Response:
    """Other settings of its trigger node; null takes one away, and another way of saying when takes the place of the
    one before. It is a new version of the workflow."""
    found = await services.schedule_edits.change(who, schedule_id, form.config)
    return reply({"message": "Schedule updated.", "schedule": _schedule(found)})


@router.delete("/{schedule_id}")
async def delete(schedule_id: str, services: Given, who: Editor) -> Response:
    """Take the trigger node away. Runs that it has started go on."""
    await services.schedule_edits.remove(who, schedule_id)
    return reply({"message": "Schedule deleted."})


@router.post("/preview")
async def preview_draft(services: Given, _: Viewer, form: Draft) -> Response:
    """The next fires of a trigger that is not saved yet. Every problem of its config is answered at once."""
    timezone, fires = services.schedules.preview_config(form.config, form.timezone, form.count)
    return reply({"data": [_fire(fire, timezone) for fire in fires]})


@router.get("/{schedule_id}")
async def show(schedule_id: str, services: Given, who: Viewer) -> Response:
    """One schedule."""
    return reply({"schedule": _schedule(await services.schedules.show(who, schedule_id))})


@router.get("/{schedule_id}/preview")
async def preview(
    schedule_id: str, services: Given, who: Viewer, count: Count = 10, after: Moment | None = None
) -> Response:
    """Its next fires, from now or another time on, in UTC and on its own clock. Jitter is not in it."""
    found, fires = await services.schedules.preview(who, schedule_id, _ms(after) if after else 0, count)
    return reply({"data": [_fire(fire, found.table.timezone) for fire in fires]})


@router.get("/{schedule_id}/firings")
async def firings(
    schedule_id: str, services: Given, who: Viewer, outcome: Outcome = "", cursor: Cursor = "", per_page: Page = 20
) -> Response:
    """What became of its fires, the latest first: started, waiting, or skipped and why."""
    found = await services.schedules.firings(who, schedule_id, outcome, _cursor(cursor), per_page + 1)
    return reply(page([_firing(firing) for firing in found], per_page, "id"))


@router.post("/{schedule_id}/pause")
async def pause(schedule_id: str, services: Given, who: Operator, form: Note | None = None) -> Response:
    """No fires until it is resumed. Running it now still works."""
    found = await services.schedules.pause(who, schedule_id, form.note if form else "")
    return reply({"message": "Schedule paused.", "schedule": _schedule(found)})


@router.post("/{schedule_id}/resume")
async def resume(schedule_id: str, services: Given, who: Operator) -> Response:
    """Fire again, from now on; what fell due meanwhile is on record as skipped."""
    found = await services.schedules.resume(who, schedule_id)
    return reply({"message": "Schedule resumed.", "schedule": _schedule(found)})


@router.post("/{schedule_id}/trigger", status_code=202)
async def trigger(
    request: Request, schedule_id: str, services: Given, who: Runner, form: Trigger | None = None
) -> Response:
    """Run it now, under its overlap policy or another one. Takes an Idempotency-Key."""

    async def act() -> Response:
        firing = await services.schedules.trigger(who, schedule_id, form.overlap if form else "")
        return reply({"message": "Schedule triggered.", "firing": _firing(firing)}, 202)

    return await once(request, services, who, act)


@router.post("/{schedule_id}/backfill", status_code=202)
async def backfill(request: Request, schedule_id: str, services: Given, who: Runner, form: Backfill) -> Response:
    """Run it for every fire in a range of time, 1,000 at most. Takes an Idempotency-Key."""

    async def act() -> Response:
        id, added = await services.schedules.backfill(who, schedule_id, _ms(form.from_), _ms(form.to), form.overlap)
        first, last = at(added[0].due_at), at(added[-1].due_at)
        made = {"id": id, "fires": len(added), "first": first, "last": last}
        return reply({"message": "Backfill queued.", "backfill": made}, 202)

    return await once(request, services, who, act)


def _schedule(row: ScheduleRow) -> dict[str, Any]:
    table, (node_id, environment) = row.table, trigger_of(row.node_id)
    goes = row.active and not row.held
    return {
        "id": row.id,
        "workflow_id": row.workflow_id,
        "workflow_name": row.workflow_name,
        "node_id": node_id,
        "environment": shown(environment),
        "cron": table.cron or None,
        "every_seconds": table.every / 1000 if table.every else None,
        "at": at(table.at),
        "timezone": table.timezone,
        "starts_at": at(table.starts_at),
        "ends_at": at(table.ends_at),
        "jitter_seconds": table.jitter / 1000,
        "overlap": row.overlap,
        "catch_up": row.catch_up,
        "catch_up_window": row.catch_up_window // 1000,
        "next_at": at(row.next_at) if goes else None,
        "is_active": row.active,
        "is_paused": row.held,
        "pause": {"note": row.held_note, "by": row.held_by, "at": at(row.held_at)} if row.held else None,
    }


def _firing(firing: Firing) -> dict[str, Any]:
    return {
        "id": f"{firing.due_at}-{firing.cause}",
        "due_at": at(firing.due_at),
        "last_due_at": at(firing.last_due_at or firing.due_at),
        "fires": firing.fires,
        "cause": firing.cause.partition(":")[0],
        "cause_id": firing.cause.partition(":")[2] or None,
        "outcome": firing.outcome,
        "reason": firing.reason or None,
        "overlap": firing.overlap,
        "execution_id": firing.execution_id or None,
        "at": at(firing.at),
    }


def _fire(fire: int, timezone: str) -> dict[str, Any]:
    return {"at": at(fire), "local": clock.local_time(fire, timezone)}


def _ms(moment: datetime) -> int:
    """Raises `InvalidInput` where it is before 1970, or so late that no calendar has the fires after it."""
    ms = int(moment.astimezone(UTC).timestamp() * 1000) if 1 < moment.year < 9000 else 0
    if ms <= 0:
        raise InvalidInput("Give a time from 1970 to 8999.", problems=[Problem("", "bad_time", "Out of range.")])
    return ms


def _cursor(cursor: str) -> tuple[int, str] | None:
    """Raises `InvalidInput` for what no page has handed out."""
    if not cursor:
        return None
    found = _CURSOR.fullmatch(cursor)
    if found is None or not cursor.isascii():
        fault = Problem("/cursor", "bad_cursor", "Use a page's meta.next_cursor.")
        raise InvalidInput("This is no cursor.", problems=[fault])
    return int(found[1]), found[2]

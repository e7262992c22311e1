"""Dead letters: tasks that were given to workers again and again, and none finished them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import BaseModel, Field, StringConstraints
from starlette.requests import Request
from starlette.responses import Response

from linkflow.contracts.matching import LetterFilter
from linkflow.services.dead_letters import MOST_RUNS
from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Page
from .forks import bulk
from .guard import can
from .idempotency import once
from .moments import Moment
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/dead-letters", tags=["Dead letters"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
Remover = Annotated[Membership, can("execution.delete")]
LetterCursor = Annotated[str, Query(max_length=4000)]
Narrow = Annotated[str, Query(max_length=200)]
Short = Annotated[str, StringConstraints(max_length=200)]


class Filter(BaseModel):
    """Which letters. What is left out does not narrow; `text` stands in the reason."""

    workflow_id: Annotated[str, StringConstraints(max_length=36)] = ""
    execution_id: Annotated[str, StringConstraints(max_length=36)] = ""
    queue: Short = ""
    node: Short = ""
    text: Short = ""
    died_after: Moment | None = None
    died_before: Moment | None = None

    def match(self) -> LetterFilter:
        return _match(
            self.workflow_id, self.execution_id, self.queue, self.node, self.text, self.died_after, self.died_before
        )


class Redrive(Filter):
    """`limit` is how many runs at most. A dry run counts them."""

    limit: Annotated[int, Field(ge=1, le=MOST_RUNS)] = MOST_RUNS
    dry_run: bool = False


@router.get("")
async def index(
    services: Given, who: Viewer, workflow_id: Narrow = "", execution_id: Narrow = "", queue: Narrow = "",
    node: Narrow = "", text: Narrow = "", died_after: Moment | None = None, died_before: Moment | None = None,
    cursor: LetterCursor = "", per_page: Page = 20,
) -> Response:  # fmt: skip
    """A page of dead letters, newest first. With a filter it may have fewer than there are: as long as
    `meta.next_cursor` is there, there may be more."""
    match = _match(workflow_id, execution_id, queue, node, text, died_after, died_before)
    found = await services.dead_letters.page(who, before=cursor, limit=per_page, match=match)
    meta = {"next_cursor": found.next or None, "per_page": per_page}
    return reply({"data": [shapes.dead_letter(letter) for letter in found.letters], "meta": meta})


@router.post("/redrive", status_code=202)
async def redrive_many(request: Request, services: Given, who: Runner, form: Redrive | None = None) -> Response:
    """Let the runs of all letters that fit go on, worked off in the background as a bulk operation. Letters of runs
    that are not failed stay. Takes an Idempotency-Key."""
    asked = form or Redrive()

    async def act() -> Response:
        found = await services.dead_letters.redrive_many(who, asked.match(), asked.limit, asked.dry_run)
        if found.bulk is None:
            return reply({"message": "Nothing was done.", "total": found.total, "more": found.more})
        location = f"/api/v1/workspaces/{who.workspace_id}/executions/bulk/{found.bulk.id}"
        body = {"message": "Redriving.", "bulk": bulk(found.bulk), "more": found.more}
        return reply(body, 202, {"Location": location})

    return await once(request, services, who, act)


@router.get("/{letter_id}")
async def show(letter_id: str, services: Given, who: Viewer) -> Response:
    """One dead letter: which task, why, and when."""
    return reply({"dead_letter": shapes.dead_letter(await services.dead_letters.show(who, letter_id))})


@router.post("/{letter_id}/redrive")
async def redrive(letter_id: str, services: Given, who: Runner) -> Response:
    """Let its run go on: the run's failed nodes get another attempt, and its dead letters are dropped."""
    done = await services.dead_letters.redrive(who, letter_id)
    run = {"id": done.execution_id, "status": done.status}
    return reply({"message": "Execution redriven.", "execution": run, "dropped": done.dropped})


@router.delete("/{letter_id}")
async def drop(letter_id: str, services: Given, who: Remover) -> Response:
    """Forget one. Its run stays failed."""
    await services.dead_letters.drop(who, letter_id)
    return reply({"message": "Dead letter dropped."})


@router.post("/purge")
async def purge(services: Given, who: Remover, form: Filter | None = None) -> Response:
    """Forget all of the workspace, or those that fit. Their runs stay failed."""
    dropped = await services.dead_letters.purge(who, (form or Filter()).match())
    return reply({"message": "Dead letters purged.", "dropped": dropped})


def _match(
    workflow_id: str, execution_id: str, queue: str, node: str, text: str, after: datetime | None,
    before: datetime | None,
) -> LetterFilter:  # fmt: skip
    first, beyond = (max(0, round(at.timestamp() * 1000)) if at else 0 for at in (after, before))
    return LetterFilter(workflow_id, execution_id, queue, node, text, first, beyond)

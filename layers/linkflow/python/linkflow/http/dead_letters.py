"""Dead letters: tasks that were given to workers again and again, and none finished them."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query
from starlette.responses import Response

from linkflow.services.workspaces import Membership

from . import shapes
from .bodies import Page
from .guard import can
from .paging import page
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/dead-letters", tags=["Dead letters"])

Viewer = Annotated[Membership, can("execution.view")]
Runner = Annotated[Membership, can("workflow.execute")]
Remover = Annotated[Membership, can("execution.delete")]
LetterCursor = Annotated[str, Query(max_length=4000)]


@router.get("")
async def index(services: Given, who: Viewer, cursor: LetterCursor = "", per_page: Page = 20) -> Response:
    """A page of dead letters, newest first."""
    found = await services.dead_letters.page(who, before=cursor, limit=per_page + 1)
    return reply(page([shapes.dead_letter(letter) for letter in found], per_page, "id"))


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
async def purge(services: Given, who: Remover) -> Response:
    """Forget all of the workspace. Their runs stay failed."""
    return reply({"message": "Dead letters purged.", "dropped": await services.dead_letters.purge(who)})

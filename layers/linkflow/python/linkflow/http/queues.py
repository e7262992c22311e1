"""Task queues of a workspace: what is open, whether anybody serves it, and the limits of the workspace's own work."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints
from starlette.responses import Response

from linkflow.contracts.matching import QueueRule, QueueView
from linkflow.services.workspaces import Membership

from .guard import can
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(prefix="/api/v1/workspaces/{workspace_id}/queues", tags=["Queues"])

Viewer = Annotated[Membership, can("execution.view")]
Limiter = Annotated[Membership, can("queue.limit")]
Name = Annotated[str, Path(min_length=1, max_length=100)]
Rate = Annotated[float, Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Burst = Annotated[int, Field(ge=0, le=1_000_000)]


class Key(BaseModel):
    """`weight` is its share beside the workspace's other keys. `rate` is tasks per second, 0 for no limit; `burst` how
    many at once after a pause, 0 for a second's worth."""

    weight: Annotated[float, Field(ge=0.001, le=1000, allow_inf_nan=False)] = 1.0
    rate: Rate = 0.0
    burst: Burst = 0


class Limits(BaseModel):
    """All that the workspace says of a queue: what is left out goes. `keys` are by fairness key."""

    rate: Rate = 0.0
    burst: Burst = 0
    keys: Annotated[
        dict[Annotated[str, StringConstraints(min_length=1, max_length=200)], Key], Field(max_length=500)
    ] = {}


@router.get("")
async def index(services: Given, who: Viewer) -> Response:
    """The queues that the workspace uses or has limits for, and the default one."""
    return reply({"data": [_queue(view, who.workspace_id) for view in await services.queues.all(who)]})


@router.get("/{queue}")
async def show(queue: Name, services: Given, who: Viewer) -> Response:
    """One queue. It need not be in use: queues begin with their first task."""
    return reply({"queue": _queue(await services.queues.show(who, queue), who.workspace_id)})


@router.put("/{queue}")
async def limit(queue: Name, services: Given, who: Limiter, form: Limits | None = None) -> Response:
    """Set the limits of the workspace's own tasks in a queue. Where the operator has set a lower rate, that holds."""
    given = form or Limits()
    rules = [QueueRule(who.workspace_id, rate=given.rate, burst=given.burst)]
    rules += [QueueRule(who.workspace_id, name, key.weight, key.rate, key.burst) for name, key in given.keys.items()]
    view = await services.queues.limit(who, queue, rules)
    return reply({"message": "Limits set.", "queue": _queue(view, who.workspace_id)})


def _queue(view: QueueView, workspace_id: str) -> dict[str, Any]:
    rules = [rule for rule in view.settings.rules if rule.workspace_id == workspace_id]
    own = {rule.fairness: rule for rule in rules if rule.own}
    theirs = {rule.fairness: rule for rule in rules if not rule.own}
    mine, given = own.get("", QueueRule()), theirs.get("", QueueRule())
    return {
        "name": view.settings.queue,
        "open": view.open,
        "oldest_seconds": view.oldest_ms / 1000 if view.open else None,
        "added_per_minute": round(view.added_per_minute, 2),
        "taken_per_minute": round(view.taken_per_minute, 2),
        "workers": view.workers,
        "is_served": view.workers + view.invited > 0,
        "limits": {
            "rate": mine.rate,
            "burst": mine.burst,
            "keys": {name: _share(rule) for name, rule in own.items() if name},
        },
        "given": {**_share(given), "keys": {name: _share(rule) for name, rule in theirs.items() if name}},
    }


def _share(rule: QueueRule) -> dict[str, Any]:
    return {"weight": rule.weight, "rate": rule.rate, "burst": rule.burst}

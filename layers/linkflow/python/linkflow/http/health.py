"""Is it alive, and is it ready?"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from .guard import Anybody
from .problems import problem
from .replying import reply
from .routing import router as new_router
from .wiring import Given

router = new_router(tags=["Health"])

PATIENCE = 3.0
"""Seconds that a part has to answer."""

_log = logging.getLogger("linkflow.http")


@router.get("/health/live")
async def live(_: Anybody) -> Response:
    """The process answers."""
    return reply({"status": "ok"})


@router.get("/health/ready")
async def ready(request: Request, services: Given, _: Anybody) -> Response:
    """Everything that a call needs answers; else 503 names the part that does not. Where one of several databases for
    runs is away the status is `degraded`, and the process ready."""
    every = {**services.watched, **services.checks}
    answers = await asyncio.gather(*(_answers(name, check) for name, check in every.items()))
    parts = {name: "ok" if fine else "down" for name, fine in zip(every, answers, strict=True)}
    if all(parts[name] == "ok" for name in services.checks):
        return reply({"status": "ok" if all(answers) else "degraded", "checks": parts})
    down = ", ".join(name for name, state in parts.items() if state == "down")
    return problem(
        request, 503, "not_ready", f"Not answering: {down}.", headers={"Retry-After": "2"}, extra={"checks": parts}
    )


@router.get("/api/v1/health")
async def health(services: Given, _: Anybody) -> Response:
    """The API answers, and this is its version."""
    return reply({"status": "ok", "version": services.version})


async def _answers(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except Exception as error:
        _log.warning("Not ready: %s does not answer: %s", name, error)
        return False
    return True

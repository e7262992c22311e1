"""The FastAPI app. `create_app` needs no lifespan: on Lambda it runs at module scope."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from linkflow.domain.errors import LinkFlowError
from linkflow.services.webhooks import MethodNotAllowed

from . import (
    accounts,
    approvals,
    audit,
    console_pages,
    credentials,
    dead_letters,
    egress,
    exchange,
    executions,
    exports,
    files,
    forks,
    gallery,
    health,
    hooks,
    inspecting,
    nodes,
    notifications,
    oauth,
    oidc,
    pages,
    policies,
    problems,
    queues,
    releases,
    retention,
    schedules,
    shelf,
    streams,
    teams,
    trials,
    usage,
    user,
    variables,
    waiting,
    webhooks,
    workflows,
    workspaces,
)
from .door import Door, Left
from .finding import Routes
from .wiring import Services

__all__ = ["Services", "create_app", "routes"]

ROUTERS = (
    hooks.router,  # first, because routes are tried in order and this is the hot one
    hooks.runs,
    hooks.tests,
    health.router,
    accounts.router,
    user.router,
    oidc.router,
    pages.router,
    console_pages.router,
    teams.router,
    audit.router,
    workspaces.router,
    workspaces.gone,
    releases.router,  # before workflows: /versions/compare is no version
    workflows.router,
    trials.router,
    forks.router,  # before executions: /executions/bulk is no execution
    usage.router,  # before executions: /executions/stats is none
    streams.router,  # and /executions/stream, /executions/changes
    executions.router,
    inspecting.router,
    exports.router,
    files.router,
    schedules.router,
    waiting.router,
    approvals.router,
    approvals.links,
    dead_letters.router,
    queues.router,
    retention.router,
    notifications.router,
    egress.router,
    webhooks.router,
    policies.router,
    shelf.router,
    exchange.router,
    gallery.router,
    nodes.router,
    credentials.router,
    credentials.types,
    oauth.router,
    variables.router,
)


def routes() -> Iterator[APIRoute]:
    """Every route of ours, with its full path."""
    for router in ROUTERS:
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def create_app(services: Services, left: Left | None = None) -> FastAPI:
    """The app over these services. No route serves that does not say who may call it (`routing.Route`). `left` is what
    calls have of time, where their host ends them."""
    app = FastAPI(
        title="LinkFlow",
        version=services.version,
        summary="Durable workflow automation.",
        redirect_slashes=False,
        redoc_url=None,
    )
    app.state.services = services

    def webhook(request: Request) -> Awaitable[Response] | None:
        found = hooks.shortcut(request.scope)
        return hooks.serve(request, services, *found) if found else None

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            from .document import document  # which reads all routes

            app.openapi_schema = document(app, services.version, services.public_url)
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]
    app.add_middleware(Door, max_body=services.max_body, shortcut=webhook, left=left)
    for error in (LinkFlowError, RequestValidationError, MethodNotAllowed):
        app.add_exception_handler(error, problems.handle)
    app.add_exception_handler(HTTPException, _router_error)
    # As they are: to include a router is to build each of its routes a second time, at the first request.
    app.router.routes = Routes([*app.router.routes, *routes()])
    return app


async def _router_error(request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 405:
        # The router names the methods of the first route that fits; RFC 9110 wants those of all.
        found = [route for route in routes() if _at(route, request)]
        fewest = min((route.path.count("{") for route in found), default=0)  # /schedules/preview is no schedule
        allowed = sorted(
            {method for route in found if route.path.count("{") == fewest for method in route.methods or ()}
        )
        error = HTTPException(405, headers={"Allow": ", ".join(allowed)} if allowed else error.headers)
    return await problems.handle(request, error)


def _at(route: APIRoute, request: Request) -> bool:
    return route.matches(request.scope)[0] is not Match.NONE

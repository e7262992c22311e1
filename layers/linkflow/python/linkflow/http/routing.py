"""Routes that are built when a request may be for them: a start has ninety, a request needs one."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette._utils import get_route_path
from starlette.routing import Match
from starlette.types import Scope

from . import defaults, problems
from .auditing import audited
from .guard import PUBLIC, permission_of


def _problem(description: str) -> dict[str, Any]:
    return {"description": description, "content": {problems.MEDIA_TYPE: {"schema": problems.SCHEMA}}}


ERRORS: dict[int | str, dict[str, Any]] = {"default": _problem("Any error"), 422: _problem("The request is wrong")}


class Route(APIRoute):
    """FastAPI's, from the first look at what it has not got yet. That raises `LookupError` where the route does not say
    who may call it."""

    def __init__(self, path: str, endpoint: Any, **options: Any) -> None:
        self.template = path.split("/")
        self._late: tuple[str, Any, dict[str, Any]] | None = (path, endpoint, options)

    def __getattr__(self, name: str) -> Any:
        if self.__dict__.get("_late") is None:
            raise AttributeError(name)
        self._build()
        return getattr(self, name)

    def _build(self) -> None:
        late, self._late = self._late, None
        if late is None:
            return
        path, endpoint, options = late
        try:
            super().__init__(path, endpoint, **options)
            permission = permission_of(self)
            if permission != PUBLIC:
                defaults.apply(self, self._reader)
        except BaseException:
            # Nothing of it may stay: half a route would serve, and ask for no permission.
            template = self.template
            self.__dict__.clear()
            self.template, self._late = template, late
            raise
        self.openapi_extra = {"x-permission": permission, **({"security": []} if permission == PUBLIC else {})}
        self.responses = {**ERRORS, **self.responses}

    def get_route_handler(self) -> Any:
        return audited(self, permission_of(self), super().get_route_handler())

    def _reader(self) -> APIRoute | None:
        """The GET at the same address."""
        from .app import routes  # which is made of these

        same = (one for one in routes() if isinstance(one, Route) and one.template == self.template)
        return next((one for one in same if "GET" in (one.methods or ())), None)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if self._late is not None:
            if scope["type"] != "http" or not self._may_be(get_route_path(scope)):
                return Match.NONE, {}
            self._build()
        return super().matches(scope)

    def _may_be(self, path: str) -> bool:
        """Every path that fits, and some that do not."""
        template, parts = self.template, path.split("/")
        if len(template) != len(parts) and not any(":path}" in part for part in template):
            return False
        return all(want == part or "{" in want for want, part in zip(template, parts, strict=False))


def router(prefix: str = "", tags: list[Any] | None = None) -> APIRouter:
    """A router of such routes."""
    return APIRouter(prefix=prefix, tags=tags, route_class=Route)

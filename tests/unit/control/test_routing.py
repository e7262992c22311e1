"""Routes that are built late are the routes that they would have been."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import APIRouter
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import Response
from starlette.routing import Match

from linkflow.http.app import routes
from linkflow.http.finding import Routes, fitting
from linkflow.http.guard import Anybody, permission_of
from linkflow.http.routing import Route, router


async def _open(id: str, _: Anybody) -> Response:
    return Response(id)


async def _unguarded(id: str) -> Response:
    return Response(id)


def _scope(path: str, method: str = "GET", **more: Any) -> dict[str, Any]:
    return {"type": "http", "path": path, "method": method, "root_path": "", **more}


def _late(route: Route) -> bool:
    return route.__dict__["_late"] is not None


@pytest.mark.parametrize("template", ["/a/{id}", "/a/{id}/b", "/a/b", "/a/{id:path}", "/a/{id}.json", "/{id}"])
@given(
    path=st.lists(st.sampled_from(["a", "b", "", "x.json", "é", "%2F"]), max_size=5).map(lambda p: "/" + "/".join(p))
)
def test_it_fits_what_it_would_fit(template: str, path: str) -> None:
    plain, ours = APIRouter(), router()
    for made in (plain, ours):
        made.get(template)(_open if "{" in template else _health)
    [want], [got] = plain.routes, ours.routes
    assert isinstance(got, Route)
    for scope in (_scope(path), _scope(path, "POST"), _scope("/root" + path, root_path="/root")):
        match, child = want.matches(dict(scope))
        ours_match, ours_child = got.matches(dict(scope))
        assert (ours_match, ours_child.get("path_params")) == (match, child.get("path_params"))


async def _health(_: Anybody) -> Response:
    return Response()


def test_it_is_built_by_the_first_request_that_may_be_for_it() -> None:
    ours = router(prefix="/a")
    ours.get("/{id}")(_open)
    [route] = ours.routes
    assert isinstance(route, Route)
    for path in ("/b/1", "/a", "/a/1/2"):
        assert route.matches(_scope(path))[0] is Match.NONE
    assert route.matches({"type": "websocket", "path": "/a/1"})[0] is Match.NONE
    assert _late(route)
    assert route.matches(_scope("/a/1"))[0] is Match.FULL
    assert not _late(route)
    with pytest.raises(AttributeError):
        _ = route.nothing


def test_whoever_looks_at_it_sees_it_whole() -> None:
    ours = router()
    ours.get("/{id}", tags=["T"])(_open)
    [route] = ours.routes
    assert isinstance(route, Route)
    assert route.path == "/{id}"
    assert route.tags == ["T"]
    assert route.openapi_extra == {"x-permission": "public", "security": []}
    assert set(route.responses) == {"default", 422}


def test_a_route_that_says_no_permission_never_serves() -> None:
    ours = router()
    ours.get("/{id}")(_unguarded)
    [route] = ours.routes
    for _ in range(2):
        with pytest.raises(LookupError, match="who may call"):
            route.matches(_scope("/1"))
        with pytest.raises(LookupError, match="who may call"):
            _ = route.app  # type: ignore[attr-defined]


def test_every_route_says_who_may_call_it() -> None:
    found = list(routes())
    assert len(found) > 70
    assert all(permission_of(route) for route in found)
    assert [route.path for route in found if not isinstance(route, Route)] == []


@given(data=st.data())
def test_the_few_that_are_tried_are_those_that_all_would_have_given(data: st.DataObject) -> None:
    ours = list(routes())
    template = data.draw(st.sampled_from(ours)).template
    parts = [
        data.draw(st.sampled_from(["a", "stats", "x.json", "b/c", "", "6ba7b810-9dad-11d1-80b4-00c04fd430c8"]))
        if "{" in part or data.draw(st.integers(0, 9)) == 0
        else part
        for part in template
    ]
    path, method = "/".join(parts), data.draw(st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"]))
    with fitting(path):
        few = list(Routes(ours))
    assert len(few) < 30

    def answers(tried: list[Any]) -> list[tuple[str, str]]:
        found = [(route, route.matches(_scope(path, method))[0]) for route in tried]
        return [(route.path, match.name) for route, match in found if match is not Match.NONE]

    assert answers(few) == answers(ours)


def test_outside_of_a_request_there_are_all_of_them() -> None:
    ours = list(routes())
    assert list(Routes(ours)) == ours

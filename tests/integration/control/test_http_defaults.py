"""What every route does: keys, ETags, counted calls. Over all routes where it can be, by example where it must be."""

from __future__ import annotations

import asyncio

import pytest

from linkflow.http.app import routes
from linkflow.http.guard import PUBLIC, permission_of
from tests.integration.control.plane import Plane, check_problem, document


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def test_a_post_is_done_once_whoever_wrote_its_route(plane: Plane) -> None:
    ada = await plane.somebody()
    headers = {**ada.auth, "Idempotency-Key": "make-it"}
    first = await plane.client.post("/api/v1/workspaces", json={"name": "Once"}, headers=headers)
    again = await plane.client.post("/api/v1/workspaces", json={"name": "Once"}, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    listed = await plane.client.get("/api/v1/workspaces", headers=ada.auth)
    assert [one["name"] for one in listed.json()["data"]].count("Once") == 1


async def test_a_key_belongs_to_one_request_of_one_person(plane: Plane) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    key = {"Idempotency-Key": "k"}
    await plane.client.post("/api/v1/workspaces", json={"name": "A"}, headers={**ada.auth, **key})
    other = await plane.client.post("/api/v1/workspaces", json={"name": "B"}, headers={**ada.auth, **key})
    check_problem(other, 422, "invalid_input")
    bobs = await plane.client.post("/api/v1/workspaces", json={"name": "A"}, headers={**bob.auth, **key})
    assert bobs.status_code == 201
    assert "Idempotency-Replayed" not in bobs.headers


async def test_two_calls_at_once_with_one_key_make_one_thing(plane: Plane) -> None:
    ada = await plane.somebody()
    headers = {**ada.auth, "Idempotency-Key": "both"}

    async def make() -> int:
        path = f"{ada.base}/workflows"
        return (await plane.client.post(path, json=document(name="Both"), headers=headers)).status_code

    found = await asyncio.gather(*(make() for _ in range(4)))
    assert 201 in found
    assert set(found) <= {201, 409}
    listed = await plane.client.get(f"{ada.base}/workflows", headers=ada.auth)
    assert len(listed.json()["data"]) == 1


async def test_an_error_does_not_use_the_key_up(plane: Plane) -> None:
    ada = await plane.somebody()
    headers = {**ada.auth, "Idempotency-Key": "try"}
    path = f"{ada.base}/workflows"
    check_problem(await plane.client.post(path, json={"name": "x"}, headers=headers), 422)
    assert (await plane.client.post(path, json=document(), headers=headers)).status_code == 201


async def test_a_get_has_an_etag_and_is_not_sent_twice(plane: Plane) -> None:
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    for path in (ada.base, f"{ada.base}/workflows", f"{ada.base}/workflows/{workflow['id']}", "/api/v1/nodes"):
        tag = (await plane.client.get(path, headers=ada.auth)).headers["ETag"]
        for wanted in (tag, f'"other", {tag}', f"W/{tag}", "*"):
            again = await plane.client.get(path, headers={**ada.auth, "If-None-Match": wanted})
            assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", tag), path
        fresh = await plane.client.get(path, headers={**ada.auth, "If-None-Match": '"other"'})
        assert fresh.status_code == 200
    await plane.client.patch(f"{ada.base}/workflows/{workflow['id']}", json={"name": "New"}, headers=ada.auth)
    fresh = await plane.client.get(f"{ada.base}/workflows", headers={**ada.auth, "If-None-Match": tag})
    assert fresh.status_code == 200


async def test_a_change_of_what_was_changed_meanwhile_is_refused(plane: Plane) -> None:
    ada = await plane.somebody()
    tag = (await plane.client.get(ada.base, headers=ada.auth)).headers["ETag"]
    renamed = await plane.client.put(ada.base, json={"name": "One"}, headers={**ada.auth, "If-Match": tag})
    assert renamed.status_code == 200
    stale = await plane.client.put(ada.base, json={"name": "Two"}, headers={**ada.auth, "If-Match": tag})
    check_problem(stale, 412)
    found = await plane.client.get(ada.base, headers=ada.auth)
    assert found.json()["workspace"]["name"] == "One"
    headers = {**ada.auth, "If-Match": found.headers["ETag"]}
    done = await asyncio.gather(
        *(plane.client.put(ada.base, json={"name": f"N{n}"}, headers=headers) for n in range(5))
    )
    assert [one.status_code for one in done].count(200) == 1
    assert {one.status_code for one in done} <= {200, 409, 412}


async def test_if_match_of_what_is_not_there_is_not_found(plane: Plane) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    tag = (await plane.client.get(ada.base, headers=ada.auth)).headers["ETag"]
    foreign = await plane.client.put(ada.base, json={"name": "x"}, headers={**bob.auth, "If-Match": tag})
    check_problem(foreign, 404, "not_found")


async def test_calls_are_counted_and_the_answer_says_so(plane: Plane) -> None:
    ada = await plane.somebody()
    found = await plane.client.get(ada.base, headers=ada.auth)
    assert found.headers["RateLimit-Policy"] == '"api";q=1000;w=2'
    assert found.headers["RateLimit"].startswith('"api";r=')
    missing = await plane.client.get(f"{ada.base}/workflows/{ada.user_id}", headers=ada.auth)
    check_problem(missing, 404)
    assert "RateLimit" in missing.headers
    assert "RateLimit" not in (await plane.client.get("/api/v1/health")).headers


async def test_too_many_calls_are_told_when_to_come_again(plane: Plane) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    plane.limiter.taken[f"api:{ada.user_id}"] = plane.limiter.free
    refused = await plane.client.get(ada.base, headers=ada.auth)
    check_problem(refused, 429)
    assert refused.headers["Retry-After"] == "3"
    assert refused.headers["RateLimit"] == '"api";r=0;t=2'
    assert (await plane.client.get(bob.base, headers=bob.auth)).status_code == 200


def test_every_route_that_knows_its_caller_has_the_defaults() -> None:
    for route in routes():
        if permission_of(route) != PUBLIC:
            assert route.dependant.call is not route.endpoint or hasattr(route.endpoint, "own_key"), route.path

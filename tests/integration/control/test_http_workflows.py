"""Workflows: versions, ETags, switching on and off, starting, idempotency."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import psycopg
import pytest

from linkflow.contracts.frontend import RunReply
from linkflow.domain.errors import DeadlineExceeded, NoSlot, RateLimited, TooManyStarts, Unavailable
from linkflow.http.app import create_app
from linkflow.postgres.database import Database
from tests.integration.control.plane import Plane, build, check_problem, cron_document, document, hook_document


async def _rows(plane: Plane, statement: str) -> list[tuple]:
    async with plane.database.connection() as connection:
        return await (await connection.execute(statement.encode())).fetchall()


async def test_create_show_list_delete(plane: Plane):
    ada = await plane.person()
    response = await plane.client.post(f"{ada.base}/workflows", json=document(), headers=ada.auth)
    made = response.json()["workflow"]
    assert response.headers["location"] == f"{ada.base}/workflows/{made['id']}"
    assert response.headers["etag"] == '"1"'
    assert (made["name"], made["version"], made["is_active"]) == ("Orders", 1, False)
    assert [node["id"] for node in made["nodes"]] == ["start", "log"]
    shown = await plane.client.get(f"{ada.base}/workflows/{made['id']}", headers=ada.auth)
    assert shown.json()["workflow"] == made
    assert (await plane.client.delete(f"{ada.base}/workflows/{made['id']}", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/workflows/{made['id']}", headers=ada.auth), 404)
    listed = await plane.client.get(f"{ada.base}/workflows", headers=ada.auth)
    assert listed.json() == {"data": [], "meta": {"next_cursor": None, "per_page": 20}}


async def test_pages(plane: Plane):
    ada = await plane.person()
    names = [f"W{number}" for number in range(5)]
    for name in names:
        await plane.workflow(ada, name=name)
    seen, cursor = [], ""
    for _ in range(3):
        query = {"per_page": 2, **({"cursor": cursor} if cursor else {})}
        body = (await plane.client.get(f"{ada.base}/workflows", params=query, headers=ada.auth)).json()
        seen += [workflow["name"] for workflow in body["data"]]
        cursor = body["meta"]["next_cursor"]
    assert cursor is None
    assert sorted(seen) == names
    for query in ({"per_page": 101}, {"per_page": 0}, {"cursor": "x"}, {"per_page": "many"}, {"active": "perhaps"}):
        check_problem(await plane.client.get(f"{ada.base}/workflows", params=query, headers=ada.auth), 422)
    none = await plane.client.get(f"{ada.base}/workflows", params={"active": "true"}, headers=ada.auth)
    assert none.json()["data"] == []


async def test_every_problem_of_a_definition_at_once(plane: Plane):
    ada = await plane.person()
    broken = document()
    broken["nodes"].append({"id": "log", "type": "no_such_type"})
    broken["edges"].append({"id": "e9", "source": "nowhere", "target": "log"})
    response = await plane.client.post(f"{ada.base}/workflows", json=broken, headers=ada.auth)
    assert len(check_problem(response, 422, "invalid_definition")["errors"]) >= 3
    assert await _rows(plane, "SELECT FROM workflows") == []


async def test_scripts_that_do_not_parse_are_told_with_the_other_problems(plane: Plane):
    ada = await plane.person()
    scripts = [{"code": "return ("}, {"code": "x = [1\nreturn x", "language": "python"}, {"code": "return 1"}]
    nodes = [{"id": f"c{n}", "type": "code", "config": config} for n, config in enumerate(scripts)]
    broken = document(nodes=[*document()["nodes"], *nodes, {"id": "x", "type": "no_such_type"}])
    response = await plane.client.post(f"{ada.base}/workflows", json=broken, headers=ada.auth)
    told = {(error["pointer"], error["code"]) for error in check_problem(response, 422)["errors"]}
    places = {("/nodes/2/config/code", "script_syntax"), ("/nodes/3/config/code", "script_syntax")}
    assert {one for one in told if one[1] == "script_syntax"} == places
    assert ("/nodes/5/type", "unknown_type") in told
    made = await plane.workflow(ada)
    path = f"{ada.base}/workflows/{made['id']}"
    response = await plane.client.put(path, json=document(nodes=[*document()["nodes"], nodes[1]]), headers=ada.auth)
    problem = check_problem(response, 422, "invalid_definition")
    assert problem["detail"] == "The workflow has 1 problem."
    assert "(line 2, column 1)" in problem["errors"][0]["detail"]


async def test_a_change_is_a_new_version_and_no_change_is_none(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada)
    url = f"{ada.base}/workflows/{made['id']}"
    same = await plane.client.put(url, json=document(), headers=ada.auth)
    assert (same.json()["workflow"]["version"], same.headers["etag"]) == (1, '"1"')
    other = await plane.client.put(url, json=document(name="Bills"), headers=ada.auth)
    assert (other.json()["workflow"]["version"], other.json()["workflow"]["name"]) == (2, "Bills")
    part = await plane.client.patch(url, json={"description": "New"}, headers=ada.auth)
    assert (part.json()["workflow"]["version"], part.json()["workflow"]["name"]) == (3, "Bills")
    versions = (await plane.client.get(f"{url}/versions?per_page=2", headers=ada.auth)).json()
    assert [version["version"] for version in versions["data"]] == [3, 2]
    rest = await plane.client.get(f"{url}/versions?cursor={versions['meta']['next_cursor']}", headers=ada.auth)
    assert [version["version"] for version in rest.json()["data"]] == [1]
    first = (await plane.client.get(f"{url}/versions/1", headers=ada.auth)).json()["version"]
    assert first["definition"]["name"] == "Orders"
    check_problem(await plane.client.get(f"{url}/versions/9", headers=ada.auth), 404)
    check_problem(await plane.client.get(f"{url}/versions/{10**20}", headers=ada.auth), 422)


async def test_if_match(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada)
    url = f"{ada.base}/workflows/{made['id']}"
    first = await plane.client.put(url, json=document(name="B"), headers={**ada.auth, "If-Match": '"1"'})
    assert first.headers["etag"] == '"2"'
    for tag in ('"1"', 'W/"1"', "garbage", '"7", "1"'):
        stale = {**ada.auth, "If-Match": tag}
        check_problem(await plane.client.put(url, json=document(name="C"), headers=stale), 412, "version_conflict")
        check_problem(await plane.client.delete(url, headers=stale), 412, "version_conflict")
    any_version = await plane.client.patch(url, json={"name": "D"}, headers={**ada.auth, "If-Match": "*"})
    assert any_version.json()["workflow"]["version"] == 3
    assert (await plane.client.delete(url, headers={**ada.auth, "If-Match": '"2", "3"'})).status_code == 200


async def test_changes_at_once_lose_none(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada)
    url = f"{ada.base}/workflows/{made['id']}"
    responses = await asyncio.gather(
        *(plane.client.patch(url, json={"name": f"N{number}"}, headers=ada.auth) for number in range(6))
    )
    done = [response for response in responses if response.status_code == 200]
    assert all(response.status_code in (200, 409) for response in responses)
    assert (await _rows(plane, "SELECT count(*) FROM workflow_versions"))[0][0] == 1 + len(done)


async def test_activation_writes_what_starts_it(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada, **hook_document(path="in", methods=["POST", "PUT"]))
    trigger = made["triggers"][0]
    assert trigger["url"] == f"http://linkflow.test/webhooks/{trigger['id']}/in"
    assert not trigger["is_active"]
    assert len(trigger["id"]) >= 22  # 128 bits and more, url-safe
    url = f"{ada.base}/workflows/{made['id']}"
    on = (await plane.client.post(f"{url}/activate", headers=ada.auth)).json()["workflow"]
    assert on["is_active"]
    assert on["triggers"] == [{**trigger, "is_active": True}]
    await plane.client.put(url, json={**hook_document(path="out"), "name": "Other"}, headers=ada.auth)
    kept = (await plane.client.get(url, headers=ada.auth)).json()["workflow"]["triggers"][0]
    assert kept["id"] == trigger["id"]
    assert kept["is_active"]
    assert kept["url"].endswith("/out")
    await plane.client.put(url, json=document(), headers=ada.auth)
    assert (await plane.client.get(url, headers=ada.auth)).json()["workflow"]["triggers"] == []
    check_problem(await plane.client.post(f"/webhooks/{trigger['id']}"), 404)
    await plane.client.put(url, json=hook_document(), headers=ada.auth)
    assert (await plane.client.post(f"/webhooks/{trigger['id']}")).status_code == 202
    off = (await plane.client.post(f"{url}/deactivate", headers=ada.auth)).json()["workflow"]
    assert not off["triggers"][0]["is_active"]
    check_problem(await plane.client.post(f"/webhooks/{trigger['id']}"), 404)


async def test_schedules(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada, **cron_document(timezone="Europe/Berlin"))
    url = f"{ada.base}/workflows/{made['id']}"
    columns = "SELECT workflow_version, cron, timezone, next_at, paused FROM schedules"
    assert (await _rows(plane, columns))[0][4]
    await plane.client.post(f"{url}/activate", headers=ada.auth)
    version, cron, timezone, next_at, paused = (await _rows(plane, columns))[0]
    assert (version, cron, timezone, paused) == (1, "0 9 * * *", "Europe/Berlin", False)
    assert 0 < next_at - plane.clock.now_ms() <= 25 * 3600 * 1000
    ada = await plane.later(ada, hours=48)
    await plane.client.patch(url, json={"description": "x"}, headers=ada.auth)
    assert (await _rows(plane, columns))[0] == (2, cron, timezone, next_at, False)  # due and not fired yet: it stays
    await plane.client.put(url, json=cron_document("0 10 * * *"), headers=ada.auth)
    version, cron, timezone, moved, paused = (await _rows(plane, columns))[0]
    assert (version, cron, timezone, paused) == (3, "0 10 * * *", "UTC", False)
    assert moved > plane.clock.now_ms()
    await plane.client.post(f"{url}/deactivate", headers=ada.auth)
    assert (await _rows(plane, columns))[0][4]
    ada = await plane.later(ada, hours=48)
    await plane.client.post(f"{url}/activate", headers=ada.auth)
    assert (await _rows(plane, columns))[0][3] > plane.clock.now_ms()  # what was missed while off is not made up for
    await plane.client.delete(url, headers=ada.auth)
    assert await _rows(plane, columns) == []


async def test_schedules_start_and_end(plane: Plane):
    ada = await plane.person()
    await plane.workflow(ada, **cron_document(start_date="2090-01-01", end_date="2090-02-01"))
    await plane.workflow(ada, **cron_document(end_date="2020-01-01"))
    rows = await _rows(plane, "SELECT next_at, ends_at FROM schedules ORDER BY ends_at DESC")
    assert rows[0] == (3786944400000, 3789590400000)  # 2090-01-01T09:00Z, 2090-02-01T00:00Z
    assert rows[1][0] is None


@pytest.mark.parametrize("config", [{"cron": "nonsense"}, {"cron": "0 9 31 2 *"}, {"timezone": "Mars/Olympus"}])
async def test_a_schedule_that_cannot_work_is_refused(plane: Plane, config: dict[str, str]):
    ada = await plane.person()
    response = await plane.client.post(f"{ada.base}/workflows", json=cron_document(**config), headers=ada.auth)
    assert check_problem(response, 422)["errors"][0]["pointer"].startswith("/nodes/0/config/")


async def test_secrets_of_webhooks_are_stored_nowhere(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada, **hook_document(auth_type="bearer", token="open sesame"))
    url = f"{ada.base}/workflows/{made['id']}"
    sealed = made["nodes"][0]["config"]["token"]
    assert sealed.startswith("sha256:")
    stored = await _rows(plane, "SELECT definition FROM workflow_versions UNION ALL SELECT rules FROM webhooks")
    assert not any(b"open sesame" in row[0] for row in stored)
    echoed = (await plane.client.put(url, json=made, headers=ada.auth)).json()["workflow"]
    assert (echoed["version"], echoed["warnings"]) == (1, made["warnings"])  # an editor sends back what it got
    await plane.client.post(f"{url}/activate", headers=ada.auth)
    hook = f"/webhooks/{made['triggers'][0]['id']}"
    assert (await plane.client.post(hook, headers={"Authorization": "Bearer open sesame"})).status_code == 202
    check_problem(await plane.client.post(hook, headers={"Authorization": f"Bearer {sealed}"}), 401)


async def test_a_copy_has_addresses_of_its_own(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada, **hook_document())
    url = f"{ada.base}/workflows/{made['id']}/duplicate"
    copy = (await plane.client.post(url, headers=ada.auth)).json()["workflow"]
    assert (copy["name"], copy["is_active"], copy["version"]) == ("Hooked (copy)", False, 1)
    assert copy["triggers"][0]["id"] != made["triggers"][0]["id"]
    named = await plane.client.post(url, json={"name": "Twin"}, headers=ada.auth)
    assert named.json()["workflow"]["name"] == "Twin"


async def test_idempotency_key_of_create(plane: Plane):
    ada = await plane.person()
    headers = {**ada.auth, "Idempotency-Key": "k1"}
    first = await plane.client.post(f"{ada.base}/workflows", json=document(), headers=headers)
    again = await plane.client.post(f"{ada.base}/workflows", json=document(), headers=headers)
    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["idempotency-replayed"] == "true"
    assert again.headers["etag"] == first.headers["etag"]
    other = await plane.client.post(f"{ada.base}/workflows", json=document(name="B"), headers=headers)
    check_problem(other, 422)
    await plane.services.replies.claim(ada.workspace_id, "k2", b"", 0, 2**60)
    await plane.services.replies.claim(ada.workspace_id, "k3", b"", 0, 1)
    expired = await plane.client.post(
        f"{ada.base}/workflows", json=document(), headers={**ada.auth, "Idempotency-Key": "k3"}
    )
    assert expired.status_code == 201
    for bad in ("x" * 201, "a b", "ä".encode()):
        refused = await plane.client.post(
            f"{ada.base}/workflows", json=document(), headers={**ada.auth, "Idempotency-Key": bad}
        )
        check_problem(refused, 422)


async def test_an_idempotency_key_at_once_and_after_an_error(plane: Plane):
    ada = await plane.person()
    headers = {**ada.auth, "Idempotency-Key": "k"}
    check_problem(await plane.client.post(f"{ada.base}/workflows", json={"nodes": 1}, headers=headers), 422)
    many = await asyncio.gather(
        *(plane.client.post(f"{ada.base}/workflows", json=document(), headers=headers) for _ in range(5))
    )
    assert {response.status_code for response in many} <= {201, 409}
    assert (await _rows(plane, "SELECT count(*) FROM workflows"))[0][0] == 1


async def test_execute(plane: Plane):
    ada = await plane.person()
    made = await plane.workflow(ada)
    url = f"{ada.base}/workflows/{made['id']}/execute"
    response = await plane.client.post(url, json={"input": {"a": 1}}, headers={**ada.auth, "Idempotency-Key": "k"})
    assert response.status_code == 201
    run = response.json()["execution"]
    assert response.headers["location"] == f"{ada.base}/executions/{run['id']}"
    who, request = plane.frontend.calls[-1]
    assert (who.workspace_id, who.actor) == (ada.workspace_id, f"user:{ada.user_id}")
    assert (request.workflow_version, request.trigger_node, request.trigger) == (1, "start", {"a": 1})
    assert (request.mode, request.idempotency_key, request.wait) == ("manual", "api:k", 0.0)
    again = await plane.client.post(url, json={"input": {"a": 1}}, headers={**ada.auth, "Idempotency-Key": "k"})
    assert (again.status_code, again.json()["execution"]["id"]) == (200, run["id"])
    empty = await plane.client.post(url, headers=ada.auth)
    assert empty.status_code == 201
    assert plane.frontend.last.trigger == {}
    plane.frontend.answer = RunReply("", closed=True, status="completed", result=[1, 2])
    waited = await plane.client.post(f"{url}?wait=5", headers=ada.auth)
    assert (waited.json()["execution"]["status"], waited.json()["execution"]["result"]) == ("completed", [1, 2])
    assert plane.frontend.last.wait == 5.0


@pytest.mark.parametrize(("status", "position"), [("queued", 3), ("queued", 0), ("collecting", 0)])
async def test_a_start_that_is_not_let_in_yet_is_202(plane: Plane, status: str, position: int):
    ada = await plane.person()
    made = await plane.workflow(ada)
    plane.frontend.answer = RunReply("", status=status, position=position)
    url = f"{ada.base}/workflows/{made['id']}/execute"
    response = await plane.client.post(url, json={"on_conflict": "terminate_existing"}, headers=ada.auth)
    run = response.json()["execution"]
    assert (response.status_code, run["status"], run.get("position", 0)) == (202, status, position)
    assert response.headers["location"].endswith(run["id"])
    assert plane.frontend.last.on_conflict == "terminate_existing"


@pytest.mark.parametrize(
    ("error", "status", "told"),
    [
        (NoSlot("full", details={"key": "acme", "limit": 2}), 409, {"key": "acme", "limit": 2}),
        (
            TooManyStarts("full", details={"key": "", "limit": 1, "per": 60.0, "retry_after": 41.5}),
            429,
            {"key": "", "limit": 1, "per": 60.0, "retry_after": 41.5},
        ),
    ],
)
async def test_a_limit_that_refuses_a_start_is_named(plane: Plane, error: Exception, status: int, told: dict):
    ada = await plane.person()
    made = await plane.workflow(ada)
    plane.frontend.error = error
    response = await plane.client.post(f"{ada.base}/workflows/{made['id']}/execute", headers=ada.auth)
    body = check_problem(response, status)
    assert {name: body[name] for name in told} == told
    assert response.headers.get("retry-after") == ("42" if status == 429 else None)


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("", {"on_conflict": "fight"}),
        ("?wait=29", {}),
        ("?wait=-1", {}),
        ("?wait=nan", {}),
        ("", {"input": [1]}),
        ("", {"trigger_node": "log"}),
        ("", []),
    ],
)
async def test_execute_refuses(plane: Plane, query: str, body: object):
    ada = await plane.person()
    made = await plane.workflow(ada)
    url = f"{ada.base}/workflows/{made['id']}/execute{query}"
    check_problem(await plane.client.post(url, json=body, headers=ada.auth), 422)
    assert plane.frontend.calls == []


@pytest.mark.parametrize(
    ("error", "status", "retry_after"),
    [
        (Unavailable("away", details={"sqlstate": "57P01"}), 503, "1"),
        (DeadlineExceeded("late"), 504, None),
        (RateLimited("slow", details={"retry_after": 0.2}), 429, "1"),
        (RuntimeError("secret inside"), 500, None),
    ],
)
async def test_errors_of_the_execution_plane(plane: Plane, error: Exception, status: int, retry_after: str | None):
    ada = await plane.person()
    made = await plane.workflow(ada)
    plane.frontend.error = error
    response = await plane.client.post(f"{ada.base}/workflows/{made['id']}/execute", headers=ada.auth)
    check_problem(response, status)
    assert response.headers.get("retry-after") == retry_after
    assert "secret" not in response.text
    assert "57P01" not in response.text


async def test_a_part_away_is_503_and_readiness_names_it(plane: Plane):
    assert (await plane.client.get("/health/ready")).json()["checks"] == {"postgres": "ok", "valkey": "ok"}
    plane.down.add("valkey")
    body = check_problem(await plane.client.get("/health/ready"), 503, "not_ready")
    assert body["checks"] == {"postgres": "ok", "valkey": "down"}
    assert (await plane.client.get("/health/live")).status_code == 200
    assert (await plane.client.get("/api/v1/health")).json()["status"] == "ok"
    ada = await plane.person()
    gone = build(Database("postgresql://127.0.0.1:1/none", size=1, timeout=1.0))
    async with gone.client as client:
        response = await client.get(ada.base, headers=ada.auth)
        check_problem(response, 503, "unavailable")
        assert response.headers["retry-after"] == "1"
        assert check_problem(await client.get("/health/ready"), 503)["checks"]["postgres"] == "down"
    await gone.database.close()


async def test_one_of_several_databases_away_is_degraded_and_ready(plane: Plane):
    async def away() -> None:
        raise ConnectionError("refused")

    app = create_app(replace(plane.services, watched={"postgres:b": away}))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://linkflow.test") as client:
        response = await client.get("/health/ready")
    assert response.status_code == 200
    checks = {"postgres": "ok", "valkey": "ok", "postgres:b": "down"}
    assert response.json() == {"status": "degraded", "checks": checks}


async def test_what_fails_inside_stays_inside(plane: Plane):
    ada = await plane.person()
    with psycopg.connect(plane.database.url, autocommit=True) as admin:
        admin.execute("ALTER TABLE members RENAME TO elsewhere")
    response = await plane.client.get(ada.base, headers=ada.auth)
    check_problem(response, 500, "internal")
    assert "members" not in response.text


async def test_the_catalogue(plane: Plane):
    ada = await plane.person()
    found = (await plane.client.get("/api/v1/nodes", headers=ada.auth)).json()["data"]
    assert {"loop", "condition"} <= {node["type"] for node in found}
    one = await plane.client.get("/api/v1/nodes/logic_loop", headers=ada.auth)
    assert one.json()["node"]["type"] == "loop"
    check_problem(await plane.client.get("/api/v1/nodes/none", headers=ada.auth), 404)

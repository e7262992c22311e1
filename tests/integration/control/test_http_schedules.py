"""Schedules over HTTP: what is saved, shown, previewed, paused, run now and run for the past."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.config import Config
from linkflow.contracts.timer import TickRequest
from linkflow.postgres.timers import PostgresTimers
from linkflow.services.timer import Timer
from tests.integration.control.plane import Person, Plane, check_problem, document
from tests.integration.timer_process import SqlHistory
from tests.timer_fakes import FakeDoorbell

MINUTE = 60_000


def timed(**config: Any) -> dict[str, Any]:
    nodes = [
        {"id": "clock", "type": "trigger_schedule", "config": config},
        {"id": "log", "type": "output_log", "config": {"message": "hello"}},
    ]
    return document(nodes=nodes, edges=[{"id": "e1", "source": "clock", "target": "log"}])


async def scheduled(plane: Plane, who: Person, active: bool = True, **config: Any) -> str:
    """The address of a new schedule."""
    made = await plane.workflow(who, **timed(**config))
    if active:
        await plane.client.post(f"{who.base}/workflows/{made['id']}/activate", headers=who.auth)
    found = await plane.client.get(f"{who.base}/schedules?workflow_id={made['id']}", headers=who.auth)
    return f"{who.base}/schedules/{found.json()['data'][0]['id']}"


async def get(plane: Plane, who: Person, url: str) -> Any:
    response = await plane.client.get(url, headers=who.auth)
    assert response.status_code == 200, response.text
    return response.json()


async def post(plane: Plane, who: Person, url: str, status: int = 200, **body: Any) -> Any:
    response = await plane.client.post(url, headers=who.auth, json=body)
    assert response.status_code == status, response.text
    return response.json()


def timer(plane: Plane) -> Timer:
    history: Any = SqlHistory(plane.database, plane.clock)  # type: ignore[arg-type]
    return Timer(PostgresTimers(plane.database), history, plane.clock, FakeDoorbell(), Config())


async def test_everything_that_is_set_is_shown(plane: Plane):
    ada = await plane.person()
    url = await scheduled(
        plane, ada, every="PT15M", anchor="2026-01-01T00:05", timezone="Europe/Berlin", jitter="30s", overlap="queue_one",
        catch_up="all", catch_up_window=3600, start_date="2026-01-01", end_date="2090-01-01",
    )  # fmt: skip
    found = (await get(plane, ada, url))["schedule"]
    assert found | {"id": 0, "workflow_id": 0, "next_at": 0} == {
        "id": 0, "workflow_id": 0, "next_at": 0, "workflow_name": "Orders", "node_id": "clock", "environment": "production", "cron": None,
        "every_seconds": 900, "at": None, "timezone": "Europe/Berlin", "starts_at": "2026-01-01T00:00:00.000Z",
        "ends_at": "2090-01-01T00:00:00.000Z", "jitter_seconds": 30, "overlap": "queue_one", "catch_up": "all",
        "catch_up_window": 3600, "is_active": True, "is_paused": False, "pause": None,
    }  # fmt: skip
    assert found["next_at"].endswith((":05:00.000Z", ":20:00.000Z", ":35:00.000Z", ":50:00.000Z"))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({}, "/cron"), ({"every": "5 apples"}, "/every"), ({"every": "500ms"}, "/every"), ({"at": "soon"}, "/at"),
        ({"at": "9999-12-31T23:59:59-10:00"}, "/at"), ({"every": "9999999999w"}, "/every"),
        ({"cron": "* * * * *", "every": "5m"}, ""), ({"cron": "* * * * *", "anchor": "2026-01-01"}, ""),
        ({"every": "5m", "overlap": "maybe"}, "/overlap"), ({"every": "5m", "catch_up_window": 1}, "/catch_up_window"),
        ({"every": "5m", "jitter": "x"}, "/jitter"), ({"every": "5m", "timezone": "Mars/Olympus"}, "/timezone"),
        ({"every": "5m", "start_date": "2027-01-01", "end_date": "2026-01-01"}, ""),
    ],
)  # fmt: skip
async def test_what_cannot_be_is_refused_on_saving(shared_plane: Plane, config: dict[str, Any], field: str):
    ada = await shared_plane.somebody()
    response = await shared_plane.client.post(f"{ada.base}/workflows", json=timed(**config), headers=ada.auth)
    assert check_problem(response, 422)["errors"][0]["pointer"] == f"/nodes/0/config{field}"
    draft = {"config": config}
    response = await shared_plane.client.post(f"{ada.base}/schedules/preview", json=draft, headers=ada.auth)
    assert check_problem(response, 422)["errors"][0]["pointer"] == field


async def test_previews_follow_the_clocks(plane: Plane):
    ada = await plane.person()
    url = await scheduled(plane, ada, cron="30 2 * * *", timezone="Europe/Berlin")
    found = await get(plane, ada, f"{url}/preview?count=3&after=2027-03-27T00:00:00Z")
    assert [fire["local"] for fire in found["data"]] == [
        "2027-03-27T02:30:00+01:00", "2027-03-28T03:00:00+02:00", "2027-03-29T02:30:00+02:00",
    ]  # fmt: skip
    once = {"config": {"at": "2090-06-01T09:00"}, "timezone": "Asia/Tokyo"}
    assert (await post(plane, ada, f"{ada.base}/schedules/preview", **once))["data"] == [
        {"at": "2090-06-01T00:00:00.000Z", "local": "2090-06-01T09:00:00+09:00"}
    ]


async def test_a_pause_outlives_the_switch_and_new_versions_and_is_on_record(plane: Plane):
    plane.clock.stop()  # a test that crosses a minute would see one fire more
    ada = await plane.person()
    url = await scheduled(plane, ada, every="1m")
    found = (await post(plane, ada, f"{url}/pause", note="moving house"))["schedule"]
    assert (found["is_paused"], found["next_at"], found["pause"]["note"]) == (True, None, "moving house")
    assert found["pause"]["by"] == f"user:{ada.user_id}"
    workflow = f"{ada.base}/workflows/{found['workflow_id']}"
    for verb in ("deactivate", "activate"):
        await post(plane, ada, f"{workflow}/{verb}")
    await plane.client.patch(workflow, json={"description": "x"}, headers=ada.auth)
    assert (await get(plane, ada, url))["schedule"]["is_paused"]
    plane.clock.ahead_ms += 5 * MINUTE
    assert (await timer(plane).tick(TickRequest())).schedules == 0
    found = (await post(plane, ada, f"{url}/resume"))["schedule"]
    assert (found["is_paused"], found["pause"]) == (False, None)
    (record,) = (await get(plane, ada, f"{url}/firings"))["data"]
    assert (record["outcome"], record["reason"], record["fires"]) == ("skipped", "paused", 5)


async def test_run_now_even_while_paused(plane: Plane):
    ada = await plane.person()
    url = await scheduled(plane, ada, cron="0 0 1 1 *")
    await post(plane, ada, f"{url}/pause")
    firing = (await post(plane, ada, f"{url}/trigger", 202))["firing"]
    assert (firing["outcome"], firing["cause"]) == ("queued", "trigger")
    assert (await timer(plane).tick(TickRequest())).schedules == 1
    (record,) = (await get(plane, ada, f"{url}/firings?outcome=started"))["data"]
    assert record["id"] == firing["id"]
    assert record["execution_id"]
    assert (await timer(plane).tick(TickRequest())).schedules == 0


async def test_one_that_is_off_is_not_run(plane: Plane):
    ada = await plane.person()
    url = await scheduled(plane, ada, active=False, every="5m")
    check_problem(await plane.client.post(f"{url}/trigger", headers=ada.auth), 409, "conflict")
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"}
    check_problem(await plane.client.post(f"{url}/backfill", json=span, headers=ada.auth), 409, "conflict")


async def test_backfill_runs_the_past_in_order_and_firings_come_in_pages(plane: Plane):
    ada = await plane.person()
    url = await scheduled(plane, ada, every="1h", overlap="skip")
    span = {"from": "2026-01-01T00:00:00Z", "to": "2026-01-06T00:00:00Z", "overlap": "allow"}
    made = (await post(plane, ada, f"{url}/backfill", 202, **span))["backfill"]
    assert (made["fires"], made["first"], made["last"]) == (121, "2026-01-01T00:00:00.000Z", "2026-01-06T00:00:00.000Z")
    done, ticker = 0, timer(plane)
    for _ in range(3):
        done += (await ticker.tick(TickRequest())).schedules
    assert done == 121
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = await get(plane, ada, f"{url}/firings?per_page=50&cursor={cursor}")
        seen += [row["due_at"] for row in page["data"] if row["outcome"] == "started"]
        cursor = page["meta"]["next_cursor"]
    assert len(set(seen)) == len(seen) == 121
    assert seen == sorted(seen, reverse=True)


@pytest.mark.parametrize(
    "span",
    [
        {"from": "2026-01-01T00:00:00Z", "to": "2027-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:01Z", "to": "2026-01-01T00:00:02Z"},
        {"from": "2026-01-02T00:00:00Z", "to": "2026-01-01T00:00:00Z"},
        {"from": "2026-01-01T00:00:00", "to": "2026-01-01T01:00:00"},
        {"from": "0001-01-01T00:00:00Z", "to": "2026-01-01T01:00:00Z"},
        {},
    ],
)
async def test_backfills_are_bounded(shared_plane: Plane, span: dict[str, str]):
    ada = await shared_plane.somebody()
    url = await scheduled(shared_plane, ada, every="5m")
    check_problem(await shared_plane.client.post(f"{url}/backfill", json=span, headers=ada.auth), 422)


async def test_switching_off_drops_what_waits(plane: Plane):
    ada = await plane.person()
    url = await scheduled(plane, ada, every="1h")
    await post(plane, ada, f"{url}/trigger", 202)
    workflow = (await get(plane, ada, url))["schedule"]["workflow_id"]
    await post(plane, ada, f"{ada.base}/workflows/{workflow}/deactivate")
    assert (await timer(plane).tick(TickRequest())).schedules == 0
    (record,) = (await get(plane, ada, f"{url}/firings"))["data"]
    assert (record["outcome"], record["reason"]) == ("skipped", "switched_off")


async def test_another_workspace_sees_none_of_it(plane: Plane):
    ada, bob = await plane.person(), await plane.somebody()
    url = await scheduled(plane, ada, every="1h")
    id = url.rpartition("/")[2]
    for tail in ("", "/preview", "/firings"):
        check_problem(await plane.client.get(f"{bob.base}/schedules/{id}{tail}", headers=bob.auth), 404, "not_found")
    assert (await get(plane, bob, f"{bob.base}/schedules"))["data"] == []


async def test_a_schedule_is_made_changed_and_taken_away(plane: Plane):
    ada, bob = await plane.person(), await plane.somebody()
    flow = await plane.workflow(ada)  # start leads to log
    base, own = f"{ada.base}/schedules", f"{ada.base}/workflows/{flow['id']}"
    await plane.client.post(f"{own}/activate", headers=ada.auth)
    form = {"workflow_id": flow["id"], "config": {"cron": "0 9 * * 1-5", "timezone": "Europe/Berlin"}, "name": "Daily"}
    made = await plane.client.post(base, json=form, headers=ada.auth)
    assert made.status_code == 201, made.text
    row = made.json()["schedule"]
    assert made.headers["location"] == f"{base}/{row['id']}"
    assert (row["cron"], row["timezone"], row["node_id"], row["is_active"]) == (
        "0 9 * * 1-5", "Europe/Berlin", "schedule", True,
    )  # fmt: skip
    second = (await post(plane, ada, base, 201, **{**form, "config": {"every": "2h"}, "name": ""}))["schedule"]
    assert second["node_id"] == "schedule_2"
    saved = (await get(plane, ada, own))["workflow"]
    assert [(e["source"], e["target"]) for e in saved["edges"]] == [
        ("start", "log"), ("schedule", "log"), ("schedule_2", "log"),
    ]  # fmt: skip
    assert (saved["version"], next(n for n in saved["nodes"] if n["id"] == "schedule")["name"]) == (3, "Daily")

    url = f"{base}/{row['id']}"
    changed = await plane.client.patch(url, json={"config": {"every": "15m", "timezone": None}}, headers=ada.auth)
    found = changed.json()["schedule"]
    assert (found["id"], found["cron"], found["every_seconds"], found["timezone"]) == (row["id"], None, 900, "UTC")
    wrong = await plane.client.patch(url, json={"config": {"cron": "x", "overlap": "y"}}, headers=ada.auth)
    assert len(check_problem(wrong, 422)["errors"]) == 2
    for body in ({"workflow_id": flow["id"], "config": {}}, {"workflow_id": flow["id"]}):
        check_problem(await plane.client.post(base, json=body, headers=ada.auth), 422)
    for verb, tail, body in (
        ("POST", "", form),
        ("PATCH", f"/{row['id']}", {"config": {}}),
        ("DELETE", f"/{row['id']}", None),
    ):
        there = f"{bob.base}/schedules{tail}"
        check_problem(await plane.client.request(verb, there, json=body, headers=bob.auth), 404)

    assert (await plane.client.delete(url, headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(url, headers=ada.auth), 404)
    saved = (await get(plane, ada, own))["workflow"]
    assert [node["id"] for node in saved["nodes"]] == ["start", "log", "schedule_2"]
    assert [edge["source"] for edge in saved["edges"]] == ["start", "schedule_2"]

"""Rules of who is told, over HTTP: what can be a rule, whose it is, and trying it."""

from __future__ import annotations

from typing import Any

import pytest

from linkflow.contracts.frontend import RunReply
from tests.integration.control.plane import Plane, check_problem

HOOK = {"name": "On call", "events": ["failed"], "channel": {"type": "webhook", "url": "https://hooks.example/x"}}


async def _credential(plane: Plane, who: Any, type: str, **data: Any) -> dict[str, Any]:
    form = {"name": f"Own {type}", "type": type, "data": data}
    made = await plane.client.post(f"{who.base}/credentials", json=form, headers=who.auth)
    assert made.status_code == 201, made.text
    found: dict[str, Any] = made.json()["credential"]
    return found


async def test_a_rule_is_made_changed_and_deleted(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    at = f"{ada.base}/notifications"
    workflow = await plane.workflow(ada)
    made = await plane.client.post(at, json={**HOOK, "workflow_ids": [workflow["id"]]}, headers=ada.auth)
    assert (made.status_code, made.headers["etag"]) == (201, '"1"')
    rule = made.json()["notification"]
    assert made.headers["location"] == f"{at}/{rule['id']}"
    assert (rule["every_seconds"], rule["after_seconds"], rule["is_enabled"]) == (300, 0, True)
    assert rule["deliveries_href"].endswith(f"/executions?workflow_id={rule['id']}")
    one = await plane.client.get(f"{at}/{rule['id']}", headers=ada.auth)
    assert one.json()["notification"] == rule
    assert (await plane.client.get(at, headers=ada.auth)).json()["data"] == [rule]
    assert (await plane.client.get(f"{bob.base}/notifications", headers=bob.auth)).json()["data"] == []
    listed = (await plane.client.get(f"{ada.base}/workflows", headers=ada.auth)).json()["data"]
    assert [found["id"] for found in listed] == [workflow["id"]], "the workflow of a rule is in no list"
    check_problem(await plane.client.get(f"{ada.base}/workflows/{rule['id']}", headers=ada.auth), 404)
    changed = {**HOOK, "name": "Others", "events": ["approval", "long_running"], "after_seconds": 600}
    put = await plane.client.put(f"{at}/{rule['id']}", json=changed, headers={**ada.auth, "If-Match": '"1"'})
    assert put.json()["notification"]["version"] == 2
    stale = await plane.client.put(f"{at}/{rule['id']}", json=changed, headers={**ada.auth, "If-Match": '"1"'})
    check_problem(stale, 412)
    for verb, path in (("GET", ""), ("PUT", ""), ("DELETE", ""), ("POST", "/test")):
        for who in (bob.base, ada.base.replace(ada.base[-4:], "0000")):
            target = f"{who}/notifications/{rule['id']}{path}"
            check_problem(await plane.client.request(verb, target, json=HOOK, headers=bob.auth), 404)
    assert (await plane.client.delete(f"{at}/{rule['id']}", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.delete(f"{at}/{rule['id']}", headers=ada.auth), 404)


@pytest.mark.parametrize(
    ("change", "pointers"),
    [
        ({"events": []}, {"/events"}),
        ({"events": ["long_running"]}, {"/after_seconds"}),
        ({"channel": {"type": "webhook"}, "workflow_ids": ["x"]}, {"/channel/url", "/workflow_ids/0"}),
        ({"channel": {"type": "webhook", "url": "{{ 1 +"}}, {"/channel/url"}),
        ({"channel": {"type": "webhook", "url": "https://x.example", "credential": "nobody"}}, {"/channel/credential"}),
        ({"channel": {"type": "email"}}, {"/channel/to"}),
        ({"channel": {"type": "slack", "to": ["#a", "#b"]}}, {"/channel/to", "/channel/credential"}),
        ({"events": ["never"]}, {"/events/0"}),
    ],
)
async def test_what_can_be_no_rule(plane: Plane, change: dict[str, Any], pointers: set[str]):
    ada = await plane.somebody()
    refused = await plane.client.post(f"{ada.base}/notifications", json={**HOOK, **change}, headers=ada.auth)
    assert {fault["pointer"] for fault in check_problem(refused, 422)["errors"]} == pointers


async def test_credentials_have_to_fit_and_are_kept_by_id(plane: Plane):
    ada = await plane.somebody()
    at = f"{ada.base}/notifications"
    slack = await _credential(plane, ada, "slack", token="xoxb-0123456789")
    channel = {"type": "slack", "to": ["#ops"], "credential": "Own slack"}
    made = await plane.client.post(at, json={**HOOK, "channel": channel}, headers=ada.auth)
    assert made.json()["notification"]["channel"] == {**channel, "url": None, "credential": slack["id"]}
    wrong = {"type": "webhook", "url": "https://x.example", "credential": slack["id"]}
    refused = check_problem(await plane.client.post(at, json={**HOOK, "channel": wrong}, headers=ada.auth), 422)
    assert [fault["pointer"] for fault in refused["errors"]] == ["/channel/credential"]


async def test_a_rule_is_tried(plane: Plane):
    ada = await plane.somebody()
    made = await plane.client.post(f"{ada.base}/notifications", json=HOOK, headers=ada.auth)
    rule = made.json()["notification"]
    plane.frontend.answer = RunReply("", closed=True, status="failed", error={"code": "webhook_error"})
    tried = await plane.client.post(f"{ada.base}/notifications/{rule['id']}/test", headers=ada.auth)
    body = tried.json()
    assert (body["message"], body["execution"]["error"]) == ("Not delivered.", {"code": "webhook_error"})
    asked = plane.frontend.last
    assert (asked.workflow_id, asked.mode, asked.trigger["type"]) == (rule["id"], "notification", "test")
    assert asked.wait > 0

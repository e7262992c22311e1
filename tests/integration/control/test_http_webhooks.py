"""The webhooks' receiver: who comes in, what the run is given, what the caller is answered."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from linkflow.contracts.frontend import RunReply
from linkflow.domain.errors import InvalidInput, Unavailable
from tests.integration.control.plane import Plane, check_problem, hook_document


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


async def test_a_call_starts_a_run_with_its_data(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    response = await plane.client.post(
        f"{hook}/a/b?x=1&y=2&y=3&z=",
        json={"order": 7},
        headers={"Authorization": "Bearer mine", "Cookie": "session=1", "X-Shop": "s1", "Idempotency-Key": "k"},
    )
    assert response.status_code == 202
    body = response.json()
    assert body["status_url"].startswith("http://linkflow.test/webhook-runs/")
    assert response.headers["location"] == body["status_url"]
    who, request = plane.frontend.calls[-1]
    assert (who.workspace_id, who.actor) == (ada.workspace_id, "webhook:hook")
    assert (request.mode, request.trigger_node, request.idempotency_key) == ("webhook", "hook", "webhook:hook:k")
    trigger = request.trigger
    assert (trigger["method"], trigger["path"], trigger["body"]) == ("POST", "a/b", {"order": 7})
    assert trigger["query"] == {"x": "1", "y": ["2", "3"], "z": ""}
    assert trigger["headers"]["x-shop"] == "s1"
    assert trigger["ip"] == "127.0.0.1"
    assert not {"authorization", "cookie"} & trigger["headers"].keys()


async def test_deliveries_that_come_twice_start_one_run(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    for header in ("Idempotency-Key", "webhook-id"):
        ids = {
            (await plane.client.post(hook, headers={header: f"m-{header}"})).json()["execution_id"] for _ in range(3)
        }
        assert len(ids) == 1
    check_problem(await plane.client.post(hook, headers={"webhook-id": "x" * 300}), 422)


async def test_methods_and_paths(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada, path="orders/new", methods=["GET", "PUT"])
    assert (await plane.client.get(hook)).status_code == 202
    assert (await plane.client.put(f"{hook}/orders/new")).status_code == 202
    assert (await plane.client.put(f"{hook}/orders/new/")).status_code == 202
    check_problem(await plane.client.put(f"{hook}/orders"), 404)
    for method in ("POST", "DELETE", "OPTIONS", "PATCH"):
        response = await plane.client.request(method, hook)
        check_problem(response, 405, "method_not_allowed")
        assert response.headers["allow"] == "GET, PUT"
    check_problem(await plane.client.request("BREW", hook), 405)


async def test_unknown_and_switched_off_look_the_same(plane: Plane):
    ada = await plane.person()
    off = await plane.webhook(ada, active=False)
    details = {
        check_problem(await plane.client.post(path), 404)["detail"]
        for path in (off, "/webhooks/" + "a" * 32, "/webhooks/short", "/webhooks/%F0%9F%98%80" + "x" * 30)
    }
    assert len(details) == 1
    check_problem(await plane.client.post("/webhooks/"), 404)
    assert plane.frontend.calls == []


@pytest.mark.parametrize(
    ("config", "good", "bad"),
    [
        (
            {"auth_type": "bearer", "token": "töken"},
            [{"Authorization": "Bearer töken".encode()}, {"Authorization": "bearer  töken".encode()}],
            [
                {},
                {"Authorization": "Bearer token"},
                {"Authorization": "Basic töken".encode()},
                {"Authorization": "Bearer"},
            ],
        ),
        (
            {"auth": {"type": "header", "header_name": "X-Key", "header_value": "s3cret"}},
            [{"x-key": "s3cret"}],
            [{}, {"x-key": ""}, {"x-key": "s3cret "[:-2]}, {"Authorization": "s3cret"}],
        ),
        (
            {"auth_type": "basic", "username": "shop", "password": "p:w"},
            [{"Authorization": _basic("shop", "p:w")}],
            [
                {},
                {"Authorization": _basic("shop", "p")},
                {"Authorization": _basic("other", "p:w")},
                {"Authorization": _basic("other", "")},
                {"Authorization": "Basic ***"},
                {"Authorization": "Basic " + "é"},
            ],
        ),
    ],
    ids=["bearer", "header", "basic"],
)
async def test_secrets(plane: Plane, config: dict[str, Any], good: list[dict], bad: list[dict]):
    ada = await plane.person()
    hook = await plane.webhook(ada, **config)
    for headers in good:
        assert (await plane.client.post(hook, headers=headers)).status_code == 202, headers
        assert "x-key" not in plane.frontend.last.trigger["headers"]
    started = len(plane.frontend.calls)
    for headers in bad:
        raw = {name: value if isinstance(value, bytes) else value.encode() for name, value in headers.items()}
        response = await plane.client.post(hook, headers=raw)
        check_problem(response, 401, "unauthenticated")
        assert response.headers["www-authenticate"]
    assert len(plane.frontend.calls) == started


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/json", b'{"a":[1,2.5,null]}', {"a": [1, 2.5, None]}),
        ("application/vnd.shop+json; charset=UTF-8", b'"x"', "x"),
        ("application/x-www-form-urlencoded", b"a=1&b=2&b=3&c=%C3%A9", {"a": "1", "b": ["2", "3"], "c": "é"}),
        ("text/plain", "héllo".encode(), "héllo"),
        ("", b"anything", "anything"),
        ("application/json", b"", None),
        ("text/plain", b"a\0b", {"content_type": "text/plain", "size": 3, "base64": "YQBi"}),
        ("image/png", b"\x89PNG\xff", {"content_type": "image/png", "size": 5, "base64": "iVBOR/8="}),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x\r\nContent-Disposition: form-data; name="f"; '
            b'filename="../b.txt"\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n',
            {"a": "1", "f": {"filename": "b.txt", "content_type": "text/plain", "size": 2, "base64": "aGk="}},
        ),
    ],
)
async def test_bodies(plane: Plane, content_type: str, body: bytes, expected: object):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    headers = {"Content-Type": content_type} if content_type else {}
    assert (await plane.client.post(hook, content=body, headers=headers)).status_code == 202
    assert plane.frontend.last.trigger["body"] == expected


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("application/json", b'{"a":', 400),
        ("application/json", b"NaN", 400),
        ("application/json", b'"\xff"', 400),
        ("application/json", b'"\\ud800"', 400),
        ("application/json", b"[" * 5000 + b"]" * 5000, 400),
        ("application/json", b'{"a":["\\u0000"]}', 422),
        ("application/x-www-form-urlencoded", b"a=%00", 400),
        ("application/x-www-form-urlencoded", b"a=%FF", 400),
        ("application/x-www-form-urlencoded", b"&".join(b"a=1" for _ in range(2000)), 400),
        ("multipart/form-data; boundary=x", b"--x--", 400),
        ("multipart/form-data", b"--x\r\n\r\n1\r\n--x--", 400),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--", 400),
        ("text/plain", b"x" * (1024 * 1024 + 1), 413),
    ],
)
async def test_bodies_that_are_refused(plane: Plane, content_type: str, body: bytes, status: int):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    check_problem(await plane.client.post(hook, content=body, headers={"Content-Type": content_type}), status)
    check_problem(await plane.client.post(f"{hook}?a=%00"), 400)
    check_problem(await plane.client.post(f"{hook}/%00"), 400)
    assert plane.frontend.calls == []


async def test_the_limit_of_calls(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada, rate_limit=1)
    plane.limiter.free = 1
    assert (await plane.client.post(hook)).status_code == 202
    response = await plane.client.post(hook)
    check_problem(response, 429, "rate_limited")
    assert response.headers["retry-after"] == "3"


async def test_a_fixed_answer(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada, response_status=201, response_body={"thanks": True})
    response = await plane.client.post(hook)
    assert (response.status_code, response.json()) == (201, {"thanks": True})
    assert response.headers["x-execution-id"]


async def test_waiting_for_the_result(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada, response_mode="wait")
    plane.frontend.answer = RunReply("", closed=True, status="completed", result={"sum": 3})
    response = await plane.client.post(hook)
    assert (response.status_code, response.json()) == (200, {"sum": 3})
    assert plane.frontend.last.wait == 25.0
    plane.frontend.answer = RunReply("", closed=False)
    late = await plane.client.post(hook)
    assert late.status_code == 202
    assert late.json()["status_url"].startswith("http://linkflow.test/webhook-runs/")
    plane.frontend.answer = RunReply("", status="queued", position=4)
    body = (await plane.client.post(hook)).json()
    assert (body["status"], body["position"]) == ("queued", 4)
    for status in ("failed", "cancelled", "timed_out", "terminated"):
        error = {"code": "http_500", "message": "inside"}
        plane.frontend.answer = RunReply("", closed=True, status=status, error=error)
        body = check_problem(failed := await plane.client.post(hook), 502, f"execution_{status}")
        assert body["execution_id"]
        assert "inside" not in failed.text


@pytest.mark.parametrize(
    ("answer", "status", "content_type", "content"),
    [
        ({"status": 418, "headers": {"X-A": "b"}, "body": {"t": 1}}, 418, "application/json", b'{"t":1}'),
        ({"status": 200, "headers": {"Content-Type": "text/html"}, "body": "<p>"}, 200, "text/html", b"<p>"),
        ({"status": 200, "headers": {}, "body": "hi"}, 200, "text/plain; charset=utf-8", b"hi"),
        ({"status": 204, "headers": {}, "body": "x"}, 204, None, b""),
        ({"status": 999, "headers": "no", "body": [1]}, 200, "application/json", b"[1]"),
        (
            {"status": 200, "headers": {"X\r\nY": "1", "Set-Cookie": "a=b", "Z": "1\r\nQ: 2"}, "body": 1},
            200,
            None,
            b"1",
        ),
        ([1, 2], 200, "application/json", b"[1,2]"),
        (None, 200, "application/json", b"null"),
    ],
)
async def test_what_a_respond_node_says(
    plane: Plane, answer: object, status: int, content_type: str | None, content: bytes
):
    ada = await plane.person()
    hook = await plane.webhook(ada, response_mode="wait")
    plane.frontend.answer = RunReply("", closed=True, status="failed", result=answer, answered=True)
    response = await plane.client.post(hook)
    assert (response.status_code, response.content) == (status, content)
    if content_type:
        assert response.headers["content-type"] == content_type
    assert response.headers["content-security-policy"] == "sandbox"
    assert not {"set-cookie", "z", "q"} & response.headers.keys()


async def test_the_execution_plane_away(plane: Plane):
    ada = await plane.person()
    hook = await plane.webhook(ada)
    plane.frontend.error = Unavailable("away")
    check_problem(await plane.client.post(hook), 503)
    plane.frontend.error = InvalidInput("no")
    check_problem(await plane.client.post(hook), 422)


@pytest.mark.parametrize(
    "config",
    [
        {"path": "../x"},
        {"methods": ["BREW"]},
        {"methods": []},
        {"auth_type": "magic"},
        {"auth_type": "bearer"},
        {"auth_type": "basic", "username": "shop"},
        {"wait_timeout": 29},
        {"auth_type": "bearer", "token": "{{ vars.T }}"},
        {"response_status": 42},
        {"rate_limit": "{{ 1 }}"},
        {"nonsense": 1},
        {"path": "a/:1x"},
        {"auth": {"type": "hmac"}},
        {"auth": {"type": "hmac", "credential": "c", "preset": "custom"}},
        {"auth": {"type": "hmac", "credential": "c", "preset": "custom", "custom": {"signed": "x"}}},
        {"dedupe": {}},
        {"dedupe": {"header": "x-id", "key": "{{ trigger.body.id }}"}},
        {"dedupe": {"key": "no expression"}},
        {"dedupe": {"key": "{{ vars.X }}"}},
        {"dedupe": {"key": "{{ trigger. }}"}},
        {"cors_origins": ["shop.example"]},
    ],
)
async def test_settings_that_cannot_work_are_refused(plane: Plane, config: dict[str, Any]):
    ada = await plane.person()
    response = await plane.client.post(f"{ada.base}/workflows", json=hook_document(**config), headers=ada.auth)
    assert check_problem(response, 422, "invalid_definition")["errors"][0]["pointer"].startswith("/nodes/0/config")

"""Whatever is sent, the answer is a problem document below 500."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from linkflow.domain.ids import uuid7
from linkflow.http.app import routes
from tests.integration.control.plane import PASSWORD, Person, Plane, check_problem, document, hook_document


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    shared_plane.watched.on = False  # what comes by chance has answers by chance
    return shared_plane


JSON = {"Content-Type": "application/json"}

BROKEN = {
    "empty object": b"{}",
    "null": b"null",
    "list": b"[]",
    "number": b"1",
    "text": b'"x"',
    "cut off": b'{"name":',
    "trailing": b"{} {}",
    "single quotes": b"{'a': 1}",
    "NaN": b'{"name": NaN}',
    "Infinity": b'{"name": -Infinity}',
    "float too large": b'{"name": 1e999}',
    "huge integer": b'{"name": ' + b"9" * 10_000 + b"}",
    "large integer": b'{"name": ' + b"9" * 300 + b"}",
    "not UTF-8": b'{"name": "\xff"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "byte order mark": b"\xef\xbb\xbf{}",
    "surrogate": b'{"name": "\\ud800"}',
    "surrogate bytes": b'{"name": "\xed\xa0\x80"}',
    "NUL escape": b'{"name": "a\\u0000b", "email": "a\\u0000@example.com", "input": {"k\\u0000": 1}}',
    "NUL": b'{"name": "\0"}',
    "deep list": b"[" * 50_000 + b"]" * 50_000,
    "deep object": b'{"name":' * 5_000 + b"1" + b"}" * 5_000,
    "deep inside": b'{"input": {"a": ' + b"[" * 200 + b"]" * 200 + b"}}",
    "wrong types": b'{"name": {}, "nodes": {}, "edges": 1, "role": [], "email": 1, "input": "x", "reason": []}',
    "double keys": b'{"name": "a", "name": {"b": 1}}',
    "long text": b'{"name": "' + b"x" * 100_000 + b'"}',
    "blank": b"   ",
    "newline in text": b'{"name": "\n"}',
    "proto": b'{"__proto__": {"role": "owner"}, "name": ""}',
}


def _routes_with_bodies() -> list[tuple[str, str]]:
    return [
        (method, route.path)
        for route in routes()
        for method in sorted((route.methods or set()) & {"POST", "PUT", "PATCH"})
        if route.path.startswith("/api/")
    ]


def _path(template: str, who: Person, workflow: str) -> str:
    path = template.replace("{workspace_id}", who.workspace_id).replace("{workflow_id}", workflow)
    return re.sub(r"\{[^}]*\}", lambda _: uuid7(1_764_000_000_000, 1, 1), path)


def _calm(response: httpx.Response) -> None:
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        check_problem(response, response.status_code)
    else:
        json.loads(response.content)


@pytest.mark.parametrize(("method", "template"), _routes_with_bodies(), ids=lambda value: str(value))
async def test_broken_bodies(plane: Plane, method: str, template: str):
    ada = await plane.somebody()
    path = _path(template, ada, (await plane.workflow(ada))["id"])
    for name, body in BROKEN.items():
        response = await plane.client.request(method, path, content=body, headers={**ada.auth, **JSON})
        assert response.status_code < 500, (name, response.text)
        _calm(response)
        if response.status_code < 300:  # something has changed: begin anew
            ada = await plane.somebody()
            path = _path(template, ada, (await plane.workflow(ada))["id"])


@pytest.mark.parametrize("method_and_path", [("POST", "auth/login"), ("POST", "workspaces")])
@pytest.mark.parametrize(
    "content_type",
    ["", "text/plain", "application/xml", "application/json; charset=utf-16", "json", "\xff", "application/x+json2"],
)
async def test_media_types(plane: Plane, method_and_path: tuple[str, str], content_type: str):
    ada = await plane.somebody()
    method, tail = method_and_path
    headers = {**ada.auth, "Content-Type": content_type.encode("latin-1")}
    response = await plane.client.request(method, f"/api/v1/{tail}", content=b'{"name": "x"}', headers=headers)
    check_problem(response, 415, "unsupported_media_type")


async def test_large_bodies(plane: Plane):
    ada = await plane.somebody()
    url = f"{ada.base}/workflows"
    large = b'{"name": "' + b"x" * (1024 * 1024) + b'"}'

    async def in_parts():
        for start in range(0, len(large), 10_000):
            yield large[start : start + 10_000]

    for content in (large, in_parts()):
        response = await plane.client.post(url, content=content, headers={**ada.auth, **JSON})
        check_problem(response, 413, "payload_too_large")
    for length in ("99999999999", "9" * 5000):
        headers = {**ada.auth, **JSON, "Content-Length": length}
        check_problem(await plane.client.post(url, content=b"{}", headers=headers), 413)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/api/v1", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v1/health/", 404),
        ("GET", "/api/v1/%00", 400),
        ("GET", "/api/v1/user?x=%00", 400),
        ("GET", "/api/v1/%ff", 404),
        ("DELETE", "/api/v1/auth/login", 405),
        ("TRACE", "/api/v1/user", 405),
        ("BREW", "/health/live", 405),
    ],
)
async def test_addresses_and_methods(plane: Plane, method: str, path: str, status: int):
    response = await plane.client.request(method, path)
    check_problem(response, status)
    if status == 405:
        assert response.headers["allow"]


async def test_allow_names_every_method_of_an_address(plane: Plane):
    ada = await plane.somebody()
    response = await plane.client.delete(f"{ada.base}/workflows", headers=ada.auth)
    check_problem(response, 405)
    assert response.headers["allow"] == "GET, POST"


async def test_request_ids(plane: Plane):
    given = await plane.client.get("/health/live", headers={"X-Request-Id": "abc-1.2_3"})
    assert given.headers["x-request-id"] == "abc-1.2_3"
    for bad in (b"", b"a b", b"x" * 200, b"a\xff", b"<script>"):
        made = await plane.client.get("/health/live", headers={"X-Request-Id": bad})
        assert re.fullmatch(r"[0-9a-f]{32}", made.headers["x-request-id"])


async def test_pointers_of_wrong_fields(plane: Plane):
    form = {"first_name": "", "last_name": 1, "email": "no", "password": PASSWORD}
    body = check_problem(await plane.client.post("/api/v1/auth/register", json=form), 422, "invalid_input")
    pointers = {fault["pointer"] for fault in body["errors"]}
    assert pointers == {"/first_name", "/last_name", "/email", "/password_confirmation"}
    assert PASSWORD not in json.dumps(body)
    ada = await plane.somebody()
    query = check_problem(await plane.client.get(f"{ada.base}/workflows?per_page=x", headers=ada.auth), 422)
    assert (query["errors"][0]["pointer"], query["errors"][0]["in"]) == ("/per_page", "query")
    nul = await plane.client.post(
        f"{ada.base}/workflows", content=b'{"nodes": [{"a/b": "\\u0000"}]}', headers={**ada.auth, **JSON}
    )
    assert check_problem(nul, 422)["errors"][0]["pointer"] == "/nodes/0/a~1b"


async def test_openapi(plane: Plane):
    spec = (await plane.client.get("/openapi.json")).json()
    assert spec["openapi"].startswith("3.1")
    execute = spec["paths"]["/api/v1/workspaces/{workspace_id}/workflows/{workflow_id}/execute"]["post"]
    assert execute["security"] == [{"bearer": []}]
    assert execute["x-permission"] == "workflow.execute"
    assert execute["responses"]["default"] == {"$ref": "#/components/responses/Problem"}
    assert "application/problem+json" in spec["components"]["responses"]["Problem"]["content"]
    assert (await plane.client.get("/docs")).status_code == 200


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=()), max_size=20)
    | st.sampled_from(
        ["", "{{", "{{ x }}", "\0", "\ud800", "../..", "'; DROP TABLE users --", "trigger_webhook", "loop"]
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@st.composite
def bent(draw: st.DrawFn) -> Any:
    """A good document in which one or two places were replaced by anything."""
    value = draw(st.sampled_from([document(), hook_document(auth_type="bearer", token="t"), {"input": {}}]))
    value = json.loads(json.dumps(value))
    for _ in range(draw(st.integers(1, 2))):
        place = value
        while isinstance(place, dict | list) and place:
            keys = list(place) if isinstance(place, dict) else list(range(len(place)))
            key = draw(st.sampled_from(keys))
            if draw(st.booleans()) or not isinstance(place[key], dict | list):
                place[key] = draw(VALUES)
                break
            place = place[key]
    return value


@pytest.fixture(scope="module")
async def ada(plane: Plane) -> Person:
    return await plane.somebody()


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=bent() | VALUES)
async def test_anything_as_a_workflow(plane: Plane, ada: Person, body: Any):
    made = await plane.workflow(ada)
    content = json.dumps(body).encode()  # lone surrogates go out as escapes, big integers as they are
    for method, tail in [
        ("POST", ""),
        ("PUT", f"/{made['id']}"),
        ("PATCH", f"/{made['id']}"),
        ("POST", f"/{made['id']}/execute"),
    ]:
        url = f"{ada.base}/workflows{tail}"
        _calm(await plane.client.request(method, url, content=content, headers={**ada.auth, **JSON}))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    raw=st.binary(max_size=64) | VALUES.map(lambda value: json.dumps(value).encode()),
    kind=st.sampled_from(["application/json", "application/x-www-form-urlencoded", "text/plain", "x/y", ""]),
    query=st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="#"), max_size=20),
)
async def test_anything_at_a_webhook(plane: Plane, ada: Person, raw: bytes, kind: str, query: str):
    hook = await plane.webhook(ada)
    _calm(await plane.client.post(f"{hook}?{query}", content=raw, headers={"Content-Type": kind}))
    for _, request in plane.frontend.calls:
        json.dumps(getattr(request, "trigger", None)).encode()
    plane.frontend.calls.clear()

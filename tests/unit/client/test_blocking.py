"""The client against a server on loopback that answers as it is told: when it tries again, and what it makes of refusals."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from linkflow.client import Conflict, InvalidInput, LinkFlow, NoAnswer, NotFound, RateLimited, ServerError

DROPPED = 0
"""Stands for a connection that is closed without an answer."""


@dataclass
class Script:
    """What is answered, one after the other, and what came."""

    answers: list[tuple[int, dict[str, str], Any]] = field(default_factory=list)
    came: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def say(self, status: int, body: Any = None, **headers: str) -> None:
        self.answers.append((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))

    def problem(self, status: int, code: str, detail: str = "No.", **headers: str) -> None:
        self.say(status, {"status": status, "code": code, "detail": detail, "request_id": "r1"}, **headers)

    def keys(self) -> list[str]:
        return [headers.get("idempotency-key", "") for _, _, headers, _ in self.came]


@pytest.fixture
def peer() -> Iterator[Script]:
    script = Script()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            script.came.append((self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body))
            status, headers, data = script.answers.pop(0)
            if status == DROPPED:
                self.close_connection = True
                return
            text = json.dumps(data).encode()
            self.send_response(status)
            kind = "application/problem+json" if status >= 400 else "application/json"
            for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = answer

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    script.url = f"http://127.0.0.1:{server.server_address[1]}"
    yield script
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def slept() -> list[float]:
    return []


@pytest.fixture
def flow(peer: Script, slept: list[float]) -> Iterator[LinkFlow]:
    with LinkFlow(peer.url, key="lf_x", workspace="w1", sleep=slept.append, retries=3) as made:
        yield made


def test_a_post_is_tried_again_with_the_key_it_had(flow: LinkFlow, peer: Script, slept: list[float]) -> None:
    peer.say(DROPPED)
    peer.problem(503, "unavailable", Retry_After="7")
    peer.problem(409, "conflict", "The first request with this Idempotency-Key is still under way.")
    peer.say(201, {"execution": {"id": "e1"}})
    assert flow.workflows.execute("a/b", input={"n": 1}, wait=2.5)["execution"]["id"] == "e1"
    assert len(set(peer.keys())) == 1
    assert peer.keys()[0]
    assert slept == [0.2, 7.0, 0.8]
    method, path, headers, body = peer.came[-1]
    assert (method, path) == ("POST", "/api/v1/workspaces/w1/workflows/a%2Fb/execute?wait=2.5")
    assert headers["authorization"] == "Bearer lf_x"
    assert json.loads(body) == {"input": {"n": 1}}


def test_a_key_of_ones_own(flow: LinkFlow, peer: Script) -> None:
    peer.say(201, {"execution": {"id": "e1"}})
    flow.workflows.execute("w", idempotency_key="order-7")
    assert peer.keys() == ["order-7"]


def test_what_may_have_been_done_is_not_done_twice(flow: LinkFlow, peer: Script, slept: list[float]) -> None:
    peer.problem(502, "bad_gateway")
    with pytest.raises(ServerError):
        flow.variables.amend("v1", value="x")
    peer.say(DROPPED)
    with pytest.raises(NoAnswer):
        flow.variables.amend("v1", value="x")
    assert (len(peer.came), slept) == (2, [])
    peer.problem(429, "rate_limited", Retry_After="1")  # it was refused before anything was done
    peer.say(200, {"variable": {}})
    flow.variables.amend("v1", description=None)
    assert json.loads(peer.came[-1][3]) == {"description": None}, "null is something, left out is nothing"


def test_it_gives_up(flow: LinkFlow, peer: Script, slept: list[float]) -> None:
    for _ in range(4):
        peer.problem(429, "rate_limited", Retry_After="2")
    with pytest.raises(RateLimited) as caught:
        flow.executions.index()
    assert caught.value.retry_after == 2
    assert slept == [2.0, 2.0, 2.0]
    nowhere = LinkFlow("http://127.0.0.1:9", key="lf_x", workspace="w", sleep=slept.append, retries=1)
    with nowhere, pytest.raises(NoAnswer):
        nowhere.executions.index()


def test_refusals_have_types_and_every_fault(flow: LinkFlow, peer: Script) -> None:
    faults = [{"pointer": "/nodes/0", "code": "unknown_type", "detail": "There is no such node type."}]
    peer.say(422, {"status": 422, "code": "invalid_definition", "detail": "1 problem.", "errors": faults})
    with pytest.raises(InvalidInput) as caught:
        flow.workflows.create({"name": "x"})
    assert (caught.value.code, caught.value.faults[0].pointer) == ("invalid_definition", "/nodes/0")
    assert str(caught.value).splitlines()[1] == "  /nodes/0: There is no such node type."
    peer.problem(404, "not_found")
    with pytest.raises(NotFound) as missing:
        flow.executions.show("e1")
    assert missing.value.request_id == "r1"
    peer.problem(409, "conflict", "It is over.")
    with pytest.raises(Conflict):
        flow.executions.cancel("e1")
    assert len(peer.came) == 3


def test_rows_come_page_by_page(flow: LinkFlow, peer: Script) -> None:
    peer.say(200, {"data": [{"id": 1}, {"id": 2}], "meta": {"next_cursor": "c 2", "per_page": 2}})
    peer.say(200, {"data": [{"id": 3}], "meta": {"next_cursor": None, "per_page": 2}})
    found = [row["id"] for row in flow.executions.each(status="failed", attribute=["a=1", "b=2"], per_page=2)]
    assert found == [1, 2, 3]
    assert peer.came[1][1] == (
        "/api/v1/workspaces/w1/executions?status=failed&cursor=c+2&per_page=2&attribute=a%3D1&attribute=b%3D2"
    )


def test_the_first_workspace_is_taken_where_none_is_given(peer: Script) -> None:
    peer.say(200, {"data": [{"id": "first"}]})
    peer.say(200, {"workspace": {}}, ETag='"7"')
    with LinkFlow(peer.url, key="lf_x") as flow:
        answer = flow.request("GET", "/api/v1/workspaces/{workspace_id}")
    assert (peer.came[1][1], answer.etag) == ("/api/v1/workspaces/first", '"7"')


def test_a_session_is_renewed_when_it_is_over(peer: Script) -> None:
    peer.say(200, {"access_token": "one"})
    peer.say(200, {"data": []})
    peer.problem(401, "unauthenticated")
    peer.say(200, {"access_token": "two"})
    peer.say(200, {"data": []})
    with LinkFlow(peer.url, email="a@example.com", password="p", workspace="w") as flow:
        flow.queues.index()
        flow.queues.index()
    assert [came[2].get("authorization") for came in peer.came] == [
        None,
        "Bearer one",
        "Bearer one",
        None,
        "Bearer two",
    ]

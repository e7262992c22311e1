"""Steps of a deployment as CloudFormation asks for them, which waits for the answer at an address."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from linkflow import bootstrap
from linkflow.domain.errors import InvalidInput
from linkflow.transports.lambda_step import StepDoor

CONTEXT: Any = None


class Waiting:
    """CloudFormation's side."""

    def __init__(self) -> None:
        self.answers: list[Any] = []
        answers = self.answers

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_PUT(self) -> None:
                assert not self.headers["content-type"], "the address is signed without one"
                answers.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:
                return

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/answer"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def event(self, kind: str) -> dict[str, Any]:
        return {
            "RequestType": kind, "ResponseURL": self.url, "StackId": "arn:stack", "RequestId": "r1",
            "LogicalResourceId": "Migration", "ResourceProperties": {"Layer": "arn:layer:2"},
        }  # fmt: skip

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def waiting() -> Iterator[Waiting]:
    made = Waiting()
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["Create", "Update"])
def test_a_step_is_made_and_answered(waiting: Waiting, kind: str) -> None:
    made = []
    StepDoor("migrate", lambda: made.append(1) or {"applied": []})(waiting.event(kind), CONTEXT)
    assert made == [1]
    [answer] = waiting.answers
    assert answer == {
        "Status": "SUCCESS", "PhysicalResourceId": "Migration", "StackId": "arn:stack", "RequestId": "r1",
        "LogicalResourceId": "Migration",
    }  # fmt: skip


def test_a_step_that_fails_stops_the_deployment(waiting: Waiting) -> None:
    def fails() -> dict[str, Any]:
        raise InvalidInput("The database is somebody else's. " + "x" * 10_000)

    StepDoor("migrate", fails)(waiting.event("Update"), CONTEXT)
    [answer] = waiting.answers
    assert answer["Status"] == "FAILED"
    assert answer["Reason"].startswith("InvalidInput: The database is somebody else's.")
    assert len(json.dumps(answer)) < 4096


def test_a_request_that_comes_twice_at_once_migrates_once(
    waiting: Waiting, empty_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", empty_database_url)
    monkeypatch.setenv("LINKFLOW_SECRET", "s" * 32)
    made = []
    door = StepDoor("migrate", lambda: made.append(bootstrap.lambda_migrate()) or made[-1])  # type: ignore[func-returns-value]
    with ThreadPoolExecutor(2) as both:
        list(both.map(lambda _: door(waiting.event("Update"), CONTEXT), range(2)))
    assert [answer["Status"] for answer in waiting.answers] == ["SUCCESS", "SUCCESS"]
    assert {answer["RequestId"] for answer in waiting.answers} == {"r1"}
    second, first = sorted((one["applied"]["default"] for one in made), key=len)
    assert second == []
    with psycopg.connect(empty_database_url) as connection:
        assert connection.execute("SELECT count(*) FROM linkflow_migrations").fetchone() == (len(first),)


def test_taking_the_stack_down_undoes_nothing(waiting: Waiting) -> None:
    def never() -> dict[str, Any]:
        raise AssertionError

    StepDoor("migrate", never)(waiting.event("Delete"), CONTEXT)
    assert [answer["Status"] for answer in waiting.answers] == ["SUCCESS"]


def test_by_hand_it_answers_and_raises() -> None:
    assert StepDoor("migrate", lambda: {"applied": ["0001_engine"]})({}, CONTEXT) == {
        "ok": {"applied": ["0001_engine"]}
    }
    with pytest.raises(InvalidInput):
        StepDoor("migrate", _refused)({}, CONTEXT)


def _refused() -> dict[str, Any]:
    raise InvalidInput("no")


def test_an_answer_goes_to_the_web_and_nowhere_else(waiting: Waiting) -> None:
    with pytest.raises(InvalidInput):
        StepDoor("migrate", dict)({**waiting.event("Create"), "ResponseURL": "file:///etc/passwd"}, CONTEXT)

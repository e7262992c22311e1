"""Steps of a deployment as CloudFormation asks for them, which waits for the answer at an address."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest

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

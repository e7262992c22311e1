"""Answers that no other test of the API sees, for the OpenAPI document: each is held against it (`answers.Watched`)."""

from __future__ import annotations

import random

import msgspec
import pytest

from linkflow.contracts.history import Execution
from linkflow.domain import events as e
from linkflow.domain.evolve import fold
from linkflow.domain.ids import uuid7
from linkflow.domain.state import encode
from tests.integration.control.plane import Person, Plane, document

AT = 1_764_000_000_000


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def test_answers_that_no_other_test_has(plane: Plane) -> None:
    ada = await plane.somebody()
    workflow = await plane.workflow(ada)
    pin = f"{ada.base}/workflows/{workflow['id']}/nodes/log/pin"
    assert (await plane.client.put(pin, json={"output": {"n": 1}}, headers=ada.auth)).status_code == 200
    assert (await plane.client.delete(pin, headers=ada.auth)).status_code == 200
    hook = f"{ada.base}{await plane.webhook(ada)}"
    assert (await plane.client.get(hook, headers=ada.auth)).status_code == 200
    run = completed(plane, ada, workflow["id"])
    for method, path, body in (
        ("POST", f"{hook}/deliveries/{run}/redeliver", None),
        ("POST", f"{ada.base}/executions/{run}/rerun", {"reason": "Once more."}),
        ("GET", f"{ada.base}/executions/{run}/test", None),
        ("GET", f"{ada.base}/executions/{run}/words", None),
        ("POST", f"{ada.base}/workflows/{workflow['id']}/test", {"input": {"n": 1}, "skip_delays": True}),
        ("PUT", f"{ada.base}/workflows/{workflow['id']}/draft", document(name="Drafted")),
        ("GET", f"{ada.base}/workflows/{workflow['id']}/draft", None),
        ("POST", f"{ada.base}/environments", {"name": "staging", "description": "As production."}),
        ("GET", f"{ada.base}/environments/staging", None),
    ):
        done = await plane.client.request(method, path, json=body, headers=ada.auth)
        assert done.is_success, done.text
    made = await plane.client.post(f"{ada.base}/variables", json={"key": "A", "value": "b"}, headers=ada.auth)
    secret = {"type": "http_bearer", "name": "Stripe key", "data": {"token": "sk_live_0123456789abcdef"}}
    kept = await plane.client.post(f"{ada.base}/credentials", json=secret, headers=ada.auth)
    url = f"{ada.base}/credentials/{kept.json()['credential']['id']}/duplicate"
    assert (await plane.client.post(url, json={"name": "Another"}, headers=ada.auth)).status_code == 201
    url = f"{ada.base}/variables/{made.json()['variable']['id']}"
    assert (await plane.client.get(url, headers=ada.auth)).status_code == 200


def completed(plane: Plane, who: Person, workflow_id: str) -> str:
    """A run that is over."""
    id = uuid7(AT, 0, random.getrandbits(62))
    history = [
        e.ExecutionStarted(
            event_id=1, at=AT, workspace_id=who.workspace_id, workflow_id=workflow_id, workflow_version=1,
            trigger_node="start", trigger={"n": 1},
        ),
        e.ExecutionCompleted(event_id=2, at=AT, result={"n": 1}),
    ]  # fmt: skip
    plane.frontend.executions[id] = Execution(
        id, who.workspace_id, workflow_id, 1, "completed", "manual", 2, AT, AT,
        state=msgspec.Raw(encode(fold(id, history))),
    )  # fmt: skip
    plane.frontend.events[id] = msgspec.json.decode(e.encode(history))
    return id

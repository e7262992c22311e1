"""What X-Ray's daemon gets of a run's spans, in its own form (X-Ray segment documents)."""

from __future__ import annotations

import json
import re
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from linkflow import tracing
from linkflow.transports.lambda_log import InvocationLog
from linkflow.transports.xray import Xray, daemon

RUN = str(uuid.UUID(int=0x0192_0000_0000_7000_8000_0000_0000_0001))
ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.bind(("127.0.0.1", 0))
        made.settimeout(5)
        yield made


def heard(listener: socket.socket) -> dict[str, Any]:
    head, _, body = listener.recv(65_536).partition(b"\n")
    assert json.loads(head) == {"format": "json", "version": 1}
    found: dict[str, Any] = json.loads(body)
    return found


def test_a_span_is_a_subsegment_of_the_invocation(listener: socket.socket) -> None:
    xray = Xray(listener.getsockname())
    xray.invoked(f"Root={ROOT};Parent={PARENT};Sampled=1;Lineage=a:0")
    about = {"linkflow.node": "a", "linkflow.attempt": 2, "http.route": "/x/{y}"}
    tracing.begin(xray)
    try:
        tracing.run_span(RUN, "POST /x/{y}", 1_500_000_000, 2_000_000_000, attributes=about, error="boom")
    finally:
        tracing.begin(None)
    said = heard(listener)
    assert re.fullmatch("[0-9a-f]{16}", said.pop("id"))
    assert said == {
        "type": "subsegment", "trace_id": ROOT, "parent_id": PARENT, "name": "POST /x/_y_", "start_time": 1.5,
        "end_time": 2.0, "error": True, "metadata": {"linkflow": {"error": "boom"}},
        "annotations": {"execution_id": RUN, "node": "a", "attempt": 2, "http_route": "/x/{y}"},
    }  # fmt: skip
    xray.close()


@pytest.mark.parametrize("header", ["", f"Root={ROOT};Parent={PARENT};Sampled=0", f"Root={ROOT};Sampled=1", "nonsense"])
def test_what_is_not_sampled_is_not_said(listener: socket.socket, header: str) -> None:
    xray = Xray(listener.getsockname())
    xray.invoked(f"Root={ROOT};Parent={PARENT};Sampled=1")
    xray.invoked(header)
    xray(tracing.Span(1, 2, 0, "quiet", 1, 2))
    xray.invoked(f"Root={ROOT};Parent={PARENT};Sampled=1")
    xray(tracing.Span(1, 2, 0, "loud", 1, 2))
    assert heard(listener)["name"] == "loud"
    xray.close()


def test_nobody_who_listens_hurts_nobody() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as gone:
        gone.bind(("127.0.0.1", 0))
        address = gone.getsockname()
    xray = Xray(address)
    xray.invoked(f"Root={ROOT};Parent={PARENT};Sampled=1")
    for _ in range(3):
        xray(tracing.Span(1, 2, 0, "x" * 100_000, 1, 2))
        xray(tracing.Span(1, 2, 0, "x", 1, 2, attributes={"linkflow.long": "y" * 100_000}))
    xray.close()


def test_a_door_tells_of_its_invocations(listener: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_XRAY_DAEMON_ADDRESS", "{}:{}".format(*listener.getsockname()))
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={PARENT};Sampled=1")
    assert daemon() == listener.getsockname()
    log = InvocationLog("linkflow-history")
    try:
        with log.invocation(None):
            tracing.run_span(RUN, "node x", 1, 2)
        assert heard(listener)["trace_id"] == ROOT
    finally:
        tracing.begin(None)

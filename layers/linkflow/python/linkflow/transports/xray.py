"""Spans for AWS X-Ray, from within a Lambda function: subsegments of the invocation that they happened in.

An invocation's trace is Lambda's, not the run's: X-Ray takes no ids that are not of its own making. What belongs to a
run is found by the annotation ``execution_id``, across all invocations that had to do with it. They go to the daemon
beside the function in datagrams (JSON, a line before it), as AWS' own libraries do it; one that is lost is lost.
"""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Mapping
from typing import Any

import msgspec

from linkflow.tracing import SERVER, Span

HEAD = b'{"format": "json", "version": 1}\n'
LARGEST = 60_000
"""Bytes of a datagram."""


def daemon() -> tuple[str, int] | None:
    """Where Lambda's daemon listens; None where there is none."""
    host, _, port = os.environ.get("AWS_XRAY_DAEMON_ADDRESS", "").rpartition(":")
    return (host, int(port)) if host and port.isdigit() else None


class Xray:
    """Call it with spans. It says nothing until `invoked`, and where the trace is not sampled."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._address = address
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._root = self._parent = ""

    def invoked(self, header: str) -> None:
        """An invocation begins; `header` is ``Root=…;Parent=…;Sampled=1``."""
        parts = dict(part.split("=", 1) for part in header.split(";") if "=" in part)
        sampled = parts.get("Sampled") == "1" and "Parent" in parts
        self._root, self._parent = (parts.get("Root", ""), parts["Parent"]) if sampled else ("", "")

    def __call__(self, span: Span) -> None:
        if not self._root:
            return
        data = HEAD + msgspec.json.encode(self._subsegment(span))
        if len(data) > LARGEST:
            return
        try:
            self._socket.sendto(data, self._address)
        except OSError:  # full, or nobody there
            return

    def close(self) -> None:
        self._socket.close()

    def _subsegment(self, span: Span) -> dict[str, Any]:
        execution = str(span.attributes.get("linkflow.execution.id", "")) or str(uuid.UUID(int=span.trace))
        found: dict[str, Any] = {
            "type": "subsegment",
            "trace_id": self._root,
            "parent_id": self._parent,
            "id": f"{span.id:016x}",
            "name": _name(span.name),
            "start_time": span.start / 1e9,
            "end_time": span.end / 1e9,
            "annotations": {"execution_id": execution, **_annotations(span.attributes)},
        }
        if span.error:
            found |= {
                "fault" if span.kind == SERVER else "error": True,
                "metadata": {"linkflow": {"error": span.error}},
            }
        return found


def _name(text: str) -> str:
    """X-Ray's letters alone."""
    kept = "".join(c if c.isalnum() or c in " _.:/%&#=+\\-@" else "_" for c in text)
    return kept[:200]


def _annotations(attributes: Mapping[str, Any]) -> dict[str, Any]:
    return {name.removeprefix("linkflow.").replace(".", "_"): value for name, value in attributes.items()}

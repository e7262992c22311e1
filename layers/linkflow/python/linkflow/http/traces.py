"""Requests as spans: of the caller's trace where he has one, else of the run that they started."""

from __future__ import annotations

import re
import time

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Message

from linkflow import tracing

_RUN = re.compile(r"/executions/([0-9a-f-]{36})$")


def run_named(message: Message) -> str:
    """The run that an answer's headers tell of; empty where there is none."""
    headers = Headers(raw=message["headers"])
    found = _RUN.search(headers.get("location", ""))
    return headers.get("x-execution-id", "") or (found[1] if found else "")


def traced(request: Request, method: str, route: str, status: int, seconds: float, run: str) -> None:
    """Record a request that is over."""
    end, id = time.time_ns(), tracing.some_id()
    theirs = tracing.traceparent(request.headers.get("traceparent", ""))
    own = tracing.trace_of(run)
    if theirs is not None:
        trace, parent = theirs
    elif own:
        trace, parent = own, tracing.span_of(run)
    else:
        trace, parent = tracing.some_id(128), 0
    links = ((own, tracing.span_of(run)),) if own and theirs is not None else ()
    about: dict[str, str | int | float | bool] = {
        "http.request.method": method, "http.route": route, "http.response.status_code": status,
    }  # fmt: skip
    if run:
        about["linkflow.execution.id"] = run
    error = str(status) if status >= 500 else ""
    start = end - int(seconds * 1e9)
    tracing.record(
        tracing.Span(trace, id, parent, f"{method} {route}", start, end, tracing.SERVER, about, error, links)
    )

"""Structured logs at the Lambda doors: Powertools' JSON with a correlation id, at no cost until a line is written."""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from linkflow import coldstart, tracing
from linkflow.observability import concealed

from .emf import Emf
from .xray import Xray, daemon

_log = logging.getLogger("linkflow.transports.invocations")
_HANDLER_NAME = "linkflow-lambda"


class LazyFormatter(logging.Formatter):
    """Powertools' formatter, imported with the first line: its import takes longer than a warm call."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service
        self._keys: dict[str, Any] = {}
        self._inner: logging.Formatter | None = None

    def about(self, **keys: Any) -> None:
        """What the lines of this invocation are about."""
        self._keys = keys

    def format(self, record: logging.LogRecord) -> str:
        """One line of JSON."""
        if self._inner is None:
            from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter

            self._inner = LambdaPowertoolsFormatter(service=self._service, utc=True, use_rfc3339=True)
        inner: Any = self._inner
        inner.append_keys(**self._keys)
        return concealed(str(inner.format(record)))


def _xray() -> Xray | None:
    """Spans go to X-Ray where the function is traced."""
    where = daemon()
    if where is None:
        return None
    made = Xray(where)
    tracing.begin(made)
    return made


class InvocationLog:
    """The log of one door."""

    def __init__(self, service: str) -> None:
        self._formatter = LazyFormatter(service)
        log = logging.getLogger("linkflow")
        for handler in [h for h in log.handlers if h.name == _HANDLER_NAME]:
            log.removeHandler(handler)
        handler = logging.StreamHandler(sys.stdout)
        handler.name = _HANDLER_NAME
        handler.setFormatter(self._formatter)
        log.addHandler(handler)
        log.propagate = False  # the runtime's own handler would write every line again
        log.setLevel(os.environ.get("LINKFLOW_LOG_LEVEL", "INFO"))
        self._count = 0
        self._xray = _xray()
        self._emf = Emf(os.environ.get("POWERTOOLS_SERVICE_NAME", ""))

    @contextmanager
    def invocation(self, context: Any) -> Iterator[None]:
        """Around an invocation: its lines carry its request id and the trace it belongs to.

        What has happened in it is told to CloudWatch (`emf`); at the level DEBUG how long it took as well, which Lambda
        itself reports too (`make deploy-local`).

        The root of the X-Ray trace id is the correlation id: Lambda hands it on from function to function, also
        where X-Ray itself is off.
        """
        request = str(getattr(context, "aws_request_id", ""))
        trace = os.environ.get("_X_AMZN_TRACE_ID", "")
        root = next((part[5:] for part in trace.split(";") if part.startswith("Root=")), "")
        self._formatter.about(correlation_id=root or request, function_request_id=request)
        if self._xray is not None:
            self._xray.invoked(trace)
        self._count += 1
        begun = time.perf_counter()
        try:
            yield
        finally:
            self._emf.tell(time.time_ns() // 1_000_000)
            _log.debug(
                "invocation",
                extra={
                    "function": os.environ.get("AWS_LAMBDA_FUNCTION_NAME", ""),
                    "memory_mb": int(os.environ.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "0")),
                    "init_ms": round(coldstart.init_ms if self._count == 1 else 0.0, 1),
                    "duration_ms": round(1000 * (time.perf_counter() - begun), 1),
                },
            )

"""Logs: one logger, structured, without payloads. Set up by the doors; a library user gets plain `logging`."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Self

logger = logging.getLogger("linkflow")

_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", None, None))) | {"message", "asctime", "taskName"}


class Concealed:
    """What is secret in the node run that logs, once that is known. Within its block, whatever is logged goes through
    `by` (a redactor), where there is one."""

    __slots__ = ("_token", "by", "end")

    def __init__(self) -> None:
        self.by: Any = None
        self.end: Callable[[], None] | None = None
        """To be called when the node run is over."""

    def __enter__(self) -> Self:
        self._token = _concealed.set(self)
        return self

    def __exit__(self, *_: object) -> None:
        _concealed.reset(self._token)


_concealed: ContextVar[Concealed | None] = ContextVar("concealed", default=None)


def concealed(text: str) -> str:
    """A line of a log as it may be seen."""
    now = _concealed.get()
    return str(now.by.text(text)) if now is not None and now.by else text


class JsonLines(logging.Formatter):
    """One JSON object a line; whatever stands in ``extra`` is a field."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
        }
        line.update({key: value for key, value in vars(record).items() if key not in _STANDARD})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return concealed(json.dumps(line, default=str))


def setup(level: str = "INFO", service: str = "linkflow") -> None:
    """Log to stderr as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False
    # While a database is away it says so several times a second; whoever needed it says it once.
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)

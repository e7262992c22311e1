"""What happened when, for OpenTelemetry. A run is a trace: its id is the trace's id, and the ids of its spans follow
from what they are about. So every process adds its part without handing anything on, also after a crash or days of
waiting.

Nothing is recorded, and next to nothing done, until `begin`.
"""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

Attributes = Mapping[str, str | int | float | bool]

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = "internal", "server", "client", "producer", "consumer"

MOST = 20
"""Runs that one call of a batch gets a span in; further ones go without."""


@dataclass(frozen=True, slots=True)
class Span:
    """Times are ns since 1970. `trace` is 128 bits, `id` and `parent` 64 (0: none), `links` are traces with a span."""

    trace: int
    id: int
    parent: int
    name: str
    start: int
    end: int
    kind: str = INTERNAL
    attributes: Attributes = field(default_factory=dict)
    error: str = ""
    links: tuple[tuple[int, int], ...] = ()


_recorder: Callable[[Span], None] | None = None


def begin(recorder: Callable[[Span], None] | None) -> None:
    """Hand spans to `recorder` from now on; None ends it. It must not block and not raise."""
    global _recorder
    _recorder = recorder


def on() -> bool:
    """Does anybody listen?"""
    return _recorder is not None


def record(span: Span) -> None:
    if _recorder is not None:
        _recorder(span)


def trace_of(execution_id: str) -> int:
    """A run's trace; 0 for what is no run's id."""
    try:
        return uuid.UUID(execution_id).int
    except ValueError:
        return 0


def span_of(execution_id: str, *about: object) -> int:
    """The id of the span about this part of a run; without a part, of the run itself."""
    text = "\0".join((execution_id, *map(str, about)))
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest()) or 1


def some_id(bits: int = 64) -> int:
    """A random one."""
    return secrets.randbits(bits) or 1


def ns(ms: int) -> int:
    return ms * 1_000_000


def run_span(execution_id: str, name: str, start: int, end: int, about: tuple[object, ...] = (), **more: Any) -> None:
    """A span within a run, below the run's own. Without `about` it is one of its kind."""
    if _recorder is None or not (trace := trace_of(execution_id)):
        return
    id = span_of(execution_id, *about) if about else some_id()
    _recorder(Span(trace, id, span_of(execution_id), name, start, max(start, end), **more))


def served(request: object, answer: object, service: str, method: str, start: int, error: str = "") -> None:
    """A call that this process answered: a span in each run that it was about, or that came of it."""
    if _recorder is None:
        return
    end = time.time_ns()
    attributes = {"rpc.system": "linkflow", "rpc.service": service, "rpc.method": method}
    about = executions_in(request, getattr(answer, "execution_id", ""))
    for at, execution_id in enumerate(about):
        if at == MOST:
            return
        run_span(execution_id, f"{service}.{method}", start, end, kind=SERVER, attributes=attributes, error=error)


def executions_in(request: object, made: str = "") -> Iterator[str]:
    """The runs that a request is about, each once: its ``execution_id`` (or the one that it `made`), or those of the
    items that it carries."""
    own = getattr(request, "execution_id", "") or made
    if own:
        yield own
        return
    seen: set[str] = set()
    for name in getattr(request, "__struct_fields__", ()):
        items = getattr(request, name)
        if isinstance(items, tuple):
            for item in items:
                found = getattr(item, "execution_id", "")
                if found and found not in seen:
                    seen.add(found)
                    yield found


def traceparent(header: str) -> tuple[int, int] | None:
    """Trace and span of a W3C ``traceparent``; None where there is none, or it is not to be recorded."""
    parts = header.split("-")
    if len(parts) < 4 or (len(parts[0]), len(parts[1]), len(parts[2]), len(parts[3])) != (2, 32, 16, 2):
        return None
    try:
        version, trace, span, flags = (int(part, 16) for part in parts[:4])
    except ValueError:
        return None
    return (trace, span) if version != 255 and trace and span and flags & 1 else None

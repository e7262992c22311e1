"""How large a run may become. What nears a limit is said once, before it is an error."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from .outcomes import NodeError
from .state import ACTIVE, State

EVENTS, PENDING, SIGNALS, BYTES, PAYLOAD = "events", "pending_nodes", "signals", "history_bytes", "payload_bytes"
NEAR = 0.8
"""The part of a limit from which on it is said."""

MIB = 1024 * 1024


class Limits(Struct, frozen=True):
    """Of a run: events, node runs active at once, events kept for later waits, bytes of history; and of a payload."""

    events: int = 50_000
    pending_nodes: int = 10_000
    signals: int = 1_000
    history_bytes: int = 50 * MIB
    payload_bytes: int = MIB


class Use(Struct, frozen=True):
    """How much of a limit is used."""

    limit: str
    value: int
    max: int

    @property
    def over(self) -> bool:
        return self.value > self.max


class LimitReached(Exception):
    """A command would lead far over a limit: nothing of it is decided."""

    def __init__(self, use: Use) -> None:
        super().__init__(use.limit)
        self.use = use


def near(state: State, limits: Limits, history_bytes: int, payload: int = 0) -> Iterator[Use]:
    """What is near its limit or over it. `history_bytes` includes this transition, `payload` is its largest one."""
    counts = (
        (EVENTS, state.version, limits.events),
        (SIGNALS, len(state.signals), limits.signals),
        (BYTES, history_bytes, limits.history_bytes),
        (PAYLOAD, payload, limits.payload_bytes),
    )
    for limit, value, most in counts:
        if value >= most * NEAR:
            yield Use(limit, value, most)
    if len(state.runs) >= limits.pending_nodes * NEAR:  # counting them costs more than this look
        active = sum(run.status in ACTIVE for run in state.runs.values())
        if active >= limits.pending_nodes * NEAR:
            yield Use(PENDING, active, limits.pending_nodes)


_MESSAGES = {
    EVENTS: ("history_limit", "The run reached {max:,} events, the limit of a history. Split it into sub-workflows."),
    BYTES: ("history_bytes_limit", "The run's history reached {max:,} bytes, its limit. Hand on less, or split it."),
    PENDING: (
        "pending_limit",
        "{value:,} node runs would be active at once; the limit is {max:,}. Set the loop's `concurrency`, or split it.",
    ),
}


def too_much(use: Use) -> NodeError | None:
    """Why the run fails, where going over this limit fails it. The others refuse what comes, or fail a node."""
    if not use.over or use.limit not in _MESSAGES:
        return None
    code, message = _MESSAGES[use.limit]
    details = {"limit": use.limit, "value": use.value, "max": use.max}
    return NodeError(code, message.format(value=use.value, max=use.max), False, details)

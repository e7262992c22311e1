"""When: backoff and the names of timers. All times are milliseconds."""

from __future__ import annotations

from .definition import Retry

RETRY, DELAY, EXECUTION = "retry", "delay", "execution"
START_TO_CLOSE, SCHEDULE_TO_START, SCHEDULE_TO_CLOSE = "start_to_close", "schedule_to_start", "schedule_to_close"
WAIT, ESCALATE = "wait", "escalate"
HEARTBEAT = "heartbeat"
ENTER = "enter"
"""Of a run that was not let in yet; it has its due time for an attempt, as the execution's own has."""


def timer_id(kind: str, key: str = "", attempt: int = 0) -> str:
    """A timer's id: what it is for, so that firing it needs no lookup. ``delay/3/wait[2]``.

    The execution's own timer has its due time for an attempt: after a retry by hand it is another timer.
    """
    return f"{kind}/{attempt}/{key}"


def parse_timer(id: str) -> tuple[str, int, str]:
    """Kind, attempt and node key of a timer's id."""
    kind, attempt, key = id.split("/", 2)
    return kind, int(attempt), key


def limit_ms(seconds: float) -> int:
    """A timeout in milliseconds, at least one."""
    return max(1, round(seconds * 1000))


def backoff_ms(retry: Retry, attempt: int, chance: float) -> int:
    """How long to wait after failed attempt number `attempt` (from 1). `chance` is uniform in [0, 1).

    Exponential, capped at `max_interval`; `jitter` 0.2 takes up to 20 % off.
    """
    try:
        seconds = retry.initial_interval * retry.backoff_coefficient ** (attempt - 1)
    except OverflowError:
        seconds = retry.max_interval if retry.initial_interval else 0
    seconds = min(seconds, retry.max_interval)
    return max(0, round(seconds * (1 - retry.jitter * chance) * 1000))

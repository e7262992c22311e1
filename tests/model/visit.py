"""A node run, and the words that the interpreter uses of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from linkflow.domain.definition import Node

OPEN = ("running", "paused", "cancelling")
TASK, BACKOFF, DELAY, EVENT, APPROVAL, CHILD, LOOP = "task", "backoff", "delay", "event", "approval", "child", "loop"
BODIES = ("loop", "while")
KEPT_RESULTS = 100
"""Of a while loop."""
DONE, FAILED, CANCELLED, SKIPPED = "done", "failed", "cancelled", "skipped"
HELD = "held"
"""To be tried again by hand, as soon as there is room."""
ACTIVE = (TASK, BACKOFF, DELAY, EVENT, APPROVAL, CHILD, LOOP, HELD)
TAKES_ROOM = (TASK, BACKOFF, CHILD)
"""What `max_parallel` counts: waiting holds no slot, and a loop is its iterations."""

Fact = tuple[str, dict[str, Any]]
Error = dict[str, Any]
Path = tuple[int, ...]


def key_of(node: str, path: Path) -> str:
    return f"{node}[{','.join(str(index) for index in path)}]" if path else node


def child_name(parent: str, key: str, attempt: int, called: set[str]) -> str:
    """``run>call#1``. A loop that runs again after a retry by hand may call from the same place: ``run>call#1'``."""
    name = f"{parent}>{key}#{attempt}"
    while name in called:
        name += "'"
    called.add(name)
    return name


def problem(code: str, retryable: bool = True, **details: Any) -> Error:
    """An error without its words: those are the engine's own."""
    return {"code": code, "retryable": retryable, "details": details}


@dataclass
class Visit:
    """A node run."""

    node: Node
    path: Path
    sources: tuple[str, ...] = ()
    doing: str = TASK
    attempt: int = 1
    base: int = 0
    """Attempts from before a retry by hand, which do not count against the policy."""
    taken_up: bool = False
    start_by: int = 0
    close_by: int = 0
    beat_by: int = 0
    beat: Any = None
    beat_at: int = 0
    beats: bool = False
    due: int = 0
    """When the delay, the backoff, the wait or the attempt ends."""
    over: bool = False
    """The backoff ended in a pause: its timer is gone."""
    escalate: int = 0
    ask_too: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    since: int = 0
    """Which wait of the run this is: the oldest gets the event."""
    name: str = ""
    correlation: str = ""
    output: Any = None
    ports: frozenset[str] = frozenset()
    child: str = ""
    policy: str = ""
    items: tuple[Any, ...] = ()
    at_once: int = 1
    on_item_error: str = "stop"
    begun: int = 0
    results: dict[int, Any] = field(default_factory=dict)
    handed: Any = None
    """What a while loop's next iteration is given."""
    errors: int = 0

    @property
    def key(self) -> str:
        return key_of(self.node.id, self.path)

    @property
    def active(self) -> bool:
        return self.doing in ACTIVE


def ms(seconds: float) -> int:
    return round(seconds * 1000)


def iso(at: int) -> str:
    return f"{datetime.fromtimestamp(at // 1000, UTC):%Y-%m-%dT%H:%M:%S}.{at % 1000:03}Z"

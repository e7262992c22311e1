"""The stored form of a workflow: immutable values. Reading other spellings is `importing`, checking is `validation`."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from .outcomes import NodeError

TRIGGERS = ("trigger_manual", "trigger_webhook", "trigger_schedule")
"""Node types a run can start from."""

WHILE = "while"
LOOPS = ("loop", WHILE)
"""Node types whose output `each` leads a body that runs once an item, or as long as a condition holds."""

NOTE = "note"
"""A node type that is no step: it stands beside the workflow, and nothing has to lead to it."""

EACH, DONE, MAIN, ERROR = "each", "done", "main", "error"
CANCELLED = "cancelled"
"""Output names with a meaning of their own. An edge from `cancelled` leads a clean-up branch."""

NAMED_OUTPUTS = ("condition", "switch")
"""Node types whose outputs their author names: there `cancelled` is one like any other."""


class Retry(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """When a failed attempt is tried again. Intervals are seconds; `jitter` is the share (0-1) taken at random."""

    max_attempts: int = 1
    initial_interval: float = 1.0
    backoff_coefficient: float = 2.0
    max_interval: float = 300.0
    jitter: float = 0.0
    non_retryable: tuple[str, ...] = ()


class Timeout(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The four timeouts of a node, in seconds; 0 means none."""

    start_to_close: float = 0
    schedule_to_start: float = 0
    schedule_to_close: float = 0
    heartbeat: float = 0


class Position(Struct, frozen=True):
    x: float = 0
    y: float = 0


class Node(Struct, frozen=True, omit_defaults=True):
    """One step. `config` is what its type's parameters say, with expressions unresolved."""

    id: str
    type: str
    name: str = ""
    config: dict[str, Any] = {}
    position: Position | None = None
    join: Literal["all", "any"] = "all"
    retry: Retry | None = None
    timeout: Timeout | None = None
    on_error: Literal["stop", "continue", "branch"] = "stop"
    credentials: dict[str, str] = {}
    queue: str = "default"
    priority: int = 0
    disabled: bool = False
    pinned_output: Any = None
    pinned_error: NodeError | None = None
    """What stands in for the node in manual and test runs: an output, or a failure without retries."""
    version: int = 1
    """Of the node type; a definition keeps the one that it was written for."""

    @property
    def label(self) -> str:
        return self.name or self.id


class Edge(Struct, frozen=True, omit_defaults=True):
    """A connection from one output of a node to another node."""

    id: str
    source: str
    target: str
    source_output: str = MAIN


class Concurrency(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most `limit` runs with the same `key` at once."""

    key: str = ""
    limit: int = 1
    policy: Literal["queue", "reject", "cancel_oldest"] = "queue"


class RateLimit(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """At most `limit` runs with the same `key` begin in `per` seconds; as many may begin together."""

    key: str = ""
    limit: int = 1
    per: float = 60.0
    policy: Literal["reject", "queue"] = "reject"


class Debounce(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Starts with the same `key` become one run, which has the last one's data and begins when none has come for
    `wait` seconds, or `max_wait` after the first (0: no bound)."""

    key: str = ""
    wait: float = 0.0
    max_wait: float = 0.0


class Batch(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Starts with the same `key` become one run over all their data, which begins when `size` have come or `wait`
    seconds after the first."""

    key: str = ""
    size: int = 100
    wait: float = 0.0


class Settings(Struct, frozen=True, omit_defaults=True):
    """Settings of the workflow as a whole. `timeout` is seconds, 0 means none; `max_parallel` 0 means no bound.

    The timeout counts time in which a run only waits (for a date, an event, people), or is paused, only with
    `timeout_counts_waiting`.
    """

    timeout: float = 0
    retry: Retry | None = None
    concurrency: Concurrency | None = None
    rate_limit: int | RateLimit = 0
    """A number is so many runs a minute, without a key."""
    debounce: Debounce | None = None
    batch: Batch | None = None
    fairness_key: str = ""
    error_workflow: str = ""
    timezone: str = "UTC"
    retention_days: int = 0
    shard_spread: int = 1
    max_parallel: int = 0
    timeout_counts_waiting: bool = False


class Definition(Struct, frozen=True, omit_defaults=True):
    """A workflow version: what an execution is pinned to."""

    name: str
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...] = ()
    description: str = ""
    settings: Settings = Settings()
    viewport: dict[str, Any] = {}
    icon: str = ""
    color: str = ""

    @property
    def triggers(self) -> tuple[Node, ...]:
        return tuple(node for node in self.nodes if node.type in TRIGGERS)


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Definition)


def encode(definition: Definition) -> bytes:
    """The stored JSON of a definition."""
    return _encoder.encode(definition)


def decode(data: bytes) -> Definition:
    """A definition from its stored JSON. For documents from outside use `importing.parse`."""
    return _decoder.decode(data)

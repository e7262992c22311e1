"""Names and numbers within their bounds: retry, timeouts, settings."""

from __future__ import annotations

from linkflow.domain.definition import Definition, Node, Retry, Settings
from linkflow.domain.ids import SHARDS
from linkflow.domain.payloads import RESERVED, reserved
from linkflow.domain.validation.findings import Findings

MAX_NODES = 1_000
MAX_EDGES = 5_000

MAX_NAME = 255
MAX_DESCRIPTION = 1_000

MAX_ATTEMPTS = 100

LONGEST = 366 * 86_400
"""Seconds that any interval or timeout may have."""

MAX_PRIORITY = 100

_TIMEOUTS = ("start_to_close", "schedule_to_start", "schedule_to_close", "heartbeat")


def check_size(nodes: int, edges: int, findings: Findings) -> bool:
    """Is the definition small enough to be looked at any further?"""
    if nodes > MAX_NODES:
        findings.error("/nodes", "too_many_nodes", f"A workflow may have {MAX_NODES} nodes; this one has {nodes}.")
    if edges > MAX_EDGES:
        findings.error("/edges", "too_many_edges", f"A workflow may have {MAX_EDGES} edges; this one has {edges}.")
    return nodes <= MAX_NODES and edges <= MAX_EDGES


def check_limits(definition: Definition, findings: Findings) -> None:
    """Everything that can be told without knowing any node type."""
    if not definition.name.strip():
        findings.error("/name", "bad_name", "A workflow needs a name.")
    elif len(definition.name) > MAX_NAME:
        findings.error("/name", "bad_name", f"A name may have {MAX_NAME} characters.")
    if len(definition.description) > MAX_DESCRIPTION:
        findings.error("/description", "too_long", f"A description may have {MAX_DESCRIPTION} characters.")
    _check_settings(definition.settings, findings)
    ids: set[str] = set()
    for place, node in enumerate(definition.nodes):
        path = f"/nodes/{place}"
        if node.id in ids:
            findings.error(f"{path}/id", "duplicate_id", f"Another node has the id {node.id!r} already.")
        ids.add(node.id)
        _check_node(node, path, findings)


def _check_node(node: Node, path: str, findings: Findings) -> None:
    if len(node.name) > MAX_NAME:
        findings.error(f"{path}/name", "bad_name", f"A name may have {MAX_NAME} characters.")
    if not node.queue.strip():
        findings.error(f"{path}/queue", "invalid_value", "A queue needs a name; leave it out for the default one.")
    check_range(node.priority, -MAX_PRIORITY, MAX_PRIORITY, f"{path}/priority", "invalid_value", findings)
    if at := reserved(node.pinned_output, f"{path}/pinned_output"):
        findings.error(at, "reserved_name", f"Names that begin with {RESERVED} are LinkFlow's own; use another one.")
    if node.pinned_error is not None:
        if node.pinned_output is not None:
            findings.error(f"{path}/pinned_error", "invalid_value", "A node is pinned to an output or to an error.")
        if at := reserved(node.pinned_error.details, f"{path}/pinned_error/details"):
            findings.error(at, "reserved_name", f"Names that begin with {RESERVED} are LinkFlow's own.")
    if node.retry:
        _check_retry(node.retry, f"{path}/retry", findings)
    for name in _TIMEOUTS if node.timeout else ():
        check_range(getattr(node.timeout, name), 0, LONGEST, f"{path}/timeout/{name}", "invalid_timeout", findings)


def _check_retry(retry: Retry, path: str, findings: Findings) -> None:
    bounds = {
        "max_attempts": (1, MAX_ATTEMPTS),
        "initial_interval": (0, LONGEST),
        "backoff_coefficient": (1, 100),
        "max_interval": (0, LONGEST),
        "jitter": (0, 1),
    }
    for name, (low, high) in bounds.items():
        check_range(getattr(retry, name), low, high, f"{path}/{name}", "invalid_retry", findings)


def _check_settings(settings: Settings, findings: Findings) -> None:
    code = "invalid_settings"
    check_range(settings.timeout, 0, LONGEST, "/settings/timeout", "invalid_timeout", findings)
    check_range(settings.retention_days, 0, 36_500, "/settings/retention_days", code, findings)
    check_range(settings.shard_spread, 1, SHARDS, "/settings/shard_spread", code, findings)
    check_range(settings.max_parallel, 0, 1_000_000, "/settings/max_parallel", code, findings)
    if settings.retry:
        _check_retry(settings.retry, "/settings/retry", findings)


def check_range(value: float, low: float, high: float, path: str, code: str, findings: Findings) -> None:
    # Written so that a NaN is out of range.
    if not low <= value <= high:
        findings.error(path, code, f"Must be between {low} and {high}; it is {value:g}.")

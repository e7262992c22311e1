"""Rows of `executions` as they are read."""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.contracts.history import NO_STATE, Execution
from linkflow.domain.snapshots import restored

STATUS = (
    "running", "completed", "failed", "cancelled", "timed_out", "terminated", "paused", "cancelling", "queued",
    "collecting",
)  # fmt: skip
"""Names of the `status` column's numbers."""

CODE = {name: code for code, name in enumerate(STATUS)}


def execution_of(row: tuple[Any, ...]) -> Execution:
    """A run, as the statements that read runs select it."""
    id, workspace, workflow, workflow_version, status, mode, version, started, closed, parent, state, tail = row
    if tail:
        state = restored(id, bytes(state or b""), tail)
    return Execution(
        id, workspace, workflow, workflow_version, STATUS[status], mode, version, started, closed, parent,
        NO_STATE if state is None else msgspec.Raw(bytes(state)),
    )  # fmt: skip

"""Names of the `status` column's numbers."""

from __future__ import annotations

STATUS = (
    "running", "completed", "failed", "cancelled", "timed_out", "terminated", "paused", "cancelling", "queued",
    "collecting",
)  # fmt: skip
"""Names of the `status` column's numbers."""

"""What runs take on Lambda, as `bench --workloads lambda` measured it, 200 runs a case, on a machine that had other
work to do: rather too much than too little. Data only; bench/README.md says how."""

from __future__ import annotations

from msgspec import Struct

MEASURED = "2026-11-23"
NODES = 10
"""Of each run that was measured."""
GB = 1024**3


class Taken(Struct, frozen=True, kw_only=True):
    """By one run. `stored_gb` stays in the database; the rest is as in `costing.Usage`."""

    gb_seconds: float
    invocations: float
    database_cpu_s: float
    database_writes: float
    stored_gb: float
    cache_units: float
    log_gb: float


PURE = Taken(
    gb_seconds=0.0356, invocations=1.0, database_cpu_s=0.00355, database_writes=2.1, stored_gb=3768 / GB,
    cache_units=4.3, log_gb=343 / GB,
)  # fmt: skip
"""Ten nodes that only compute, started over the API or a webhook."""

CALLS = Taken(
    gb_seconds=0.268, invocations=1.255, database_cpu_s=0.00625, database_writes=6.7, stored_gb=12943 / GB,
    cache_units=75, log_gb=433 / GB,
)  # fmt: skip
"""Ten HTTP calls, each recorded before the next, in a stream of starts that share workers."""

CALLS_ALONE = Taken(
    gb_seconds=0.436, invocations=2.0, database_cpu_s=0.022, database_writes=12.4, stored_gb=12943 / GB,
    cache_units=114, log_gb=689 / GB,
)  # fmt: skip
"""The same, each run with a worker for itself."""

TICK_MS = 42.0
"""What the clock's invocation is billed while it rests, with 512 MB."""

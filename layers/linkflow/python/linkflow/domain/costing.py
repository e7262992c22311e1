"""What runs cost on AWS: from what they used, and from prices. Pure; the prices are data (`prices`).

The unit is a node run, so that LinkFlow can stand beside AWS Step Functions, which asks for state transitions.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

from msgspec import Struct
from msgspec.structs import asdict

from .prices import AWS, Price

Prices = Mapping[str, Price]

MILLION = 1_000_000
GB = 1024**3
HOURS_A_MONTH = 730.0
VCPU_MB = 1769
"""Memory in MB at which a Lambda function has one vCPU; less memory has as much less of it."""
ACU_VCPU = 0.25
"""vCPUs of an Aurora capacity unit. AWS gives none: an instance of 16 GiB has 2 vCPUs, and an ACU is 2 GiB."""
ACU_LOAD = 0.5
"""How busy Aurora keeps the capacity that it asks for; it grows before it is full."""
WRITE = 4096
"""Bytes of log that Aurora counts as one I/O request."""
LEAST_ACU = 0.5
"""What Aurora Serverless keeps up while it is not paused."""
LOOK_HOURS = 6.0
"""How often LinkFlow's clock looks at an idle database (`Config.clock_rest`). Between two looks it may pause."""
AWAKE_HOURS = 8 / 60
"""How long Aurora is up for a look: three minutes until nothing more is to be done, five until it pauses."""
SECRETS = 2
"""That the template makes: what signs tokens, and the database's password."""
LEAST_CACHE_GB = 0.1
"""What ElastiCache Serverless for Valkey asks for at least."""


class Usage(Struct, frozen=True, kw_only=True):
    """What some runs took, all of them together. Database and cache are by use, without what they cost idle."""

    node_runs: float
    gb_seconds: float = 0.0
    """Of Lambda: memory in GB times billed seconds."""
    invocations: float = 0.0
    http_requests: float = 0.0
    database_cpu_s: float = 0.0
    database_writes: float = 0.0
    """I/O requests: each sync of the log is one at least, and so are 4 KB of it."""
    stored_gb_months: float = 0.0
    """GB that stay in the database, times the months that they stay."""
    cache_units: float = 0.0
    """ECPUs: commands, or KB that went in and out, whichever is more."""
    log_gb: float = 0.0

    def times(self, factor: float) -> Usage:
        """The same runs `factor` times."""
        return Usage(**{name: value * factor for name, value in asdict(self).items()})


def vcpus(memory_mb: int) -> float:
    """What of a vCPU one thread can use in a function with so much memory."""
    return min(1.0, memory_mb / VCPU_MB)


def duration_ms(wall_ms: float, cpu_ms: float, memory_mb: int, round_trips: float = 0.0, trip_ms: float = 0.0) -> float:
    """What an invocation takes on Lambda that took `wall_ms`, of them `cpu_ms` of computing, on a whole local core.

    Waiting stays as long, computing takes as much longer as the function has less of a vCPU, and each round trip to a
    store has the network between, which a local one has not. Lambda lets short bursts run at full speed, so this is
    rather too much than too little.
    """
    waiting = max(0.0, wall_ms - cpu_ms)
    return waiting + cpu_ms / vcpus(memory_mb) + round_trips * trip_ms


def gb_seconds(duration_ms: float, memory_mb: int, invocations: float = 1.0) -> float:
    """Billed GB-seconds of `invocations` that took `duration_ms` together. Each is rounded up to a millisecond: half of
    one on the average."""
    return (duration_ms + 0.5 * invocations) / 1000 * memory_mb / 1024


def database_writes(syncs: float, log_bytes: float) -> float:
    """Aurora's I/O requests for so many syncs of a log that grew by so much."""
    return max(syncs, log_bytes / WRITE)


def bill(usage: Usage, prices: Prices = AWS, architecture: str = "arm64") -> dict[str, float]:
    """Dollars by part."""
    acu_hours = usage.database_cpu_s / ACU_VCPU / ACU_LOAD / 3600
    return {
        "lambda duration": usage.gb_seconds * prices[f"lambda.duration.{architecture}"].dollars,
        "lambda requests": usage.invocations / MILLION * prices["lambda.requests"].dollars,
        "http api": usage.http_requests / MILLION * prices["http_api.requests"].dollars,
        "database compute": acu_hours * prices["aurora.capacity"].dollars,
        "database i/o": usage.database_writes / MILLION * prices["aurora.io"].dollars,
        "database storage": usage.stored_gb_months * prices["aurora.storage"].dollars,
        "valkey": usage.cache_units / MILLION * prices["valkey.units"].dollars,
        "logs": usage.log_gb * prices["logs.ingestion"].dollars,
    }


def per_million(usage: Usage, prices: Prices = AWS, architecture: str = "arm64") -> dict[str, float]:
    """Dollars by part for a million node runs, and their `total`."""
    parts = bill(usage.times(MILLION / usage.node_runs), prices, architecture)
    return {**parts, "total": sum(parts.values())}


def idle_month(tick: Usage, prices: Prices = AWS, architecture: str = "arm64") -> dict[str, float]:
    """Dollars a month by part while nothing runs: the clock of every minute (`tick` is one of its invocations, in which
    it finds that it may rest), a database that pauses between two looks, and the least that a serverless cache asks
    for."""
    ticks = HOURS_A_MONTH * 60
    clock = sum(bill(tick.times(ticks), prices, architecture).values())
    return {
        "clock": clock + ticks / MILLION * prices["scheduler.invocations"].dollars,
        "database": LEAST_ACU * HOURS_A_MONTH / LOOK_HOURS * AWAKE_HOURS * prices["aurora.capacity"].dollars,
        "key and secrets": prices["kms.key"].dollars + SECRETS * prices["secrets.secret"].dollars,
        "valkey": LEAST_CACHE_GB * HOURS_A_MONTH * prices["valkey.storage"].dollars,
    }


def step_functions_standard(states: int, prices: Prices = AWS) -> float:
    """Dollars for one execution of so many states, without retries, and without what the states call."""
    return states / MILLION * prices["step_functions.transitions"].dollars


def step_functions_express(seconds: float, payload_mb: float = 0.0, prices: Prices = AWS) -> float:
    """Dollars for one execution that takes `seconds`: a request, and memory (50 MB and the payloads, by 64 MB)
    for each 100 ms begun. Nothing of it is durable but what it logs, which is not counted here."""
    memory_gb = 64 * ceil((50 + payload_mb) / 64) / 1024
    tenths = max(1, ceil(round(seconds * 10, 6)))
    duration = tenths / 10 * memory_gb * prices["step_functions.duration"].dollars
    return prices["step_functions.requests"].dollars / MILLION + duration

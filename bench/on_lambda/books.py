"""What some runs took: from the emulator's own reports, /proc, Postgres and Valkey."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, fields
from typing import Any

import psycopg
import redis

from bench.cpu import children_by_parent, tree
from bench.on_lambda.deployment import FUNCTIONS, Deployment

REPORT = re.compile(r"^REPORT RequestId: \S+\t.*?\bDuration: ([\d.]+) ms\tBilled Duration: (\d+) ms", re.MULTILINE)
INIT = re.compile(r"INIT REPORT\(durationMs: ([\d.]+)\)")
OURS = re.compile(r"^.*\(rapid\).*\n?", re.MULTILINE)
"""Lines of the emulator about itself, which AWS does not log."""

POSTGRES = """
SELECT (SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()),
       (SELECT sum(active_time) FROM pg_stat_database WHERE datname = current_database()),
       (SELECT wal_bytes FROM pg_stat_wal),
       {syncs},
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
        WHERE n.nspname = current_schema() AND c.relkind IN ('r', 'p'))
"""
"""Transactions, ms in statements, bytes and syncs of the log, and bytes that are kept."""

SYNCS = {True: "(SELECT sum(fsyncs) FROM pg_stat_io WHERE object = 'wal')", False: "(SELECT wal_sync FROM pg_stat_wal)"}
"""Whether the server is an 18 or later."""


@dataclass
class Taken:
    """Of one function: invocations, their sum of milliseconds, and CPU of its runtimes in ms."""

    invocations: int = 0
    wall_ms: float = 0.0
    billed_ms: int = 0
    cpu_ms: float = 0.0

    def __sub__(self, other: Taken) -> Taken:
        return Taken(*(getattr(self, each.name) - getattr(other, each.name) for each in fields(self)))


@dataclass
class Books:
    """A reading of all meters; the difference of two is what was taken in between."""

    functions: dict[str, Taken] = field(default_factory=dict)
    stores: dict[str, float] = field(default_factory=dict)

    def __sub__(self, other: Books) -> Books:
        functions = {name: taken - other.functions[name] for name, taken in self.functions.items()}
        return Books(functions, {name: value - other.stores[name] for name, value in self.stores.items()})


def reported(log: str) -> tuple[Taken, list[float]]:
    """What a function's log says that it took, and the milliseconds of its initialisations."""
    found = [(float(wall), int(billed)) for wall, billed in REPORT.findall(log)]
    taken = Taken(len(found), sum(wall for wall, _ in found), sum(billed for _, billed in found))
    return taken, [float(ms) for ms in INIT.findall(log)]


def logged(log: str) -> int:
    """Bytes that AWS would have logged."""
    return len(OURS.sub("", log).encode())


def log_of(deployment: Deployment, name: str) -> str:
    path = deployment.logs / f"lf-{name}.log"
    return path.read_text(errors="replace") if path.exists() else ""


def runtime_cpu(deployment: Deployment, name: str) -> float:
    """CPU ms of a function's runtimes: what the emulator itself uses is nobody's bill."""
    children = children_by_parent()
    emulators = [environment.pid for environment in deployment.pool.living(f"lf-{name}")]
    return 1000 * sum(tree(child, children) for pid in emulators for child in children.get(pid, ()))


def read(deployment: Deployment, database: psycopg.Connection, cache: redis.Redis, postgres: int | None) -> Books:
    """Read every meter. `postgres` is the server's process, where it is ours."""
    books, bytes_ = Books(), 0
    for name in FUNCTIONS:
        log = log_of(deployment, name)
        taken, _ = reported(log)
        taken.cpu_ms = runtime_cpu(deployment, name)
        books.functions[name], bytes_ = taken, bytes_ + logged(log)
    asked = SYNCS[database.info.server_version >= 180000]
    row = database.execute(POSTGRES.format(syncs=asked).encode()).fetchone()
    assert row is not None
    transactions, active, wal, syncs, size = map(float, row)
    stats: dict[str, Any] = cache.info("stats")
    books.stores = {
        "transactions": transactions,
        "syncs": syncs,
        "active_ms": active,
        "wal_bytes": wal,
        "size_bytes": size,
        "cpu_ms": 1000 * tree(postgres, children_by_parent()) if postgres else active,
        "commands": stats["total_commands_processed"],
        "cache_bytes": stats["total_net_input_bytes"] + stats["total_net_output_bytes"],
        "log_bytes": bytes_,
    }
    return books

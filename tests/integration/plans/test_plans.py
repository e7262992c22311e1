"""Nothing on the hot path scans with the number of finished runs, open timers, queued tasks or workspaces.

Each hot statement is prepared as in production and executed on a crowded database, with the plan that holds for any
arguments and with the one made for these. No plan may scan a whole table, and none may look at more rows than a few
batches, whatever the tables hold.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

import psycopg
import pytest

from linkflow.postgres.queries import queries
from tests.conftest import fresh_database
from tests.integration.plans.statements import COLD, HOT

Connection = psycopg.Connection[tuple[Any, ...]]

BOUND = 2000
"""Rows that one node of a plan may look at: a few batches or pages. The tables of the crowd have several times as many."""

PLACEHOLDER = re.compile(r"%(?:\((\w+)\))?[sb]")


@pytest.fixture(scope="module")
def crowd(postgres: Any, migrated_template: str) -> Iterator[Connection]:
    """A connection to the crowded database."""
    with (
        fresh_database(postgres.url, migrated_template) as url,
        psycopg.connect(url, autocommit=True, cursor_factory=psycopg.ClientCursor) as connection,
    ):
        connection.execute(Path(__file__).with_name("crowd.sql").read_bytes())
        yield connection


def _names(file: str) -> list[str]:
    text = files("linkflow.postgres").joinpath("queries", f"{file}.sql").read_text()
    return re.findall(r"^-- name: (\w+)$", text, re.MULTILINE)


def _numbered(statement: str) -> tuple[str, list[str]]:
    """The statement with `$1`, `$2`, …, and whose values these are."""
    names: list[str] = []

    def number(found: re.Match[str]) -> str:
        name = found.group(1) or f"#{len(names)}"
        if name not in names:
            names.append(name)
        return f"${names.index(name) + 1}"

    return PLACEHOLDER.sub(number, statement), names


def plan(connection: Connection, file: str, name: str, args: Any, mode: str) -> dict[str, Any]:
    """What Postgres did: the statement is executed, and rolled back."""
    text, names = _numbered(queries(file)[name].as_string(connection))
    values = [args[at] for at in range(len(names))] if isinstance(args, tuple) else [args[name] for name in names]
    call = f"({', '.join(['%s'] * len(values))})" if values else ""
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL plan_cache_mode = {mode}")
        connection.execute(f"PREPARE hot AS {text}")
        try:
            row = connection.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE hot {call}", values).fetchone()
        finally:
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.INERROR:
                connection.execute("DEALLOCATE hot")
    assert row is not None
    found: dict[str, Any] = row[0][0]["Plan"]
    return found


def nodes(top: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield top
    for child in top.get("Plans", ()):
        yield from nodes(child)


def looked_at(node: dict[str, Any]) -> int:
    """Rows that a node of a plan got from below or from a table, those that it dropped included."""
    dropped = sum(node.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck", "Join Filter"))
    return round(node["Actual Loops"] * (node["Actual Rows"] + dropped)) + node.get("Index Searches", 0)


def faults(connection: Connection, top: dict[str, Any]) -> list[str]:
    """What of a plan grows with the tables."""
    found = []
    for node in nodes(top):
        what = f"{node['Node Type']} {node.get('Relation Name', '')} {node.get('Index Name', '')}"
        if (
            node["Node Type"] == "Seq Scan"
            and node["Actual Loops"]
            and _size(connection, node["Relation Name"]) > BOUND
        ):
            found.append(f"{what}: the whole table is read")
        elif looked_at(node) > BOUND:
            found.append(f"{what}: {looked_at(node)} rows")
    return found


def _size(connection: Connection, table: str) -> int:
    row = connection.execute("SELECT reltuples FROM pg_class WHERE oid = %s::regclass", (table,)).fetchone()
    assert row is not None
    return int(row[0])


def _cases() -> list[tuple[str, str, Any]]:
    found = []
    for file, statements in HOT.items():
        for name, args in statements.items():
            found += [(file, name, case) for case in (args if isinstance(args, list) else [args])]
    return found


@pytest.mark.parametrize("mode", ["force_generic_plan", "force_custom_plan"])
@pytest.mark.parametrize(("file", "name", "args"), _cases(), ids=lambda value: value if isinstance(value, str) else "")
def test_a_hot_statement_looks_at_few_rows(crowd: Connection, file: str, name: str, args: Any, mode: str) -> None:
    assert faults(crowd, plan(crowd, file, name, args, mode)) == []


@pytest.mark.parametrize("file", sorted(e.name[:-4] for e in files("linkflow.postgres").joinpath("queries").iterdir()))
def test_every_statement_is_hot_or_has_a_reason_not_to_be(file: str) -> None:
    hot, cold = set(HOT.get(file, ())), set(COLD.get(file, ()))
    assert not hot & cold
    assert hot | cold == set(_names(file)), "name it in statements.py: with arguments if it is hot, or with a reason"


@pytest.mark.parametrize(
    ("index", "file", "name"),
    [
        ("executions_by_workspace", "executions", "page_by_workspace"),
        ("executions_by_status", "executions", "page_by_workspace_status"),
        ("timers_by_due", "timers", "due"),
        ("tasks_by_offer", "executions", "lost_tasks"),
        ("waits_by_age", "executions", "waiting"),
        ("slots_taken", "admission", "lines"),
        ("schedules_by_wake", "timers", "due_schedules"),
    ],
)
def test_without_its_index_a_statement_is_found_out(crowd: Connection, index: str, file: str, name: str) -> None:
    case = HOT[file][name]
    args = case[-1] if isinstance(case, list) else case
    with crowd.transaction(force_rollback=True):
        crowd.execute(f"DROP INDEX {index}")
        assert faults(crowd, plan(crowd, file, name, args, "force_generic_plan"))

"""Migrations while others write: they wait for no lock for long, and go on where they died."""

from __future__ import annotations

import threading

import psycopg
import pytest
from psycopg import errors

from bench.migrations import RELEASE, fill, writers
from linkflow.postgres import migrate as module
from linkflow.postgres.migrate import migrate, migrations


def schema(url: str) -> list[tuple[str, str]]:
    """Indexes and columns."""
    with psycopg.connect(url) as database:
        indexes = "SELECT indexname, regexp_replace(indexdef, 'history_[0-9]+', 'h') FROM pg_indexes"
        columns = "SELECT table_name, column_name || ' ' || data_type FROM information_schema.columns"
        own = "table_schema = 'public'"
        found = database.execute(f"{indexes} WHERE schemaname = 'public' UNION {columns} WHERE {own}").fetchall()  # type: ignore[arg-type]
    return sorted((str(one), str(other)) for one, other in found)


def test_a_full_database_comes_to_what_a_new_one_has(empty_database_url: str, database_url: str) -> None:
    migrate(empty_database_url, RELEASE)
    fill(empty_database_url, 300)
    with writers(empty_database_url, 2) as busy:
        applied = migrate(empty_database_url)
    assert len(applied) == len([one for one in migrations() if one[0] > RELEASE])
    assert all(writer.done for writer in busy)
    assert schema(empty_database_url) == schema(database_url)
    with psycopg.connect(empty_database_url) as database:
        sizes = database.execute("SELECT DISTINCT closed_at = 0, history_bytes > 0 FROM executions WHERE version = 4")
        assert set(sizes.fetchall()) >= {(False, False)}
        none = database.execute("SELECT 1 FROM executions WHERE closed_at = 0 AND history_bytes = 0 AND version = 4")
        assert none.fetchone() is None, "open runs know how large they are"
    assert migrate(empty_database_url) == []


def test_it_lets_others_go_first(empty_database_url: str) -> None:
    migrate(empty_database_url, 8)
    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT FROM executions")  # keeps a lock until its end
        done: list[list[str]] = []
        thread = threading.Thread(target=lambda: done.append(migrate(empty_database_url, 9)))
        thread.start()
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        with psycopg.connect(empty_database_url, autocommit=True) as looker:
            while (row := looker.execute(waiting).fetchone()) and not row[0]:
                pass
            while (row := looker.execute(waiting).fetchone()) and row[0]:
                pass  # it has given up, for the moment
            looker.execute("INSERT INTO executions SELECT e.* FROM executions e")  # and nobody stands behind it
        assert thread.is_alive()
        reader.rollback()
        thread.join()
    assert done == [["0009_snapshots"]]


def test_it_says_so_where_a_lock_is_never_free(empty_database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    migrate(empty_database_url, 8)
    monkeypatch.setattr(module, "_TRIES", 1)
    with psycopg.connect(empty_database_url) as reader:
        reader.execute("SELECT FROM executions")
        with pytest.raises(errors.LockNotAvailable):
            migrate(empty_database_url, 9)


def test_batches_end_though_there_is_always_more(empty_database_url: str) -> None:
    batch = "UPDATE t SET n = n + 1 WHERE id IN (\n  SELECT id FROM t WHERE n < {most}\n  LIMIT 5\n)"
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("CREATE TABLE t AS SELECT id, 0 AS n FROM generate_series(1, 12) id")
        module._alone(database, batch.format(most=1))
        assert database.execute("SELECT count(*) FROM t WHERE n = 1").fetchone() == (12,)
        database.execute("DELETE FROM t WHERE id > 3")
        module._alone(database, batch.format(most=1000))
        assert database.execute("SELECT max(n) FROM t").fetchone() == (2,)


def test_an_index_that_was_half_made_is_made_again(empty_database_url: str) -> None:
    migrate(empty_database_url, 13)
    with psycopg.connect(empty_database_url, autocommit=True) as database:
        database.execute("CREATE INDEX executions_by_failure ON executions (parent_id) WHERE mode = 'error'")
        database.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'executions_by_failure'::regclass")
        assert migrate(empty_database_url, 14) == ["0014_error_workflows"]
        row = database.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 'executions_by_failure'::regclass"
        ).fetchone()
    assert row == (True,)

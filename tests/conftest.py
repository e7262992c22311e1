"""Servers for tests: real ones, embedded unless the environment names others (`TEST_DATABASE_URL`, `TEST_REDIS_URL`,
or the same without `TEST_`).

A test asks for `database_url` (an empty, migrated database of its own) and `redis_url` (an empty logical database).
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

TEST_REDIS_DATABASE = 15  # flushed by every test; 0 is where people keep theirs

LONGEST = (
    "bench/test_bench", "e2e/test_template", "e2e/test_main_job", "chaos/test_scenarios",
    "integration/test_two_databases", "integration/test_moving", "integration/control/test_http_malformed",
    "integration/control/test_http_permissions", "integration/test_local_stack", "escapes/test_escapes",
    "e2e/test_containers", "integration/plans/test_plans", "integration/test_admission", "model/test_model",
    "browser/test_console", "unit/engine/test_properties", "chaos/test_faults", "chaos/test_lambda_faults",
    "bench/test_on_lambda", "e2e/test_loops", "contract/test_transports", "contract/test_queue_races",
    "integration/test_retention", "contract/test_task_queue", "integration/test_queues", "integration/test_beats",
    "unit/nodes/test_aside", "integration/control/test_http_hooks", "unit/engine/test_forking_properties",
    "unit/nodes/test_own_types", "unit/definition/test_properties", "integration/test_timer", "e2e/test_payloads",
    "integration/test_outage", "e2e/test_backup", "integration/test_steps", "unit/engine/test_snapshots",
)  # fmt: skip
"""Files that take longest. They come first, or one process would end on one of them while the others have nothing left."""

IN_MEMORY = Path("/dev/shm")
ROOM = 6 * 2**30
"""Bytes that have to be free where the tests' files are kept in memory. They need about one."""


@pytest.hookimpl(tryfirst=True)  # before the temporary directory is chosen
def pytest_configure(config: pytest.Config) -> None:
    """Keep temporary files in memory where there is room: a database a test is hundreds of files, and most of its time
    is the disk's. Tests kill processes, never the power.

    Compiled modules are kept even where the shell asks for none (images of containers like to): hundreds of processes of
    these tests import LinkFlow, and each would compile it anew."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    sys.dont_write_bytecode = False
    if hasattr(config, "workerinput") or config.option.basetemp or not _room():
        return
    for left in IN_MEMORY.glob("linkflow-tests-*"):
        if not Path("/proc", left.name.rpartition("-")[2]).exists():  # killed before it could tidy up
            shutil.rmtree(left, ignore_errors=True)
    config.option.basetemp = str(IN_MEMORY / f"linkflow-tests-{os.getpid()}")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    places = {Path(__file__).parent / f"{name}.py": place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(LONGEST)))


def pytest_unconfigure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        shutil.rmtree(IN_MEMORY / f"linkflow-tests-{os.getpid()}", ignore_errors=True)


def _room() -> bool:
    try:
        found = os.statvfs(IN_MEMORY)
        memory = re.search(r"MemAvailable: +(\d+) kB", Path("/proc/meminfo").read_text())
    except (OSError, AttributeError):
        return False
    free = min(found.f_bavail * found.f_frsize, int(memory[1]) * 1024 if memory else 0)
    return free > ROOM and not found.f_flag & os.ST_NOEXEC and os.access(IN_MEMORY, os.W_OK)


@dataclass(frozen=True)
class GivenServer:
    """A server that somebody else runs."""

    url: str
    owned: bool = False
    running: bool = True


def _given(name: str) -> GivenServer | None:
    url = os.environ.get(f"TEST_{name}") or os.environ.get(name)
    return GivenServer(url) if url else None


@pytest.fixture(scope="session")
def session_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("linkflow")


@pytest.fixture(scope="session")
def postgres(session_home: Path):
    """One Postgres for all tests. `kill` and `restart` are there when it is embedded; leave it running."""
    if given := _given("DATABASE_URL"):
        yield given
        return
    from linkflow.local.postgres import EmbeddedPostgres

    # Tests kill processes, never the power: what the kernel holds is safe, and a slow disk need not be waited for.
    with EmbeddedPostgres(session_home, settings={"fsync": "off", "full_page_writes": "off"}) as server:
        _sign_in_quickly(server.url)
        yield server


def _sign_in_quickly(url: str) -> None:
    """Tests open thousands of connections, and most of what one costs is 4096 rounds of the password's hash."""
    import psycopg
    from psycopg import sql

    with psycopg.connect(url, autocommit=True) as admin:
        if admin.info.server_version >= 160000:
            admin.execute("SET scram_iterations = 1")
            change = sql.SQL("ALTER ROLE {} PASSWORD {}")
            admin.execute(change.format(sql.Identifier(admin.info.user), sql.Literal(admin.info.password)))


@pytest.fixture(scope="session")
def valkey(session_home: Path):
    """One Valkey for all tests."""
    if given := _given("REDIS_URL"):
        yield given
        return
    from linkflow.local.valkey import EmbeddedValkey

    with EmbeddedValkey(session_home) as server:
        yield server


@contextmanager
def fresh_database(server_url: str, template: str = "template0") -> Iterator[str]:
    """A new database on the server of `server_url`, dropped in the end with whoever still uses it."""
    import psycopg
    from psycopg import sql

    name = f"test_{secrets.token_hex(6)}"
    with psycopg.connect(server_url, autocommit=True) as admin:
        # Two checkpoints, and nothing of it through the log.
        how = " STRATEGY file_copy" if admin.info.server_version >= 150000 else ""
        create = sql.SQL("CREATE DATABASE {} TEMPLATE {}" + how)
        admin.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))
    finally:
        with psycopg.connect(server_url, autocommit=True) as admin:
            admin.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture(scope="session")
def migrated_template(postgres) -> Iterator[str]:
    """The name of a database that is migrated once and copied for every test."""
    from linkflow.postgres.migrate import migrate

    with fresh_database(postgres.url) as url:
        migrate(url)
        yield urlsplit(url).path.lstrip("/")


@pytest.fixture
def database_url(postgres, migrated_template: str) -> Iterator[str]:
    """A migrated, empty database of this test's own."""
    with fresh_database(postgres.url, migrated_template) as url:
        yield url


@pytest.fixture
def empty_database_url(postgres) -> Iterator[str]:
    """A database without any schema, for tests of the migrations themselves."""
    with fresh_database(postgres.url) as url:
        yield url


@pytest.fixture
def redis_url(valkey) -> Iterator[str]:
    """An empty logical database; whatever a test leaves there is gone before the next."""
    import redis

    url = urlunsplit(urlsplit(valkey.url)._replace(path=f"/{TEST_REDIS_DATABASE}"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
        yield url
        client.flushdb()


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Valkey cluster of one server: it refuses whatever would span several."""
    import redis
    from redis.backoff import ConstantBackoff
    from redis.retry import Retry

    from linkflow.local import binaries

    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, bus = one.getsockname()[1], two.getsockname()[1]
    home = tmp_path_factory.mktemp("cluster")
    options = f"--port {port} --cluster-port {bus} --bind 127.0.0.1 --cluster-enabled yes --dir {home}"
    server = subprocess.Popen([binaries.valkey(), *options.split(), "--save", ""], stdout=subprocess.DEVNULL)
    with redis.Redis(port=port, retry=Retry(ConstantBackoff(0.05), 100)) as admin:
        admin.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
        while admin.execute_command("CLUSTER INFO")["cluster_state"] != "ok":
            time.sleep(0.05)
    yield f"redis://127.0.0.1:{port}?cluster=true"
    server.kill()
    server.wait()


@pytest.fixture(scope="session")
def split_databases(postgres, migrated_template: str) -> Iterator[tuple[str, str]]:
    """Two databases of one deployment: the upper half of the shards is in the second, `b`."""
    import psycopg

    from linkflow.postgres.migrate import migrate_all

    with fresh_database(postgres.url, migrated_template) as main, fresh_database(postgres.url) as other:
        migrate_all(main, {"b": other})
        with psycopg.connect(main) as connection:
            connection.execute("UPDATE shard_home SET lasts = '{2047}'")
            connection.execute("SELECT linkflow_set_guard()")
            connection.execute("UPDATE shard_map SET last_shard = 2047")
            connection.execute("INSERT INTO shard_map VALUES (2048, 4095, 'b')")
        with psycopg.connect(other) as connection:
            connection.execute("UPDATE shard_home SET firsts = '{2048}', lasts = '{4095}'")
            connection.execute("SELECT linkflow_set_guard()")
        yield main, other


EMPTY = """
DO $$
DECLARE
  name text;
  holds boolean;
BEGIN
  FOR name IN
    SELECT quote_ident(relname) FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition
      AND relname !~ '^(shard_|linkflow_)'
  LOOP
    EXECUTE 'SELECT EXISTS (SELECT FROM ' || name || ')' INTO holds;
    IF holds THEN
      EXECUTE 'DELETE FROM ' || name;
    END IF;
  END LOOP;
END $$
"""
"""Truncating makes the files of all tables and indexes anew; most tests have written a few rows to a few tables."""


@pytest.fixture
def split_urls(split_databases: tuple[str, str]) -> tuple[str, str]:
    """The main database and `b`, empty: each has half of the shards."""
    import psycopg

    for url in split_databases:
        with psycopg.connect(url) as connection:
            connection.execute("SET session_replication_role = replica")  # in any order
            connection.execute(EMPTY)
    return split_databases

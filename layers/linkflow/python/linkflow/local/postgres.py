"""A Postgres of our own on the loopback address, with its data in the home."""

from __future__ import annotations

import secrets
import shutil
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from linkflow.domain.errors import CannotStart
from linkflow.local import binaries, ports, process
from linkflow.local.home import keep, once, recall
from linkflow.local.server import EmbeddedServer, Found

DATABASE = "linkflow"

# For two cores and modest memory. What is acknowledged is on the disk: that is never traded for speed here.
SETTINGS: Mapping[str, str] = {
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "listen_addresses": ports.HOST,
    "unix_socket_directories": "",  # a socket's path may have 107 bytes, and homes lie deep
    "max_connections": "200",
    "shared_buffers": "128MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short statements
    "wal_buffers": "16MB",
    "max_wal_size": "1GB",
    "checkpoint_timeout": "15min",  # each checkpoint makes the next touch of a page write it whole
    "max_wal_senders": "0",
    "max_parallel_workers": "2",
    "autovacuum_max_workers": "2",
    "autovacuum_naptime": "20s",  # queues and outboxes make dead rows quickly
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    "log_destination": "stderr",
    "logging_collector": "off",
}


class EmbeddedPostgres(EmbeddedServer):
    """Postgres in `home`/postgres, with one superuser, a random password and the database ``linkflow``.

    `port`: None keeps a port of the home's own, and moves when it is taken. `settings` override `SETTINGS`.
    """

    name = "postgres"
    stop_signals: ClassVar[dict[str, signal.Signals]] = {
        "smart": signal.SIGTERM,
        "fast": signal.SIGINT,
        "immediate": signal.SIGQUIT,
    }

    def __init__(self, home: Path | str, port: int | None = None, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(home, port)
        self._settings = {**SETTINGS, **(settings or {})}
        self._folder = Path()
        self._version = 0

    @property
    def url(self) -> str:
        """``postgresql://postgres:PASSWORD@127.0.0.1:PORT/linkflow``"""
        return self._url(self.port)

    def _url(self, port: int, database: str = DATABASE) -> str:
        return f"postgresql://postgres:{recall(self._note('password'))}@{ports.HOST}:{port}/{database}"

    def _create(self) -> None:
        """`initdb` beside the data and rename: a crash half-way leaves nothing that looks like a database."""
        kept = recall(self.data / "PG_VERSION")
        self._folder, self._version = binaries.postgres(int(kept) if kept else None)
        if kept:
            return
        if self.data.exists() and any(self.data.iterdir()):
            raise CannotStart(f"{self.data} holds something else than a database; move it away")
        draft = self.home / "postgres.draft"
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(mode=0o700)
        with self._open_log() as log:
            begin = log.tell()
            child = process.spawn(self._initdb(draft), log, ends_with=signal.SIGTERM, rootless=draft)
        try:
            failed = child.wait(120)
        except BaseException:
            child.terminate()
            raise
        if failed:
            words = self.log.read_bytes()[begin:].decode(errors="replace")
            raise CannotStart(f"initdb failed in {self.home}; it said:\n{words[-2000:].strip()}")
        draft.replace(self.data)
        keep(self.home)

    def _initdb(self, folder: Path) -> list[str]:
        password = self._note("password")
        once(password, lambda: secrets.token_urlsafe(24))
        # The built-in provider is the same on every system; before it there was only the C library's.
        builtin = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        return [
            str(self._folder / "initdb"),
            *("-D", str(folder), "-U", "postgres", "--auth=scram-sha-256", f"--pwfile={password}"),
            *("--encoding=UTF8", "--data-checksums"),
            *(builtin if self._version >= 17 else ["--locale=C.UTF-8"]),
        ]

    def _command(self, port: int) -> list[str]:
        settings = {**self._settings, "port": str(port)}
        if self._version >= 18:
            settings.setdefault("io_method", "sync")  # three helper processes for reads that are in memory anyway
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        return [str(self._folder / "postgres"), "-D", str(self.data), *options]

    def _rootless(self) -> Path | None:
        return self.data

    def _in_the_way(self, words: str) -> bool:
        return "pre-existing shared memory block" in words or 'lock file "postmaster.pid"' in words

    def _pidfile(self) -> list[str]:
        """Lines: pid, data folder, start, port, socket folder, address, shared memory, status."""
        return recall(self.data / "postmaster.pid").split("\n")

    def _find(self) -> Found | None:
        lines = self._pidfile()
        if not lines[0]:
            return None
        pid = int(lines[0])
        if process.runs(pid, "postgres", f"-D {self.data}"):
            return Found(pid, int(lines[3]) if len(lines) > 3 else 0)
        if process.alive(pid) and not process.runs(pid, "postgres", ""):
            # A number used again, as in every container: Postgres would refuse to start.
            (self.data / "postmaster.pid").unlink(missing_ok=True)
        return None

    def _ready(self, port: int) -> bool:
        lines = self._pidfile()
        if len(lines) < 8 or lines[7].strip() != "ready" or lines[3] != str(port):
            return False
        if self._child is not None and lines[0] != str(self._child.pid):
            return False
        return self._has_database(port)

    def _has_database(self, port: int) -> bool:
        """Connect, and make the database when it is missing: after `initdb`, or a crash right after it."""
        import psycopg  # late: a fifth of a second

        try:
            psycopg.connect(self._url(port), connect_timeout=5, sslmode="disable").close()
        except psycopg.OperationalError as error:
            words = str(error)
            if f'database "{DATABASE}" does not exist' in words:
                with psycopg.connect(self._url(port, "postgres"), autocommit=True, sslmode="disable") as connection:
                    connection.execute(f"CREATE DATABASE {DATABASE}")
                return True
            if "password authentication failed" in words:
                note = self._note("password")
                raise CannotStart(f"{note} is not the password of {self.data}; bring it back or reset") from None
            return "too many clients" in words  # that is an answer too
        return True

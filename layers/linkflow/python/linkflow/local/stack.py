"""Postgres and Valkey for one machine, started together."""

from __future__ import annotations

import secrets
import shutil
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from linkflow.config import Config, load
from linkflow.domain.errors import CannotStart
from linkflow.local.home import locked, once, prepare

if TYPE_CHECKING:
    from linkflow.local.server import EmbeddedServer


class LocalStack:
    """What the configuration lacks of a database, a Redis and a secret, kept in `home`.

    A URL that is configured is used as it is, and that part is not started.
    """

    def __init__(self, home: Path | str | None = None, config: Config | None = None) -> None:
        self._config = load() if config is None else config
        self.home = Path(home or self._config.home).resolve()
        self.postgres: EmbeddedServer | None = None
        self.valkey: EmbeddedServer | None = None

    def start(self) -> Config:
        """Start what is missing, both at once; the configuration with all filled in. Raises `CannotStart`."""
        prepare(self.home)
        self._choose()
        servers = [server for server in (self.postgres, self.valkey) if server is not None]
        try:
            _together(server.start for server in servers)
        except BaseException:
            self.stop()
            raise
        from msgspec.structs import replace

        return replace(
            self._config,
            home=str(self.home),
            database_url=self.postgres.url if self.postgres else self._config.database_url,
            redis_url=self.valkey.url if self.valkey else self._config.redis_url,
            keys=self._config.keys or f"file:{self.home / 'keys.json'}",
            secret=self._config.secret or once(self.home / "secret", lambda: secrets.token_urlsafe(48)),
        )

    def stop(self) -> None:
        """Stop what we started; let go of what another process started."""
        _together(server.stop for server in (self.valkey, self.postgres) if server is not None)

    def __enter__(self) -> Config:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _choose(self) -> None:
        if sys.platform == "win32" and not (self._config.database_url and self._config.redis_url):
            raise CannotStart("the local stack needs Linux or macOS (or WSL); else set DATABASE_URL and REDIS_URL")
        if not self._config.database_url and self.postgres is None:
            from linkflow.local.postgres import EmbeddedPostgres

            self.postgres = EmbeddedPostgres(self.home)
        if not self._config.redis_url and self.valkey is None:
            from linkflow.local.valkey import EmbeddedValkey

            self.valkey = EmbeddedValkey(self.home)


def reset(home: Path | str) -> None:
    """Stop the servers that run on `home`, whoever started them, and delete their data and the secret.

    Only what this package made is deleted: a home that was named by mistake loses nothing else.
    """
    from linkflow.local.postgres import EmbeddedPostgres
    from linkflow.local.valkey import EmbeddedValkey

    folder = Path(home).resolve()
    if not folder.exists():
        return
    for server in (EmbeddedPostgres(folder), EmbeddedValkey(folder)):
        with locked(folder / f"{server.name}.lock"):
            server.evict()
            shutil.rmtree(server.data, ignore_errors=True)
            for leftover in folder.glob(f"{server.name}.*"):
                if leftover.name == f"{server.name}.draft":
                    shutil.rmtree(leftover)
                elif leftover.suffix != ".lock":  # a lock that is deleted can be held twice
                    leftover.unlink()
    for name in ("secret", "keys.json", "sign-ins.json"):
        (folder / name).unlink(missing_ok=True)


def _together(acts: Iterable[Callable[[], None]]) -> None:
    """Run acts at once and wait for all; the first that failed raises."""
    errors: list[BaseException] = []

    def run(act: Callable[[], None]) -> None:
        try:
            act()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(act,)) for act in acts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]

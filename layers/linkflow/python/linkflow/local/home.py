"""The data home of one machine: a private folder with a few small files beside the data.

- ``.gitignore``, ``secret`` and ``keys.json``, made once; ``sign-ins.json``, the command line's session;
- ``postgres/`` with ``postgres.port``, ``.password``, ``.owner``, ``.lock`` and ``.log``;
- ``valkey/`` with ``valkey.port``, ``.pid``, ``.owner``, ``.lock`` and ``.log``.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from linkflow.domain.errors import CannotStart


def prepare(home: Path) -> None:
    """Make the home, closed to other users, and keep version control out of it."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    ignore = home / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n")


def recall(path: Path) -> str:
    """The text of a small file, or ``""`` when there is none."""
    try:
        return path.read_text().strip()
    except FileNotFoundError:
        return ""


def remember(path: Path, text: str) -> None:
    """Write a small file that only we can read; a reader sees the old text or the new one, never half."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    keep(path.parent)


def keep(folder: Path) -> None:
    """Make new names in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def once(path: Path, make: Callable[[], str]) -> str:
    """The text kept in `path`, made by `make` the first time. Two processes at once agree on one text."""
    if text := recall(path):
        return text
    draft = path.with_name(f"{path.name}.{os.getpid()}.first")
    remember(draft, make())
    try:
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # unlike a rename, a link never replaces what another process wrote first
    finally:
        draft.unlink()
    keep(path.parent)
    return recall(path)


@contextlib.contextmanager
def locked(path: Path, timeout: float = 150.0) -> Iterator[None]:
    """Hold `path` against other processes, which may be starting the same server. The kernel frees it if we die."""
    import fcntl  # absent on Windows, where this module must still import

    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + timeout
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise CannotStart(f"another process has held {path} for {timeout:.0f} s; stop it") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)

"""A peer that runs: its processes, and how it is put to work."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from linkflow.local import process

START = 90.0
"""Seconds that a peer's server may take to listen."""

Load = Callable[..., dict[str, Any]]
"""``load(in_flight=…, seconds=…, lead=…)``: a `Window`'s figures."""


@dataclass(frozen=True)
class Running:
    """A peer under way. `roots` are all processes that have a part in its work, by name: pids."""

    load: Load
    roots: Mapping[str, int | None]
    kill: Callable[[], None]
    """End the work at once, when it takes too long."""


class Server:
    """A program that listens on a port. Used with `with`; it and its children end with us, whatever happens."""

    def __init__(self, command: Sequence[str], port: int, log: Path, **environ: str) -> None:
        self._command = ["/usr/bin/env", *(f"{name}={value}" for name, value in environ.items()), *command]
        self._port, self._log = port, log

    def __enter__(self) -> Server:
        with self._log.open("ab") as log:
            self._process = process.spawn(self._command, log, ends_with=signal.SIGKILL)
        self.pid = self._process.pid
        try:
            self._wait()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            os.killpg(self.pid, signal.SIGTERM)
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                os.killpg(self.pid, signal.SIGKILL)
                self._process.wait()

    def kill(self) -> None:
        """End it at once: whoever waits for its answer gets none."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)

    def _wait(self) -> None:
        deadline = time.monotonic() + START
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self._port), 1.0).close()
            except OSError:
                time.sleep(0.2)
            else:
                return
        words = self._log.read_text(errors="replace")[-400:].strip()
        raise RuntimeError(f"nothing listens on port {self._port}; it said: {words}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

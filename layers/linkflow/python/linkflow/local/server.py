"""What an embedded Postgres and an embedded Valkey have in common: starting, attaching, stopping, dying."""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO, ClassVar, NamedTuple, Self

from linkflow.domain.errors import CannotStart, Conflict
from linkflow.local import ports, process
from linkflow.local.home import locked, prepare, recall, remember

START_TIMEOUT = 120.0  # seconds; recovery after a crash may read a gigabyte of log
LOCK_RETRY = 2.0  # seconds in which the remains of a killed server may still be in the way
LOG_LIMIT = 16 * 1024 * 1024


class Found(NamedTuple):
    """A living server on a home."""

    pid: int
    port: int


class EmbeddedServer(ABC):
    """One server on one data home. Synchronous, for one thread at a time; several processes may share a home.

    The process that starts the server owns it, and the server ends with that process, cleanly. Others attach: for
    them `stop` only lets go.
    """

    name: ClassVar[str]
    stop_signals: ClassVar[dict[str, signal.Signals]]

    def __init__(self, home: Path | str, port: int | None = None) -> None:
        self.home = Path(home).resolve()
        self.data = self.home / self.name
        self.log = self.home / f"{self.name}.log"
        self._fixed_port = port
        self._child: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._port = 0
        self._owner = 0

    # What a kind of server must say about itself.

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients connect. Raises `CannotStart` when the server never started on this home."""

    @abstractmethod
    def _create(self) -> None:
        """Make the data folder if there is none, and check that it fits the program."""

    @abstractmethod
    def _command(self, port: int) -> list[str]: ...

    @abstractmethod
    def _find(self) -> Found | None:
        """The server that runs on this home, whoever started it; stale traces of a dead one are removed."""

    @abstractmethod
    def _ready(self, port: int) -> bool:
        """Whether it answers at `port` now. Raises `CannotStart` if it never will."""

    # What a caller uses.

    @property
    def port(self) -> int:
        port = self._port or int(recall(self._note("port")) or 0)
        if not port:
            raise CannotStart(f"{self.name} has not been started on {self.home}")
        return port

    @property
    def owned(self) -> bool:
        """Whether this object started the server that runs, in this process."""
        return self._child is not None and self._owner == os.getpid()

    @property
    def running(self) -> bool:
        """Whether the server we started or attached to is alive."""
        if self.owned and self._child is not None:
            return self._child.poll() is None and bool(process.arguments(self._child.pid))  # not while it is going
        found = self._find() if self._pid else None
        return found is not None and found.pid == self._pid

    def start(self) -> None:
        """Start the server, or attach to the one that runs on this home; returns when it answers.

        Raises `CannotStart` with the server's own words when it cannot.
        """
        if self.running:
            return
        self._forget()
        try:
            prepare(self.home)
            with locked(self._note("lock")):
                if not self._attach():
                    self._create()
                    self._launch()
        except PermissionError as error:
            raise CannotStart(f"{error}: {self.home} belongs to another user; run as that user") from error

    def stop(self, mode: str = "fast") -> None:
        """End the server if we own it, else only let go. `mode`: smart waits for clients, fast does not, immediate
        leaves recovery to the next start."""
        number = self.stop_signals[mode]
        if self.owned:
            self._end(self._pid, number)
        self._forget()

    def kill(self) -> None:
        """SIGKILL the server with all its processes, whoever owns it: what a crash would do. For fault tests."""
        if found := self._find():
            process.kill_family(found.pid, self._child_of(found.pid))
        self._forget()

    def restart(self) -> None:
        """Stop and start. Raises `Conflict` when another process owns the server."""
        if self.running and not self.owned:
            raise Conflict(f"{self.name} on {self.home} belongs to another process; restart it there")
        self.stop()
        self.start()

    def evict(self) -> None:
        """End the server that runs on this home, whoever owns it."""
        if found := self._find():
            self._end(found.pid, self.stop_signals["fast"])
        self._forget()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    # How.

    def _note(self, kind: str) -> Path:
        return self.home / f"{self.name}.{kind}"

    def _attach(self) -> bool:
        """Use the server that runs already. One whose owner died is not trusted to stay: it is ended."""
        if not (found := self._find()):
            return False
        server, _, owner = recall(self._note("owner")).partition(" ")
        if server == str(found.pid) and process.ended(int(owner)):
            self._end(found.pid, self.stop_signals["fast"])
            return False
        deadline = time.monotonic() + START_TIMEOUT
        while found := self._find():  # it may be on its way down
            if found.port and self._ready(found.port):
                self._pid, self._port = found
                return True
            if time.monotonic() > deadline:
                raise CannotStart(f"{self.name} (process {found.pid}) runs on {self.home} but does not answer")
            time.sleep(0.02)
        return False

    def _launch(self) -> None:
        taken: set[int] = set()
        retry_until = time.monotonic() + LOCK_RETRY
        while True:
            port = self._choose_port(taken)
            words = self._try_launch(port)
            if words is None:
                return
            if "address already in use" in words.lower() and self._fixed_port is None and len(taken) < 10:
                taken.add(port)
            elif self._in_the_way(words) and time.monotonic() < retry_until:
                time.sleep(0.1)
            else:
                raise CannotStart(f"{self.name} did not start on {self.home}; it said:\n{words[-2000:].strip()}")

    def _choose_port(self, taken: set[int]) -> int:
        if self._fixed_port is None:
            return ports.pick(self.home, self.name, int(recall(self._note("port")) or 0), taken)
        if not ports.is_free(self._fixed_port):
            raise CannotStart(f"port {self._fixed_port} for {self.name} is taken; free it or choose another")
        return self._fixed_port

    def _try_launch(self, port: int) -> str | None:
        """Start the server at `port` and wait until it answers; None, or what it said before it gave up."""
        with self._open_log() as log:
            begin = log.tell()
            child = process.spawn(
                self._command(port), log, ends_with=self.stop_signals["fast"], rootless=self._rootless()
            )
        try:
            self._child, self._owner, self._pid, self._port = child, os.getpid(), child.pid, port
            remember(self._note("port"), str(port))
            remember(self._note("owner"), f"{child.pid} {os.getpid()}")
            deadline = time.monotonic() + START_TIMEOUT
            while not self._ready(port):
                if child.poll() is not None:
                    self._forget()
                    return self.log.read_bytes()[begin:].decode(errors="replace")
                if time.monotonic() > deadline:
                    raise CannotStart(f"{self.name} did not answer in {START_TIMEOUT:.0f} s; see {self.log}")
                time.sleep(0.005)
        except BaseException:
            if self._child is not None:
                self._end(child.pid, self.stop_signals["immediate"])
            self._forget()
            raise
        atexit.register(self.stop)
        return None

    def _open_log(self) -> BinaryIO:
        """The log, private and at its end; a long one starts anew."""
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        log = os.fdopen(descriptor, "ab")
        if log.tell() > LOG_LIMIT:
            log.truncate(0)
        return log

    def _rootless(self) -> Path | None:
        """The folder to hand over when the server must not run as root."""
        return None

    def _in_the_way(self, words: str) -> bool:
        """Whether these last words blame the remains of a server that was killed a moment ago."""
        return False

    def _end(self, pid: int, number: signal.Signals) -> None:
        """Ask a server to end, then insist. Never by a pid alone: `pid` was just found by what it runs."""
        child = self._child_of(pid)
        process.send(pid, number)
        if not process.gone(pid, child, 60.0):
            process.kill_family(pid, child)

    def _child_of(self, pid: int) -> subprocess.Popen[bytes] | None:
        return self._child if self._child is not None and self._child.pid == pid else None

    def _forget(self) -> None:
        atexit.unregister(self.stop)
        self._child, self._pid, self._owner, self._port = None, 0, 0, 0

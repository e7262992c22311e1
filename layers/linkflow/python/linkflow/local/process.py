"""Child processes: started apart from the terminal, tied to our life, found again by what they run."""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any

_LAUNCHER = Path(__file__).with_name("launcher.py")


class _Nursery:
    """A thread that starts all children and never ends.

    Linux ties a child to the *thread* that made it: started from a thread that ends, a server would end with it.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self._orders: queue.SimpleQueue[tuple[Callable[[], Any], queue.SimpleQueue[Any]]] = queue.SimpleQueue()
        threading.Thread(target=self._work, name="linkflow-children", daemon=True).start()

    def _work(self) -> None:
        while True:
            make, reply = self._orders.get()
            try:
                reply.put(make())
            except BaseException as error:
                reply.put(error)

    def start(self, make: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
        reply: queue.SimpleQueue[subprocess.Popen[bytes] | BaseException] = queue.SimpleQueue()
        self._orders.put((make, reply))
        result = reply.get()
        if isinstance(result, BaseException):
            raise result
        return result


_nursery: _Nursery | None = None
_making = threading.Lock()


def spawn(
    command: Sequence[str], log: IO[bytes], *, ends_with: signal.Signals, rootless: Path | None = None
) -> subprocess.Popen[bytes]:
    """Start `command`, which gets `ends_with` when this process dies.

    It has a session of its own, so that Ctrl-C in the terminal reaches us first, and a bare environment, so that our
    secrets stay ours. `rootless`: the folder it works in, when it must not run as root. Output goes to `log`.
    """
    global _nursery
    with _making:
        if _nursery is None or _nursery.pid != os.getpid():  # a forked child inherits the object, not the thread
            _nursery = _Nursery()
    parent, number, folder = str(os.getpid()), str(int(ends_with)), str(rootless or "")
    full = [sys.executable, "-I", "-S", str(_LAUNCHER), parent, number, folder, *command]
    kept = {name: os.environ[name] for name in ("PATH", "LD_LIBRARY_PATH") if name in os.environ}

    def make() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603 - the command is ours, no shell
            full,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**kept, "LC_ALL": "C", "TZ": "UTC"},
        )

    return _nursery.start(make)


def arguments(pid: int) -> list[str]:
    """The command line of a living process; empty for one that is gone or going."""
    if pid <= 0:
        return []
    if sys.platform == "linux":
        try:
            line = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").rstrip("\0")
        except (FileNotFoundError, ProcessLookupError):
            return []
        return line.split("\0") if line else []
    return [_ps(pid, "args=")]


def runs(pid: int, program: str, mark: str) -> bool:
    """Whether `pid` is alive and is `program` with `mark` among its arguments: a recycled pid is another's."""
    line = " ".join(arguments(pid)) + " "
    return program in line and f"{mark} " in line


def alive(pid: int) -> bool:
    """Whether there is a process `pid`, ours or another user's, dead but not reaped ones included."""
    if pid <= 0:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def ended(pid: int) -> bool:
    """Whether a process has closed all it held: gone, or only waiting to be reaped."""
    if sys.platform == "linux":
        return (_status(pid) or ["Z"])[0] in "ZX"
    return _ps(pid, "stat=")[:1] in ("", "Z")


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process that may be gone already."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def gone(pid: int, child: subprocess.Popen[bytes] | None, timeout: float) -> bool:
    """Wait up to `timeout` seconds for the end of a process, which is `child` if it is ours to reap."""
    deadline = time.monotonic() + timeout
    while True:
        if child is not None and child.poll() is not None:
            return True
        if child is None and ended(pid):
            return True
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)


def kill_family(pid: int, child: subprocess.Popen[bytes] | None) -> None:
    """SIGKILL a process and its children, and wait until all are gone. It is stopped first, so it makes no more."""
    send(pid, signal.SIGSTOP)
    family = children(pid)
    for member in (*family, pid):
        send(member, signal.SIGKILL)
    for member in (pid, *family):
        gone(member, child if member == pid else None, 5.0)


def children(pid: int) -> list[int]:
    """The processes that `pid` started."""
    if sys.platform != "linux":
        shown = subprocess.run(  # noqa: S603
            ["/usr/bin/pgrep", "-P", str(pid)], capture_output=True, text=True, check=False
        )
        return [int(word) for word in shown.stdout.split()]
    numbers = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [number for number in numbers if _status(number)[1:2] == [str(pid)]]


def _status(pid: int) -> list[str]:
    """State, parent and so on of a process on Linux; empty when it is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return []
    return text.rpartition(")")[2].split()  # behind the name, which may hold spaces and brackets


def _ps(pid: int, column: str) -> str:
    shown = subprocess.run(  # noqa: S603
        ["/bin/ps", "-ww", "-o", column, "-p", str(pid)], capture_output=True, text=True, check=False
    )
    return shown.stdout.strip()

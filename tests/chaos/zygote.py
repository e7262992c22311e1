"""A process that has imported LinkFlow and is forked into its services: a start costs milliseconds, not a second.

As a program it reads orders from its standard input, a JSON object a line, and answers each with one:

    {"spawn": [ARGUMENTS of linkflow], "env": {…}, "log": PATH, "clock": PATH or null}   → {"pid": N}
    {"wait": PID}                                                                        → {"code": N}

It has one thread and no event loop, so what it forks is whole. Its children die with it, and it with its owner.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

PR_SET_PDEATHSIG = 1


class Zygote:
    """Starts `linkflow` commands as real processes."""

    def __init__(self) -> None:
        from linkflow.local import launcher

        tied = [sys.executable, "-I", "-S", launcher.__file__, str(os.getpid()), str(int(signal.SIGKILL)), ""]
        self._popen = subprocess.Popen(
            [*tied, sys.executable, "-c", f"from {__name__} import main; main()"],
            cwd=Path(__file__).resolve().parents[2], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
            start_new_session=True,
        )  # fmt: skip
        self._lock = threading.Lock()

    def spawn(self, arguments: list[str], env: dict[str, str], log: Path, clock: Path | None = None) -> Child:
        """Start ``linkflow ARGUMENTS``; `clock` is the file of its wall clock's offset (see `clocks`)."""
        order = {"spawn": arguments, "env": env, "log": str(log), "clock": str(clock) if clock else None}
        return Child(self, int(self._ask(order)["pid"]))

    def wait(self, pid: int) -> int:
        """The exit code of a child that has ended, as `subprocess` has it."""
        return int(self._ask({"wait": pid})["code"])

    def close(self) -> None:
        self._popen.kill()
        self._popen.communicate()

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._popen.stdin is not None
        assert self._popen.stdout is not None
        with self._lock:
            self._popen.stdin.write(json.dumps(order).encode() + b"\n")
            self._popen.stdin.flush()
            line = self._popen.stdout.readline()
        assert line, "the zygote died"
        found: dict[str, Any] = json.loads(line)
        return found


class Child:
    """One process, with the part of `subprocess.Popen` that `topologies.Process` uses."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid = pid
        self._zygote = zygote
        self._fd = os.pidfd_open(pid)
        self._code: int | None = None
        self._lock = threading.Lock()

    def send_signal(self, number: int) -> None:
        """A signal to this very process: its number cannot be another's meanwhile."""
        with self._lock:
            if self._code is None:
                signal.pidfd_send_signal(self._fd, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def poll(self) -> int | None:
        return self._reap(0.0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._reap(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
        return code

    def _reap(self, timeout: float | None) -> int | None:
        with self._lock:
            if self._code is None and select.select([self._fd], [], [], timeout)[0]:
                self._code = self._zygote.wait(self.pid)
                os.close(self._fd)
            return self._code


# In the zygote


def main() -> None:
    """Import what any service needs, then fork on demand."""
    orders, answers = os.dup(0), os.dup(1)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    _preload()
    with os.fdopen(orders, "rb") as lines, os.fdopen(answers, "wb") as out:
        for line in lines:
            order = json.loads(line)
            out.write(json.dumps(_obey(order, (orders, answers))).encode() + b"\n")
            out.flush()


def _obey(order: dict[str, Any], ours: tuple[int, ...]) -> dict[str, int]:
    if "wait" in order:
        return {"code": os.waitstatus_to_exitcode(os.waitpid(order["wait"], 0)[1])}
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _child(order, parent, ours)
    return {"pid": pid}


def _child(order: dict[str, Any], parent: int, ours: tuple[int, ...]) -> None:
    code = 1
    try:
        os.setsid()
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        for number in ours:
            os.close(number)
        log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.environ.clear()
        os.environ.update(order["env"])
        if order["clock"]:
            from tests.chaos.clocks import live_by

            live_by(Path(order["clock"]))
        from linkflow.cli import main as linkflow

        linkflow(order["spawn"], standalone_mode=False)
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _preload() -> None:
    import importlib

    for name in (
        "linkflow.cli.serve", "linkflow.cli.web", "linkflow.bootstrap", "linkflow.http.app", "linkflow.http.wiring",
        "linkflow.transports.grpc", "linkflow.transports.grpc_server", "linkflow.transports.connect",
        "linkflow.services.history", "linkflow.services.matching", "linkflow.services.frontend",
        "linkflow.services.timer", "linkflow.services.worker", "linkflow.streams.queue", "linkflow.streams.limiter",
        "linkflow.streams.doorbell", "linkflow.postgres.executions", "linkflow.postgres.timers",
        "linkflow.nodes.egress", "uvloop", "tests.chaos.clocks",
    ):  # fmt: skip
        importlib.import_module(name)
    from linkflow.bootstrap import System
    from linkflow.config import load
    from linkflow.nodes.registry import Registry

    Registry.load()
    # What building an app imports is imported once, and its own parts are forgotten.
    system = System(load({"LINKFLOW_SECRET": "x" * 48, "DATABASE_URL": "", "REDIS_URL": "redis://127.0.0.1:1/0"}))
    system.serve_all(("frontend",))
    system.http_app().openapi()
    gc.collect()
    gc.freeze()
    time.time()


if __name__ == "__main__":
    main()

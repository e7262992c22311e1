"""One sandbox process, from our side: started without an environment, asked one thing at a time, killed when late."""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import json
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from linkflow.nodes.scripts import Language

MEMORY = 64 * 1024 * 1024
"""Bytes that a script may use."""
CPU = 600
"""CPU seconds of a process's whole life."""
START = 20.0
"""Seconds in which a process must be ready."""
_HERE = Path(__file__).parent
_ROOT = str(_HERE.parent.parent)
_MODULES = {"javascript": ("_quickjs",), "python": ("pydantic_monty", "typing_extensions")}
_PROGRAM = "import sys; sys.path.insert(0, sys.argv.pop(1)); from linkflow.sandbox.child import main; main()"


class NotInstalled(Exception):
    """The language's engine is not there."""


class Died(Exception):
    """The process ended, was late, or did not start. `late`: it was killed for its time."""

    def __init__(self, late: bool = False) -> None:
        super().__init__("late" if late else "died")
        self.late = late


class Process:
    """Blocking: to be used from one thread. `layers` are the protections that hold here."""

    def __init__(self, language: Language) -> None:
        """Raises `NotInstalled`, or `Died` where no process starts."""
        options = _options(language)
        arguments = [sys.executable, "-I", "-S", "-B", "-c", _PROGRAM, _ROOT, json.dumps(options)]
        try:
            self._popen = subprocess.Popen(  # noqa: S603 - our own program
                arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0,
                env={"LC_ALL": "C.UTF-8", "TZ": "UTC", **_kept()}, cwd="/", start_new_session=True,
            )  # fmt: skip
        except OSError:
            raise Died from None
        self.runs = 0
        self.spent = 0.0
        """Seconds that it was at work: more than its CPU time."""
        self.layers: tuple[str, ...] = tuple(self._receive(time.monotonic() + START)["ready"])

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def is_alive(self) -> bool:
        return self._popen.poll() is None

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """The answer. Raises `Died`; the process is of no use then."""
        self.runs += 1
        begin = time.monotonic()
        end = begin + seconds
        data = msgspec.json.encode(request)
        try:
            self._send(len(data).to_bytes(4, "big") + data, end)
            answer = self._receive(end)
            self.spent += time.monotonic() - begin
            return answer
        except (OSError, ValueError):  # also: closed by somebody who does not want the answer any more
            self.close()
            raise Died from None

    def close(self) -> None:
        """Kill it, with whatever it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.kill()
        self._popen.wait()
        for stream in (self._popen.stdin, self._popen.stdout):
            if stream:
                with contextlib.suppress(OSError):
                    stream.close()

    def kill(self) -> None:
        """Only kill it: may be called from another thread, while `ask` waits."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._popen.pid, signal.SIGKILL)

    def _send(self, data: bytes, end: float) -> None:
        assert self._popen.stdin is not None  # noqa: S101 - it is a pipe
        target, view = self._popen.stdin.fileno(), memoryview(data)
        os.set_blocking(target, False)
        while view:
            self._wait(target, select.POLLOUT, end)
            view = view[os.write(target, view[: 64 * 1024]) :]

    def _receive(self, end: float) -> dict[str, Any]:
        assert self._popen.stdout is not None  # noqa: S101 - it is a pipe
        source = self._popen.stdout.fileno()
        length = int.from_bytes(self._read(source, 4, end), "big")
        answer: dict[str, Any] = msgspec.json.decode(self._read(source, length, end))
        return answer

    def _read(self, source: int, length: int, end: float) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._wait(source, select.POLLIN, end)
            part = os.read(source, min(length - len(parts), 1024 * 1024))
            if not part:
                self.close()
                raise Died
            parts += part
        return bytes(parts)

    def _wait(self, stream: int, event: int, end: float) -> None:
        poll = select.poll()
        poll.register(stream, event)
        if not poll.poll(max(0.0, end - time.monotonic()) * 1000):
            self.close()
            raise Died(late=True)


def installed(language: Language) -> bool:
    """Is the engine of a language there?"""
    return all(importlib.util.find_spec(name) is not None for name in _MODULES[language])


def _kept() -> dict[str, str]:
    """Where Python finds its own libraries, on machines that have to be told."""
    return {name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ}


def _options(language: Language) -> dict[str, Any]:
    paths: list[str] = []
    for name in _MODULES[language]:
        spec = importlib.util.find_spec(name)
        if spec is None or spec.origin is None:
            raise NotInstalled(name)
        place = Path(spec.origin).parent
        paths.append(str(place.parent if spec.submodule_search_locations else place))
    options = {"engine": language, "paths": list(dict.fromkeys(paths)), "memory": MEMORY, "cpu": CPU}
    if language == "javascript":
        return options | {"prelude": (_HERE / "prelude.js").read_text("utf-8")}
    return options | {"program": _interpreter()}


def _interpreter() -> str:
    files = importlib.metadata.files("pydantic-monty-runtime") or []
    for file in files:
        if file.name == "monty":
            return str(Path(str(file.locate())).resolve())
    raise NotInstalled("pydantic-monty-runtime")

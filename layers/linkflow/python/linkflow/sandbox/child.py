"""The program of a sandbox process: locks itself up, then answers requests on standard input one by one.

A frame is four bytes of length and JSON. Its one argument is ``{"engine", "paths", "program" or "prelude", "memory",
"cpu"}``.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any, Protocol

from linkflow.sandbox import lockdown

STARTED = b"ready"
_LIBRARIES = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/etc/ld.so.cache", "/var/lang/lib")


class Engine(Protocol):
    """One language."""

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer a request; what goes wrong in a script is part of the answer."""
        ...

    def rest(self) -> None:
        """What can be made ready between two requests."""


def main() -> None:
    """Serve until the other side closes, or the process dies of a script."""
    options = json.loads(sys.argv[1])
    answers = os.dup(1)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)  # whatever else writes to standard output is no answer
    os.close(quiet)
    sys.path[:0] = options["paths"]
    javascript = options["engine"] == "javascript"
    engine, layers = _javascript(options) if javascript else _python(options)
    _send(answers, {"ready": layers})
    while (request := _receive(0)) is not None:
        _send(answers, engine.run(request))
        engine.rest()


def _javascript(options: dict[str, Any]) -> tuple[Engine, list[str]]:
    from linkflow.sandbox.javascript import JavaScript

    engine = JavaScript(options["prelude"], options["memory"])
    engine.rest()  # whatever is imported or opened at first use is so now
    layers = _confine(options, 0)
    layers += ["landlock"] if lockdown.landlock() else []
    layers += ["seccomp"] if lockdown.seccomp(strict=True) else []
    return engine, layers


def _python(options: dict[str, Any]) -> tuple[Engine, list[str]]:
    """The interpreter is a program of its own: what holds for it is settled before it is started."""
    from linkflow.sandbox.python import Python

    program = options["program"]
    opened = os.open(program, os.O_PATH)
    os.set_inheritable(opened, True)
    layers = _confine(options, -1)
    if not os.access(program, os.X_OK):
        program = f"/proc/self/fd/{opened}"  # it lies below a folder that is closed to us by now
    layers += ["landlock"] if lockdown.landlock((opened, *_LIBRARIES)) else []
    layers += ["seccomp"] if lockdown.seccomp(strict=False) else []
    engine = Python(program, options["memory"])
    engine.rest()
    return engine, layers


def _confine(options: dict[str, Any], processes: int) -> list[str]:
    lockdown.die_with_parent()
    layers = ["nobody"] if lockdown.become_nobody() else []
    layers += ["namespaces"] if lockdown.own_namespaces() else []
    lockdown.no_capabilities()
    lockdown.limits(options["cpu"], options["memory"] * 2 + 512 * 1024 * 1024, processes)
    return [*layers, "rlimits", "no_new_privileges"]


def _receive(source: int) -> Any:
    head = _read(source, 4)
    return None if head is None else json.loads(_read(source, int.from_bytes(head, "big")) or b"null")


def _read(source: int, length: int) -> bytes | None:
    parts: list[bytes] = []
    while length:
        part = os.read(source, min(length, 1024 * 1024))
        if not part:
            return None
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _send(target: int, answer: dict[str, Any]) -> None:
    data = json.dumps(answer).encode()
    view = memoryview(len(data).to_bytes(4, "big") + data)
    while view:
        view = view[os.write(target, view) :]


if __name__ == "__main__":
    main()

"""Running a function in a process of its own, with bounds: for libraries that read what anybody may have written.

A parser with a flaw, or an input that makes it think for ever, costs that process. It has no environment, may write no
files, and is ended when its time or memory is over. It starts in about a twentieth of a second.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from linkflow.nodes.about import Fault
from linkflow.nodes.base import NodeFailure

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Semaphore

SECONDS = 5.0
"""Of CPU; and of time, with as much again for a busy machine."""
MEMORY = 512 * 1024 * 1024
"""Bytes of address space beyond what an idle process has."""
MAX_ANSWER = 16 * 1024 * 1024
AT_ONCE = max(2, os.cpu_count() or 2)

FAULTS = (
    Fault("too_much_work", "The input took more time or memory than it may."),
    Fault("aside_failed", "The process that does the work could not be started.", True),
)

_CHILD = """
import json, sys
task = json.loads(sys.stdin.buffer.read())
sys.path[:] = task["path"]
from importlib import import_module
name, _, function = task["call"].partition(":")
call = getattr(import_module(name), function)
try:
    import resource
except ImportError:
    pass
else:
    used = 0
    try:
        with open("/proc/self/statm") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        pass
    seconds = int(task["seconds"]) + 1
    for limit, most in (("RLIMIT_AS", used + task["memory"]), ("RLIMIT_CPU", seconds), ("RLIMIT_FSIZE", 0)):
        try:
            resource.setrlimit(getattr(resource, limit), (most, most))
        except (ValueError, OSError):
            pass
try:
    answer = {"value": call(*task["arguments"])}
    text = json.dumps(answer, allow_nan=False)
except MemoryError:
    text = json.dumps({"much": "memory"})
except RecursionError:
    text = json.dumps({"error": "it is nested too deeply"})
except ValueError as error:
    text = json.dumps({"error": str(error)[:500]})
if len(text) > task["most"]:
    text = json.dumps({"much": "room for its answer"})
sys.stdout.write(text)
"""

_slots: WeakKeyDictionary[AbstractEventLoop, Semaphore] = WeakKeyDictionary()


async def aside(call: str, *arguments: Any, code: str, seconds: float = 0) -> Any:
    """What ``module:function`` of `linkflow.nodes.heavy` gives for JSON `arguments`.

    Raises `NodeFailure`: `code` where the function says that the input is bad, ``too_much_work``, ``aside_failed``.
    """
    import asyncio  # it brings TLS with it: not for whoever only looks at the catalogue

    seconds = seconds or SECONDS
    task = {"path": sys.path, "call": f"linkflow.nodes.heavy.{call}", "arguments": arguments, "seconds": seconds,
            "memory": MEMORY, "most": MAX_ANSWER}  # fmt: skip
    loop = asyncio.get_running_loop()
    slot = _slots.setdefault(loop, asyncio.Semaphore(AT_ONCE))
    async with slot:
        answer = await _ask(json.dumps(task).encode(), seconds * 2)
    if "value" in answer:
        return answer["value"]
    if "error" in answer:
        raise NodeFailure(code, f"{answer['error'][:1].upper()}{answer['error'][1:]}.", retryable=False)
    text = f"The input needs more {answer['much']} than it may have."
    raise NodeFailure("too_much_work", text, retryable=False)


async def _ask(task: bytes, seconds: float) -> dict[str, Any]:
    import asyncio

    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "SYSTEMROOT") if name in os.environ}
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-c", _CHILD,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, env=kept,
        )  # fmt: skip
    except OSError as error:
        raise NodeFailure("aside_failed", f"No process could be started: {error.strerror}.") from None
    try:
        async with asyncio.timeout(seconds):
            out, _ = await process.communicate(task)
    except TimeoutError:
        return {"much": "time"}
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode or not out:
        return {"much": "time or memory"}  # the kernel ended it
    found: dict[str, Any] = json.loads(out)
    return found

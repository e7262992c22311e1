"""Python in a process of its own: Monty, a small interpreter written in Rust. Runs inside the child only."""

from __future__ import annotations

import datetime
import json
import time
from typing import Any

from pydantic_monty import CollectString, Monty, MontyCrashedError, MontyError, MontySession, OSPolicy, ResourceLimits

STACK = 200
_KINDS = {"TimeoutError": "timeout", "MemoryError": "memory", "RecursionError": "stack"}
MAX_LINES, MAX_LINE, MAX_LOG = 200, 2_000, 64 * 1024


class Python:
    """Requests: ``{"kind": "script", "code", …}``."""

    def __init__(self, program: str, memory: int) -> None:
        self._memory = memory
        self._pool = Monty(binary_path=program, min_processes=1, max_processes=1, max_checkouts_per_worker=None)
        self._pool.__enter__()

    def rest(self) -> None:
        """Nothing: each session of the interpreter begins empty."""

    def run(self, request: dict[str, Any]) -> dict[str, Any]:
        printed = CollectString(max_bytes=MAX_LOG)
        inputs = json.loads(request["data"])
        moment = datetime.datetime.fromisoformat(request["now"].replace("Z", "+00:00"))
        limits: ResourceLimits = {
            "max_feed_duration_secs": request["seconds"], "max_memory": self._memory, "max_recursion_depth": STACK,
        }  # fmt: skip
        policy: OSPolicy = {"datetime": moment, "random_start": {"seed": request["seed"]}, "sleep": "zero"}
        try:
            with self._pool.checkout(script_name="code.py", limits=limits, os_policy=policy) as session:
                value = _fed(session, request, inputs, printed)
            answer = _answer(value, request["output"])
        except MontyCrashedError:
            raise SystemExit(1) from None  # the pool sees that, and has another process
        except TooLate:
            answer = {"error": {"kind": "timeout", "message": f"the items took longer than {request['seconds']:g} s"}}
        except MontyError as error:
            answer = {"error": _failure(error)}
        return answer | _log(printed.output)


def _fed(session: MontySession, request: dict[str, Any], inputs: dict[str, Any], printed: CollectString) -> Any:
    """What the code comes to; with items, for each of them, in the time that is left."""
    code, given = request["code"], {name: inputs[name] for name in request["names"]}
    if not request["each"]:
        return session.feed_run(code, inputs=given, print_callback=printed)
    results: list[Any] = []
    end = time.monotonic() + request["seconds"]
    for index, item in enumerate(inputs["items"]):
        if time.monotonic() > end:
            raise TooLate
        own = {**given, "item": item, "index": index}
        results.append(session.feed_run(code, inputs=own, print_callback=printed))
    return results


class TooLate(Exception):
    """The time for all items is over."""


def _answer(value: Any, most: int) -> dict[str, Any]:
    try:
        text = json.dumps(value, default=_plain, allow_nan=True)
    except (TypeError, ValueError, RecursionError) as error:
        return {"error": {"kind": "error", "message": f"the result cannot be written as JSON: {error}"[:500]}}
    if len(text) > most:
        return {"error": {"kind": "output", "message": f"the result is over {most:,} characters"}}
    return {"json": text}


def _plain(value: Any) -> Any:
    if isinstance(value, set | frozenset | tuple) or type(value).__name__.startswith("dict_"):
        return list(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    raise TypeError(f"a {type(value).__name__} is no JSON value")


def _failure(error: Any) -> dict[str, Any]:
    """The last line of the traceback, and the innermost place in it."""
    inner = error.exception()
    name = type(inner).__name__
    message = str(error)[:1000]
    ours = "time limit" in message or "memory limit" in message or "recursion depth" in message
    found: dict[str, Any] = {"kind": _KINDS.get(name, "error") if ours else "error", "message": message}
    frames = error.traceback() if hasattr(error, "traceback") else []
    if name == "SyntaxError" and not message.startswith("SyntaxError"):
        found["message"] = f"SyntaxError: {message}"
    if frames:
        last = frames[-1]
        found |= {"line": last.line, "column": last.column}
    return found


def _log(text: str) -> dict[str, Any]:
    lines = text.split("\n")
    lines = lines[:-1] if lines and not lines[-1] else lines
    kept = [line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…" for line in lines[:MAX_LINES]]
    return {"logs": kept, "dropped": len(lines) - len(kept)}

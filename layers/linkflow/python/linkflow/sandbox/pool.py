"""The sandbox processes of this process: a few of each language, kept warm, replaced after so many runs.

Each is asked from a thread of its own, so that no event loop waits and none is needed to stop a script that is late.
A run has a realm (JavaScript) or a session (Python) of its own; nothing of one reaches the next.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.scripts import Language, Ran, ScriptError
from linkflow.observability import logger

from .process import CPU, Died, NotInstalled, Process

MAX_RUNS = 1_000
"""Runs after which a process is replaced."""
EXPRESSION_SECONDS = 1.0
"""CPU time of the expressions of one node."""
GRACE = 2.0
"""A process is killed when twice the script's time and so many seconds are over: the engine counts CPU time, which a
busy machine gives late, and should have stopped it by then."""
MAX_OUTPUT = 4 * 1024 * 1024
"""Characters of a result, as JSON."""
_encode = msgspec.json.Encoder().encode


class Pool:
    """Implements `linkflow.nodes.scripts.Scripts`."""

    def __init__(self, size: int = 0) -> None:
        """`size` processes of each language at once; 0: as many as there are cores, up to four."""
        self.size = size or max(1, min(4, os.cpu_count() or 1))
        self._threads = ThreadPoolExecutor(self.size, "linkflow-sandbox")
        self._idle: dict[str, list[Process]] = {"javascript": [], "python": []}
        self._at_work: set[Process] = set()
        self._guard = threading.Lock()
        self._told: set[str] = set()
        self._closed = False

    async def expressions(self, codes: Sequence[tuple[str, Mapping[str, Any]]], *, now: str, seed: float) -> list[Ran]:
        request = {
            "kind": "expressions", "codes": [(code, _encode(data).decode()) for code, data in codes], "now": now,
            "seed": seed, "seconds": EXPRESSION_SECONDS, "output": MAX_OUTPUT,
        }  # fmt: skip
        answer = await self._ask("javascript", request, EXPRESSION_SECONDS)
        if "error" in answer:
            return [_ran(answer)] * len(codes)
        return [_ran(one) for one in answer["answers"]]

    async def run(
        self, language: Language, code: str, names: Mapping[str, Any], *, items: Sequence[Any] | None = None, now: str,
        seed: float, seconds: float,
    ) -> Ran:  # fmt: skip
        own = {} if items is None else {"items": items}
        request = {
            "kind": "script", "code": code, "names": list(names), "data": _encode({**names, **own}).decode(),
            "each": items is not None, "now": now,
            "seed": seed, "seconds": seconds, "output": MAX_OUTPUT,
        }  # fmt: skip
        return _ran(await self._ask(language, request, seconds))

    async def close(self) -> None:
        """End all processes."""
        self.shut()

    def shut(self) -> None:
        """The same, where there is no loop."""
        self._closed = True
        with self._guard:
            left = [process for idle in self._idle.values() for process in idle]
            for idle in self._idle.values():
                idle.clear()
            for process in self._at_work:  # its own thread lets go of it
                process.kill()
        for process in left:
            process.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _ask(self, language: Language, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        at_work: list[Process] = []
        work: Callable[[], dict[str, Any]] = lambda: self._work(language, request, seconds, at_work)  # noqa: E731
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except asyncio.CancelledError:  # nobody wants to know any more
            for process in at_work:
                process.kill()
            raise

    def _work(
        self, language: Language, request: dict[str, Any], seconds: float, at_work: list[Process]
    ) -> dict[str, Any]:
        """In a thread of the pool: have a process answer. One that died while it was idle is nobody's fault."""
        process = self._take(language)
        while not process.is_alive:
            process.close()
            process = self._take(language)
        at_work.append(process)
        with self._guard:
            self._at_work.add(process)
            if self._closed:
                process.kill()
        try:
            answer = process.ask(request, seconds * 2 + GRACE)
        except Died as error:
            if error.late:
                return {"error": {"kind": "timeout", "message": f"the script took longer than {seconds:g} s"}}
            return {"error": {"kind": "crash", "message": "the engine ended while it ran the script"}}
        finally:
            at_work.clear()
            with self._guard:
                self._at_work.discard(process)
        self._give_back(language, process)
        return answer

    def _take(self, language: Language) -> Process:
        with self._guard:
            if self._idle[language]:
                return self._idle[language].pop()
        try:
            process = Process(language)
        except NotInstalled as error:
            text = f"Scripts in this language cannot be run here: {error} is not installed (linkflow[scripts])."
            raise NodeFailure("no_engine", text, retryable=False) from None
        except Died:
            raise NodeFailure("engine_failed", "No process for scripts could be started.") from None
        if language not in self._told:
            self._told.add(language)
            logger.info("A sandbox is ready", extra={"language": language, "layers": process.layers})
        return process

    def _give_back(self, language: Language, process: Process) -> None:
        with self._guard:
            if not self._closed and process.runs < MAX_RUNS and process.spent < CPU / 2:
                self._idle[language].append(process)
                return
        process.close()


def _ran(answer: Mapping[str, Any]) -> Ran:
    """An answer of a child, which is a stranger's as far as we know."""
    logs = tuple(str(line) for line in answer.get("logs", ()))
    dropped = int(answer.get("dropped", 0))
    if "error" in answer:
        return Ran(error=msgspec.convert(answer["error"], ScriptError, strict=False), logs=logs, dropped=dropped)
    try:
        return Ran(msgspec.json.decode(answer["json"]), None, logs, dropped)
    except (msgspec.DecodeError, RecursionError):
        # Half a surrogate pair, or deeper than we read.
        fault = ScriptError("error", "the result is no JSON that can be kept")
        return Ran(error=fault, logs=logs, dropped=dropped)

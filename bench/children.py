"""Processes of the benchmark: started, spoken to by one JSON line each way, and stopped with their parent."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent


class ChildFailed(RuntimeError):
    """A process of the benchmark ended, or said that it could not do what it was asked."""


class Child:
    """``python -m bench.<module>``. It reads its settings, says that it is ready, then answers command by command."""

    def __init__(
        self,
        module: str,
        settings: Mapping[str, Any],
        environ: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
    ) -> None:
        self.module = module
        self._process = subprocess.Popen(
            [python, "-m", f"bench.{module}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
        )
        self.pid = self._process.pid
        self._send(settings)
        self.ready = self._receive()

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send one command and wait for its answer. Raises `ChildFailed`."""
        self._send({"command": command, **arguments})
        return self._receive()

    def stop(self) -> None:
        """Close its input, which every child takes as the end; kill what does not go."""
        if self._process.stdin:
            self._process.stdin.close()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def kill(self) -> None:
        """End it at once: whoever waits for its answer gets `ChildFailed`."""
        self._process.kill()

    def _send(self, message: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise ChildFailed(f"bench.{self.module} has ended") from None

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise ChildFailed(f"bench.{self.module} ended with {self._process.wait()}; its words are above")
        answer: dict[str, Any] = json.loads(line)
        if "failed" in answer and answer["failed"] is not None and set(answer) == {"failed"}:
            raise ChildFailed(f"bench.{self.module}: {answer['failed']}")
        return answer


Command = Callable[[dict[str, Any]], Awaitable[dict[str, Any]]]


def read_settings() -> dict[str, Any]:
    """The first line of a child's input."""
    settings: dict[str, Any] = json.loads(sys.stdin.readline())
    return settings


def say(message: Mapping[str, Any]) -> None:
    """One line to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


async def obey(commands: Mapping[str, Command]) -> None:
    """Answer commands until the input ends."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        request = json.loads(line)
        try:
            say(await commands[request.pop("command")](request))
        except Exception as error:
            say({"failed": f"{type(error).__name__}: {error}"})

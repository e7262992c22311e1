"""Runs one attempt the way the product runs its text, and judges what came of it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linkflow.domain.expressions import ExpressionError, Scope, compile_value
from linkflow.domain.outcomes import Completed
from linkflow.local.trying import FixedClock
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.code import node
from linkflow.sandbox.pool import Pool
from linkflow.services.worker.scripting import answers
from tests.unit.nodes.peers import context

NAME = "LINKFLOW_ESCAPES_SECRET"
SOON = 12.0
"""Seconds after which a bomb must be over, on a busy machine."""
SECONDS = 0.5
"""What code nodes are given."""


@dataclass(frozen=True)
class Attempt:
    language: str
    name: str
    code: str
    bomb: bool

    @property
    def id(self) -> str:
        return f"{self.language}{' bomb' if self.bomb else ''}: {self.name}"


@dataclass
class Ended:
    """`how`: refused (when saved), failed (a typed error), harmless (a value that shows nothing) or ESCAPED."""

    how: str
    told: str
    seconds: float = 0.0
    logs: list[str] = field(default_factory=list)


def attempts() -> list[Attempt]:
    """The attempts of the file."""
    groups = tomllib.loads((Path(__file__).parent / "attempts.toml").read_text("utf-8"))
    return [
        Attempt(group.removesuffix("_bomb"), name, code, group.endswith("_bomb"))
        for group, found in groups.items()
        for name, code in found.items()
    ]


class World:
    """What there is to be found: a secret in the environment and in a file, a listener, a place for a file."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self.secret = secrets.token_hex(16)
        self.folder = Path(tempfile.mkdtemp())
        self.folder.chmod(0o777)  # closed only to the sandbox, not by its rights
        (self.folder / "secret").write_text(self.secret)
        self.mark = self.folder / "mark"
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        os.environ[NAME] = self.secret

    def close(self) -> None:
        os.environ.pop(NAME, None)
        self.listener.close()

    def fitted(self, code: str) -> str:
        places = {"$FILE": self.folder / "secret", "$MARK": self.mark, "$PORT": self.listener.getsockname()[1]}
        for name, value in places.items():
            code = code.replace(name, str(value))
        return code

    async def make(self, attempt: Attempt) -> Ended:
        """Run it and look around."""
        begin = time.monotonic()
        run = self._expression if attempt.language == "expression" else self._code
        ended = await run(self.fitted(attempt.code), attempt.language)
        ended.seconds = time.monotonic() - begin
        if found := self._found(ended):
            return Ended("ESCAPED", found, ended.seconds)
        if attempt.bomb and ended.how == "harmless":
            return Ended("ESCAPED", f"a bomb gave a value: {ended.told[:60]}", ended.seconds)
        if attempt.bomb and ended.seconds > SOON:
            return Ended("ESCAPED", f"it took {ended.seconds:.1f} s", ended.seconds)
        return ended

    async def _expression(self, text: str, language: str) -> Ended:
        try:
            compiled = compile_value(text)
        except ExpressionError as error:
            return Ended("refused", error.message)
        clock = FixedClock()
        scope = Scope(input={"a": 1}, trigger={}, workflow={}, execution={}, now=lambda: "2024-03-01T12:00:00Z",
                      random=lambda: 0.5, credentials={"api": "secret"})  # fmt: skip
        try:
            if compiled.scripts:
                scope.answers = await answers(self.pool, compiled.scripts, scope, clock)
            return Ended("harmless", json.dumps(compiled.evaluate(scope)))
        except (ExpressionError, NodeFailure) as error:
            return Ended("failed", str(error))

    async def _code(self, code: str, language: str) -> Ended:
        lines: list[str] = []
        params = node.params.model_validate({"language": language, "code": code, "timeout": SECONDS})
        try:
            outcome = await node.run(params, context(input={"a": 1}, scripts=self.pool, log=lines.append))
        except NodeFailure as error:
            return Ended("failed", f"{error.error.code}: {error.error.message}", logs=lines)
        assert isinstance(outcome, Completed)
        return Ended("harmless", json.dumps(outcome.output), logs=lines)

    def _found(self, ended: Ended) -> str:
        shown = " ".join([ended.told, *ended.logs])
        if self.secret in shown:
            return "it read the secret"
        if ended.how == "harmless" and "ESCAPED" in shown:
            return f"it says so: {shown[:80]}"
        if self.mark.exists():
            self.mark.unlink()
            return "it wrote a file"
        with contextlib.suppress(BlockingIOError):
            self.listener.accept()[0].close()
            return "it dialled"
        return ""

    async def is_sound(self, attempt: Attempt) -> bool:
        """Do other runs go on as if nothing had been?"""
        language: Any = "python" if attempt.language == "python" else "javascript"
        ran = await self.pool.run(
            language, "return input", {"input": 7}, now="2024-03-01T12:00:00Z", seed=0.5, seconds=5
        )
        return ran.value == 7


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    pool = Pool(1)
    made = World(pool)
    try:
        yield made
    finally:
        made.close()
        await pool.close()

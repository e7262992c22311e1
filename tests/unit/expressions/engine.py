"""The JavaScript engine for tests of expressions: any expression, also one that is usually evaluated natively."""

from __future__ import annotations

import atexit
import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from linkflow.domain.expressions import Scope
from linkflow.domain.expressions.compiler import Compiler
from linkflow.domain.expressions.parser import parse
from linkflow.domain.expressions.script import Script, compile_script
from linkflow.sandbox.process import Process

FAILED = "(failed)"
NOW = "2024-03-01T12:00:00Z"


@cache
def process() -> Process:
    made = Process("javascript")
    atexit.register(made.close)
    return made


def script(text: str) -> Script:
    """An expression as a script, whether it needs to be one or not. Raises `Fault`."""
    compiler = Compiler()
    made = compile_script(compiler, parse(text, 0, len(text)))
    if compiler.faults:
        raise compiler.faults[0]
    return made


def asked(codes: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    request = {"kind": "expressions", "codes": codes, "now": NOW, "seed": 0.5, "seconds": 1.0, "output": 10_000_000}
    answers: list[dict[str, Any]] = process().ask(request, 60.0)["answers"]
    return answers


def in_engine(texts: Sequence[str], scope: Scope) -> list[Any]:
    """What the engine makes of expressions; FAILED where it fails."""
    made = [script(text) for text in texts]
    answers = asked([(one.code, json.dumps(one.data(scope))) for one in made])
    return [json.loads(answer["json"]) if "json" in answer else FAILED for answer in answers]


def as_javascript(texts: Sequence[str], scope: Scope) -> list[Any]:
    """What the engine makes of the very texts, with no rule of LinkFlow's but the name `input`."""
    data = json.dumps({"input": scope.input})
    answers = asked([(f"((input) => ({text}))($lf.x.input)", data) for text in texts])
    return [json.loads(answer["json"]) if "json" in answer else FAILED for answer in answers]

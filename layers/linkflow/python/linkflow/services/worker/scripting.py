"""Expressions that only the JavaScript engine evaluates: asked before a node runs, so that the node finds the answers.

The engine is told one moment and one seed for all of them, so they depend on nothing but what the run has.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from linkflow.domain.events import iso
from linkflow.domain.expressions import Scope
from linkflow.domain.expressions.errors import Fault
from linkflow.domain.expressions.script import Script
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.scripts import Ran, Scripts
from linkflow.ports import Clock


async def answers(engine: Scripts | None, scripts: Sequence[Script], scope: Scope, clock: Clock) -> dict[str, Any]:
    """What the scripts come to in this scope, by their code; a `Fault` where one failed. Raises `NodeFailure`."""
    if engine is None:
        raise NodeFailure("no_engine", "This worker has no JavaScript engine.", retryable=False)
    different = {script.code: script for script in scripts}
    codes = [(code, script.data(scope)) for code, script in different.items()]
    ran = await engine.expressions(codes, now=iso(clock.now_ms()), seed=clock.random())
    return {code: _answer(one) for code, one in zip(different, ran, strict=True)}


def _answer(ran: Ran) -> Any:
    if ran.error is None:
        return ran.value
    if ran.error.kind == "error":
        return Fault(ran.error.message)
    return Fault(f"the expression went over a limit ({ran.error.kind}): {ran.error.message}")

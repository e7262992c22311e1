"""Pass the input on."""

from __future__ import annotations

import builtins
from typing import ClassVar

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import INPUT, Example, Refusal
from linkflow.nodes.base import Base, Context, Params


class NoOpParams(Params):
    pass


class NoOp(Base):
    type: ClassVar[str] = "noop"
    aliases: ClassVar[tuple[str, ...]] = ("no_op",)
    name: ClassVar[str] = "Do nothing"
    description: ClassVar[str] = "Pass the input on; a place to meet."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = NoOpParams
    produces = {"main": INPUT}
    examples = (Example(name="A place to meet", input={"id": 7}, output={"id": 7}),)
    refuses = (Refusal({"wait": 1}, "/wait", "unknown_field"),)

    def run(self, params: NoOpParams, context: Context) -> Outcome:
        return Completed(output=context.input)


node = NoOp()

"""Start by hand, by the API, or from another workflow. The output is what the run was started with."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params


class Trigger(Base):
    """What all triggers do when the run is there: hand on the trigger's data."""

    category: ClassVar[str] = "trigger"
    pure: ClassVar[bool] = True

    def run(self, params: Any, context: Context) -> Outcome:
        return Completed(output=context.input if context.trigger is None else context.trigger)


class ManualParams(Params):
    pass


class ManualTrigger(Trigger):
    type: ClassVar[str] = "trigger_manual"
    name: ClassVar[str] = "Manual start"
    description: ClassVar[str] = "Start by hand, by the API or from another workflow."
    params: ClassVar[builtins.type[Params]] = ManualParams
    produces = {"main": {"description": "What the run was started with."}}
    examples = (Example(name="Start with an order", input={"order": "A7"}, output={"order": "A7"}),)
    refuses = (Refusal({"cron": "* * * * *"}, "/cron", "unknown_field"),)


node = ManualTrigger()

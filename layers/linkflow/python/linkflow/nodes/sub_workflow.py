"""Start another workflow, and wait for its result unless told otherwise."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import CallWorkflow, Outcome
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text


class SubWorkflowParams(Params):
    workflow_id: Annotated[Text, Field(min_length=1)] = Field(validation_alias=AliasChoices("workflow_id", "workflow"))
    input: Any = Field(None, description="Left out: this node's input.")
    wait: bool = True
    parent_close_policy: Literal["", "terminate", "cancel", "abandon"] = Field(
        "",
        validation_alias=AliasChoices("parent_close_policy", "parent_close"),
        description="What becomes of the child when this run closes first. Left out: terminate; abandon without wait.",
    )


class SubWorkflow(Base):
    type: ClassVar[str] = "sub_workflow"
    aliases: ClassVar[tuple[str, ...]] = ("workflow", "execute_workflow")
    name: ClassVar[str] = "Run a workflow"
    description: ClassVar[str] = "Start another workflow and take its result."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = SubWorkflowParams

    def run(self, params: SubWorkflowParams, context: Context) -> Outcome:
        given = params.input if "input" in params.model_fields_set else context.input
        policy = params.parent_close_policy or ("terminate" if params.wait else "abandon")
        return CallWorkflow(params.workflow_id, given, params.wait, policy)


node = SubWorkflow()

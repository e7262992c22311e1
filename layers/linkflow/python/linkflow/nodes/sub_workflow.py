"""Start another workflow, and wait for its result unless told otherwise."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import CallWorkflow, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
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
    acts: ClassVar[bool | None] = True
    params: ClassVar[builtins.type[Params]] = SubWorkflowParams
    help = """
    The node waits until the other workflow has ended, holding no worker, and hands on its result; a run that fails
    fails the node (`child_failed`). With `wait: false` it goes on at once with `{execution_id}`.
    """
    produces = {"main": {"description": "The other run's result; without `wait` {execution_id}."}}
    faults = (
        Fault("child_failed", "The other run failed.", True),
        Fault("child_cancelled", "The other run was cancelled.", True),
        Fault("child_terminated", "The other run was terminated.", True),
        Fault("child_timed_out", "The other run passed its timeout.", True),
        Fault("child_rejected", "The other run could not be started."),
    )
    examples = (
        Example(
            name="Let another workflow work",
            config={"workflow_id": "0198c0de-0000-7000-8000-000000000001", "input": {"a": 1}},
            outcome={
                "type": "call",
                "workflow_id": "0198c0de-0000-7000-8000-000000000001",
                "input": {"a": 1},
            },
        ),
    )
    refuses = (Refusal({}, "/workflow_id", "missing_field"),)

    def run(self, params: SubWorkflowParams, context: Context) -> Outcome:
        given = params.input if "input" in params.model_fields_set else context.input
        policy = params.parent_close_policy or ("terminate" if params.wait else "abandon")
        return CallWorkflow(params.workflow_id, given, params.wait, policy)


node = SubWorkflow()

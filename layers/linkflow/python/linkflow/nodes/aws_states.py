"""State machines of Step Functions: start an execution, look at one, wait for one, stop one."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, Call, Example, Fault, Refusal
from linkflow.nodes.aws import FAULTS, HELP, SLOTS, AwsParams, Service, region_of, service
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.replies import parse_json

_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
"""Seconds between two looks at an execution that is waited for."""
_ARN = r"^$|^arn:[^:\s]+:states:[a-z0-9-]+:[^\s]+$"


class StatesParams(AwsParams):
    operation: Literal["start", "describe", "wait", "stop"] = Field(
        "start", description="wait: look at an execution until it has ended."
    )
    state_machine: Annotated[Text, Field(pattern=_ARN)] = Field(
        "", validation_alias=AliasChoices("state_machine", "state_machine_arn"), description="For start: its ARN."
    )
    input: Any = Field(None, description="For start: any JSON value. Left out: the node's input.")
    name: Annotated[Text, Field(pattern=r"^[A-Za-z0-9_-]{0,80}$")] = Field(
        "", description="For start. Left out: the same on every attempt of this node run, so it is started once."
    )
    execution: Annotated[Text, Field(pattern=_ARN)] = Field(
        "",
        validation_alias=AliasChoices("execution", "execution_arn"),
        description="For describe, wait, stop: its ARN.",
    )
    wait: bool = Field(False, description="For start: wait for the end as well.")
    max_wait: float = Field(300, gt=0, le=840, description="Seconds to wait; then the node fails, and may be retried.")
    cause: Annotated[Text, Field(max_length=1000)] = Field("", description="For stop: why.")

    @model_validator(mode="after")
    def _is_complete(self) -> StatesParams:
        field = "state_machine" if self.operation == "start" else "execution"
        if not getattr(self, field):
            raise ValueError(f"operation {self.operation} needs `{field}`")
        return self


class StepFunctions(Base):
    type: ClassVar[str] = "action_aws_step_functions"
    aliases: ClassVar[tuple[str, ...]] = ("aws_step_functions", "step_functions")
    name: ClassVar[str] = "AWS Step Functions"
    description: ClassVar[str] = "Start a state machine, and wait for what it comes to."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = StatesParams
    slots = SLOTS
    help = (
        """
    An execution's name is made from the node run, so a retry of `start` finds the one that was started. With `wait` an
    execution that fails, is aborted or times out fails the node with `states_failed`; one that still runs after
    `max_wait` with `states_running`, which a retry policy waits on from. The worker waits meanwhile: for hours, let
    the state machine send an event back ([wait_for_event](wait_for_event.md)).
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "execution": {"type": "string", "description": "Its ARN."},
                "status": {"type": "string"},
                "started_at": {"type": ["number", "null"], "description": "Seconds since 1970."},
                "stopped_at": {"type": ["number", "null"]},
                "output": {**ANY, "description": "What it came to; null while it runs."},
                "error": {"type": "string"},
                "cause": {"type": "string"},
            },
            "required": ["execution", "status"],
        }
    }
    faults = (
        Fault("states_failed", "The execution that was waited for did not succeed."),
        Fault("states_running", "The execution has not ended within `max_wait`.", True),
        *FAULTS,
    )
    examples = (
        Example(
            name="Start a state machine",
            config={
                "state_machine": "arn:aws:states:eu-central-1:123456789012:stateMachine:ship",
                "input": {"id": "{{ input.id }}"},
                "name": "order-{{ input.id }}",
            },
            input={"id": 7},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://states.example"}
            },
            calls=(
                Call(
                    method="POST",
                    url="http://states.example/",
                    sends={"X-Amz-Target": "AWSStepFunctions.StartExecution"},
                    body={
                        "stateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:ship",
                        "name": "order-7",
                        "input": '{"id":7}',
                    },
                    answer={
                        "executionArn": "arn:aws:states:eu-central-1:123456789012:execution:ship:order-7",
                        "startDate": 1800000000.0,
                    },
                ),
            ),
            output={
                "execution": "arn:aws:states:eu-central-1:123456789012:execution:ship:order-7",
                "status": "RUNNING",
                "started_at": 1800000000.0,
                "stopped_at": None,
                "output": None,
            },
        ),
    )
    refuses = (
        Refusal({}, "", "invalid_value"),
        Refusal({"state_machine": "ship"}, "/state_machine", "invalid_value"),
        Refusal({"operation": "describe", "state_machine": "arn:aws:states:x:1:stateMachine:a"}, "", "invalid_value"),
    )

    async def run(self, params: StatesParams, context: Context) -> Outcome:
        to = await service(context, "states", params, region_of(params.state_machine or params.execution))
        if params.operation == "stop":
            more = {"cause": params.cause} if params.cause else {}
            found = await to.json("AWSStepFunctions.StopExecution", {"executionArn": params.execution, **more})
            return Completed(output=_shown({**found, "executionArn": params.execution, "status": "ABORTED"}))
        if params.operation == "start":
            found = await _start(to, params, context)
            if not params.wait:
                return Completed(output=_shown(found))
            arn = str(found.get("executionArn") or "")
        else:
            arn = params.execution
        if params.operation == "describe":
            return Completed(output=_shown(await _describe(to, arn)))
        return Completed(output=await _wait(to, arn, params, context))


async def _start(to: Service, params: StatesParams, context: Context) -> dict[str, Any]:
    """Start it, or find what an earlier attempt has started: the name says that it is the same."""
    name = params.name or f"linkflow-{hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:40]}"
    data = params.input if "input" in params.model_fields_set else context.input
    body = {"stateMachineArn": params.state_machine, "name": name, "input": msgspec.json.encode(data).decode()}
    try:
        found = await to.json("AWSStepFunctions.StartExecution", body)
    except NodeFailure as failure:
        own = not params.name or context.attempt > 1
        if failure.error.details.get("code") != "ExecutionAlreadyExists" or not own:
            raise
        return await _describe(to, _execution_arn(params.state_machine, name))
    return {**found, "status": "RUNNING"}


def _execution_arn(machine: str, name: str) -> str:
    """The ARN of a machine's execution; the machine may be named with a version or an alias."""
    parts = machine.split(":")
    return ":".join([*parts[:5], "execution", parts[6], name])


async def _describe(to: Service, arn: str) -> dict[str, Any]:
    return await to.json("AWSStepFunctions.DescribeExecution", {"executionArn": arn})


async def _wait(to: Service, arn: str, params: StatesParams, context: Context) -> dict[str, Any]:
    end = to.now_ms() + params.max_wait * 1000
    pause = _FIRST_PAUSE
    while True:
        shown = _shown(await _describe(to, arn))
        status = shown["status"]
        if status == "SUCCEEDED":
            return shown
        if status not in ("RUNNING", "PENDING_REDRIVE"):
            why = shown.get("error") or shown.get("cause") or ""
            text = f"The execution is {status}{': ' if why else ''}{why[:500]}"
            raise NodeFailure("states_failed", text, retryable=False, details=shown)
        left = (end - to.now_ms()) / 1000
        if left <= 0:
            text = f"The execution runs for longer than {params.max_wait:g} s."
            raise NodeFailure("states_running", text, details={"execution": arn})
        await context.heartbeat({"execution": arn, "status": status})
        import asyncio  # it brings TLS with it

        await asyncio.sleep(min(pause, left))
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _shown(found: Mapping[str, Any]) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "execution": found.get("executionArn"),
        "status": str(found.get("status") or ""),
        "started_at": found.get("startDate"),
        "stopped_at": found.get("stopDate"),
        "output": _parsed(found.get("output")),
    }
    return shown | {name: str(found[name]) for name in ("error", "cause") if found.get(name)}


def _parsed(text: Any) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return parse_json(text.encode())
    except ValueError:
        return text


node = StepFunctions()

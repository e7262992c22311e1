"""Invoke a Lambda function. The output is ``{status_code, payload, executed_version, request_id}``."""

from __future__ import annotations

import base64
import binascii
import builtins
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote

import msgspec
from pydantic import AliasChoices, BeforeValidator, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, Call, Example, Fault, Refusal
from linkflow.nodes.aws import FAULTS, HELP, SLOTS, AwsParams, refused, region_of, service
from linkflow.nodes.base import Base, Context, EgressResponse, NodeFailure, Params
from linkflow.nodes.fields import Text
from linkflow.nodes.replies import parse_json

_MODES = {"sync": "RequestResponse", "async": "Event", "dry_run": "DryRun"}
_TRACE = 20
"""Lines of a function's stack trace that are kept."""


class LambdaParams(AwsParams):
    function: Annotated[Text, Field(pattern=r"^[A-Za-z0-9:_$.-]{1,200}$")] = Field(
        validation_alias=AliasChoices("function", "function_name"),
        description="Name or ARN; a region in the ARN goes before the credential's.",
    )
    payload: Any = Field(None, description="Any JSON value. Left out: the node's input.")
    mode: Annotated[
        Literal["sync", "async", "dry_run"],
        BeforeValidator(lambda value: next((mode for mode, spelt in _MODES.items() if spelt == value), value)),
    ] = Field(
        "sync",
        validation_alias=AliasChoices("mode", "invocation_type"),
        description="async: hand the event over and go on. dry_run: see whether it may be invoked.",
    )
    qualifier: Annotated[Text, Field(pattern=r"^[A-Za-z0-9$_-]{0,128}$")] = Field("", description="Version or alias.")
    timeout: float = Field(60, gt=0, le=900, description="Seconds.")
    log_tail: bool = Field(False, description="Put the last 4 KB of the function's log into the node's log.")
    retry_function_errors: bool = Field(
        False, description="An error of the function itself may be tried again by the node's retry policy."
    )


class Lambda(Base):
    type: ClassVar[str] = "action_aws_lambda"
    aliases: ClassVar[tuple[str, ...]] = ("aws_lambda", "lambda_invoke")
    name: ClassVar[str] = "AWS Lambda"
    description: ClassVar[str] = "Invoke a Lambda function."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = LambdaParams
    slots = SLOTS
    help = (
        """
    An error that the function raised fails the node with `lambda_function_error`: `details` has its `type`, `message`
    and `trace`. A function that is called again for a retry finds the same `client_context.custom.idempotency_key`
    (mode `sync`).
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "status_code": {"type": "integer"},
                "payload": {**ANY, "description": "What the function returned; null unless `mode` is sync."},
                "executed_version": {"type": "string"},
                "request_id": {"type": "string"},
            },
            "required": ["status_code", "payload"],
        }
    }
    faults = (Fault("lambda_function_error", "The function raised an error, or ran out of time or memory."), *FAULTS)
    examples = (
        Example(
            name="Price an order",
            config={"function": "price", "payload": {"id": "{{ input.id }}"}},
            input={"id": 7},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://lambda.example"}
            },
            calls=(
                Call(
                    method="POST",
                    url="http://lambda.example/2015-03-31/functions/price/invocations",
                    sends={"X-Amz-Invocation-Type": "RequestResponse"},
                    body={"id": 7},
                    headers={"X-Amz-Executed-Version": "$LATEST", "x-amzn-RequestId": "r1"},
                    answer={"price": 12.5},
                ),
            ),
            output={"status_code": 200, "payload": {"price": 12.5}, "executed_version": "$LATEST", "request_id": "r1"},
        ),
    )
    refuses = (
        Refusal({}, "/function", "missing_field"),
        Refusal({"function": "price", "mode": "later"}, "/mode", "invalid_value"),
        Refusal({"function": "price", "region": "eu/1"}, "/region", "invalid_value"),
    )

    async def run(self, params: LambdaParams, context: Context) -> Outcome:
        to = await service(context, "lambda", params, region_of(params.function))
        path = f"/2015-03-31/functions/{quote(params.function, safe='')}/invocations"
        query = f"?Qualifier={quote(params.qualifier, safe='')}" if params.qualifier else ""
        payload = params.payload if "payload" in params.model_fields_set else context.input
        headers = {"Content-Type": "application/json", "X-Amz-Invocation-Type": _MODES[params.mode]}
        if params.mode == "sync":
            known = msgspec.json.encode({"custom": {"idempotency_key": context.idempotency_key}})
            headers["X-Amz-Client-Context"] = base64.b64encode(known).decode()
            headers["X-Amz-Log-Type"] = "Tail" if params.log_tail else "None"
        content = msgspec.json.encode(payload)
        response = await to.send("POST", f"{to.account.url()}{path}{query}", headers=headers, content=content)
        if response.status_code >= 300:
            raise refused(response, to.now_ms())
        _tell_log(response, context)
        value = _value(response)
        if response.headers.get("x-amz-function-error"):
            raise _function_error(params, response, value)
        return Completed(
            output={
                "status_code": response.status_code,
                "payload": value,
                "executed_version": response.headers.get("x-amz-executed-version", ""),
                "request_id": response.headers.get("x-amzn-requestid", ""),
            }
        )


def _value(response: EgressResponse) -> Any:
    """What the function returned. What is no JSON is text."""
    if not response.content.strip():
        return None
    try:
        return parse_json(response.content)
    except ValueError:
        return response.content.decode("utf-8", "replace")


def _tell_log(response: EgressResponse, context: Context) -> None:
    try:
        tail = base64.b64decode(response.headers.get("x-amz-log-result", "")).decode("utf-8", "replace")
    except binascii.Error:
        return
    for line in tail.splitlines():
        context.log(line)


def _function_error(params: LambdaParams, response: EgressResponse, value: Any) -> NodeFailure:
    found = value if isinstance(value, dict) else {}
    kind = str(found.get("errorType") or response.headers["x-amz-function-error"])
    message = str(found.get("errorMessage") or (value if isinstance(value, str) else ""))[:1000]
    trace = found.get("stackTrace") or found.get("trace")
    details = {
        "type": kind,
        "message": message,
        "trace": [str(line) for line in trace[:_TRACE]] if isinstance(trace, list) else [],
        "request_id": response.headers.get("x-amzn-requestid", ""),
    }
    text = f"The function {params.function} failed: {kind}{': ' if message else ''}{message}"
    return NodeFailure("lambda_function_error", text, retryable=params.retry_function_errors, details=details)


node = Lambda()

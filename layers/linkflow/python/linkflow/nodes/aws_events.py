"""Put events onto a bus of EventBridge. The output is ``{successful, failed}``."""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.aws import FAILED, FAULTS, HELP, SLOTS, is_busy, region_of, service
from linkflow.nodes.aws_batches import PARTIAL, Answer, BatchParams, send_all
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, TextList, ui

_MOST_BYTES = 200 * 1024
"""Of a batch; the service counts 256 KB in a way of its own."""


class Event(Params):
    """One of several events; what it lacks is the node's."""

    source: Text = ""
    detail_type: Text = ""
    detail: Any = None
    resources: TextList = Field(default_factory=list)
    time: Text = Field("", description="ISO 8601. Left out: when it arrives.")


class EventsParams(BatchParams):
    bus: Annotated[Text, Field(min_length=1)] = Field(
        "default", validation_alias=AliasChoices("bus", "event_bus_name"), description="Name or ARN."
    )
    source: Text = Field("", description="Who says so: com.example.shop.")
    detail_type: Text = Field("", description="What happened: order.paid.")
    detail: Any = Field(None, description="An object. Left out: the node's input.")
    resources: TextList = Field(default_factory=list, description="ARNs that it is about.")
    time: Text = Field("", description="ISO 8601. Left out: when it arrives.")
    events: Annotated[list[Event], Field(max_length=10_000)] = Field(
        default_factory=list,
        description="Several in place of one: {source, detail_type, detail, resources, time}.",
        json_schema_extra=ui(group="Many"),
    )

    @model_validator(mode="after")
    def _is_complete(self) -> EventsParams:
        lacking = [
            name
            for name in ("source", "detail_type")
            if not getattr(self, name) and not (self.events and all(getattr(one, name) for one in self.events))
        ]
        if lacking and "events" not in self.model_fields_set:
            raise ValueError(f"an event needs {' and '.join(f'`{name}`' for name in lacking)}")
        return self


class Events(Base):
    type: ClassVar[str] = "action_aws_eventbridge"
    aliases: ClassVar[tuple[str, ...]] = ("aws_eventbridge", "eventbridge")
    name: ClassVar[str] = "AWS EventBridge"
    description: ClassVar[str] = "Put events onto a bus."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = EventsParams
    slots = SLOTS
    help = (
        """
    `successful` has `event_id` and `index` of each event that was taken. EventBridge knows no deduplication: an attempt
    that is retried may put an event twice, so put something into `detail` that tells it (`{{ execution.id }}`). Events
    go out in tens; what the bus cannot take just now is offered three times. If some are left, the node fails with
    `aws_partial` and is not retried, or hands them on as `failed` with `on_failed: collect`.
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {"successful": {"type": "array", "items": {"type": "object"}}, "failed": FAILED},
            "required": ["successful", "failed"],
        }
    }
    faults = (PARTIAL, *FAULTS)
    examples = (
        Example(
            name="Say that an order is paid",
            config={"source": "com.example.shop", "detail_type": "order.paid", "detail": {"id": "{{ input.id }}"}},
            input={"id": 7},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://events.example"}
            },
            calls=(
                Call(
                    method="POST",
                    url="http://events.example/",
                    sends={"X-Amz-Target": "AWSEvents.PutEvents"},
                    body={
                        "Entries": [
                            {
                                "Source": "com.example.shop",
                                "DetailType": "order.paid",
                                "Detail": '{"id":7}',
                                "EventBusName": "default",
                            }
                        ]
                    },
                    answer={"FailedEntryCount": 0, "Entries": [{"EventId": "e1"}]},
                ),
            ),
            output={"successful": [{"index": 0, "event_id": "e1"}], "failed": []},
        ),
    )
    refuses = (Refusal({"detail_type": "order.paid"}, "", "invalid_value"),)

    async def run(self, params: EventsParams, context: Context) -> Outcome:
        to = await service(context, "events", params, region_of(params.bus))
        entries = [_entry(one, params, context) for one in params.events] or [_entry(params, params, context)]

        async def send(chunk: Sequence[tuple[int, Any]]) -> dict[int, Answer]:
            body = {"Entries": [entry for _, entry in chunk]}
            found = (await to.json("AWSEvents.PutEvents", body, "1.1")).get("Entries") or []
            silent = [{"ErrorCode": "NoAnswer"}] * len(chunk)
            return {place: _answer(one) for (place, _), one in zip(chunk, [*found, *silent], strict=False)}

        collect = params.on_failed == "collect"
        taken, failed = await send_all(entries, send, context, most_bytes=_MOST_BYTES, collect=collect)
        return Completed(output={"successful": taken, "failed": failed})


def _answer(one: dict[str, Any]) -> Answer:
    if one.get("EventId"):
        return Answer({"event_id": one["EventId"]})
    code = str(one.get("ErrorCode") or "")
    return Answer(code=code, message=str(one.get("ErrorMessage") or ""), retryable=is_busy(code))


def _entry(event: Event | EventsParams, params: EventsParams, context: Context) -> dict[str, Any]:
    """An event as the service takes it. Raises `NodeFailure` ``aws_error`` for one that it never would."""
    source, kind = event.source or params.source, event.detail_type or params.detail_type
    detail = event.detail if "detail" in event.model_fields_set else params.detail
    if event is params and "detail" not in params.model_fields_set:
        detail = context.input
    if not source or not kind or not isinstance(detail, dict):
        text = "An event has a `source`, a `detail_type` and a `detail` that is an object."
        raise NodeFailure("aws_error", text, retryable=False)
    entry: dict[str, Any] = {
        "Source": source,
        "DetailType": kind,
        "Detail": msgspec.json.encode(detail).decode(),
        "EventBusName": params.bus,
    }
    if resources := event.resources or params.resources:
        entry["Resources"] = resources
    if time := event.time or params.time:
        try:
            at = datetime.fromisoformat(time)
        except ValueError:
            raise NodeFailure("aws_error", f"`time` is no time: {time[:40]!r}.", retryable=False) from None
        entry["Time"] = at.timestamp()
    return entry


node = Events()

"""Queues of SQS: send, receive and delete messages."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.aws import FAILED, FAULTS, HELP, SLOTS, Service, is_busy, service
from linkflow.nodes.aws_batches import PARTIAL, Answer, BatchParams, send_all
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, TextList, to_text, ui
from linkflow.nodes.replies import parse_json

GROUP = "default"
"""Message group of a FIFO queue where the author names none."""
_FIELDS = ("body", "delay_seconds", "attributes", "group_id", "deduplication_id")


class Message(Params):
    """One of several messages."""

    body: Any
    delay_seconds: int | None = Field(None, ge=0, le=900)
    attributes: dict[str, Any] = Field(default_factory=dict)
    group_id: Text = ""
    deduplication_id: Text = ""


def _messages(value: Any) -> Any:
    """Anything that is not an object with a body is one."""
    if not isinstance(value, list):
        return value
    return [one if isinstance(one, dict) and "body" in one and not one.keys() - {*_FIELDS} else {"body": one}
            for one in value]  # fmt: skip


class SqsParams(BatchParams):
    operation: Literal["send", "send_batch", "receive", "delete"] = "send"
    queue: Annotated[Text, Field(min_length=1)] = Field(
        validation_alias=AliasChoices("queue", "queue_url"), description="Name or URL."
    )
    body: Any = Field(
        None,
        validation_alias=AliasChoices("body", "message"),
        description="For send: text is sent as it is, anything else as JSON.",
    )
    messages: Annotated[list[Message], BeforeValidator(_messages), Field(max_length=10_000)] = Field(
        default_factory=list,
        description="For send_batch: bodies, or objects with a body.",
        json_schema_extra=ui(group="Many"),
    )
    attributes: dict[str, Any] = Field(default_factory=dict, description="Message attributes: text and numbers.")
    delay_seconds: int | None = Field(None, ge=0, le=900, description="How long nobody sees it.")
    group_id: Text = Field("", description=f"Message group of a FIFO queue. Left out: {GROUP}.")
    deduplication_id: Text = Field(
        "", description="For FIFO queues. Left out: the same on every attempt of this node run."
    )
    max_messages: int = Field(10, ge=1, le=10, description="For receive.")
    wait_seconds: int = Field(0, ge=0, le=20, description="For receive: how long to wait for a message.")
    visibility_timeout: int | None = Field(
        None,
        ge=0,
        le=43_200,
        description="For receive: seconds for which nobody else gets them. Left out: the queue's.",
    )
    delete_received: bool = Field(
        False, description="For receive: delete them at once. If the run loses the result, they are lost."
    )
    receipt_handles: TextList = Field(default_factory=list, description="For delete.")

    @model_validator(mode="after")
    def _is_complete(self) -> SqsParams:
        needs = {"send": "body", "send_batch": "messages", "delete": "receipt_handles"}
        if (field := needs.get(self.operation)) and field not in self.model_fields_set:
            raise ValueError(f"operation {self.operation} needs `{field}`")
        return self


class Sqs(Base):
    type: ClassVar[str] = "action_aws_sqs"
    aliases: ClassVar[tuple[str, ...]] = ("aws_sqs", "sqs")
    name: ClassVar[str] = "AWS SQS"
    description: ClassVar[str] = "Send, receive and delete messages of a queue."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = SqsParams
    slots = SLOTS
    help = (
        """
    `send` hands on `{message_id, sequence_number}`, `send_batch` and `delete` `{successful, failed}`, `receive`
    `{messages, count}`: each with `id`, `body`, `data` (the body, if it is JSON), `receipt_handle` for a later
    `delete`, `attributes`, `system` and `receive_count`.

    Retries of a node run carry the same deduplication id, so a FIFO queue takes a message once (within its five
    minutes). A standard queue may get it twice. A batch goes out in tens; what the queue cannot take just now is
    offered three times. If some are left, the node fails with `aws_partial` and is not retried, or hands them on as
    `failed` with `on_failed: collect`.
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "message_id": {"type": "string"},
                "sequence_number": {"type": ["string", "null"], "description": "Of FIFO queues."},
                "messages": {"type": "array", "items": {"type": "object"}, "description": "With receive."},
                "count": {"type": "integer"},
                "successful": {"type": "array", "items": {"type": "object"}},
                "failed": FAILED,
            },
        }
    }
    faults = (PARTIAL, *FAULTS)
    examples = (
        Example(
            name="Send an order",
            config={
                "queue": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
                "body": {"id": "{{ input.id }}"},
            },
            input={"id": 7},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://sqs.example"}
            },
            calls=(
                Call(
                    method="POST",
                    url="http://sqs.example/",
                    sends={"X-Amz-Target": "AmazonSQS.SendMessage"},
                    body={
                        "QueueUrl": "https://sqs.eu-central-1.amazonaws.com/123456789012/orders",
                        "MessageBody": '{"id":7}',
                    },
                    answer={"MessageId": "m1", "MD5OfMessageBody": "x"},
                ),
            ),
            output={"message_id": "m1", "sequence_number": None},
        ),
    )
    refuses = (
        Refusal({"queue": "orders"}, "", "invalid_value"),
        Refusal({"body": "x"}, "/queue", "missing_field"),
        Refusal({"queue": "orders", "operation": "receive", "max_messages": 11}, "/max_messages", "invalid_value"),
    )

    async def run(self, params: SqsParams, context: Context) -> Outcome:
        queue = _Queue(await service(context, "sqs", params, _url_region(params.queue)), params, context)
        return Completed(output=await getattr(queue, params.operation)())


def _url_region(queue: str) -> str:
    """The region of a queue's URL at AWS."""
    parts = (urlsplit(queue).hostname or "").split(".") if "://" in queue else []
    return parts[1] if len(parts) > 3 and parts[0] == "sqs" and parts[2] == "amazonaws" else ""


def _typed(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Message attributes with the types that SQS and SNS give them."""
    return {
        name: {"DataType": "Number" if isinstance(value, int | float) and not isinstance(value, bool) else "String",
               "StringValue": to_text(value)}
        for name, value in attributes.items() if value is not None
    }  # fmt: skip


class _Queue:
    def __init__(self, to: Service, params: SqsParams, context: Context) -> None:
        self._to, self._params, self._context = to, params, context
        self._url = params.queue if "://" in params.queue else ""

    async def _ask(self, action: str, **body: Any) -> dict[str, Any]:
        if not self._url:
            name = {"QueueName": self._params.queue}
            self._url = str((await self._to.json("AmazonSQS.GetQueueUrl", name)).get("QueueUrl") or "")
        return await self._to.json(f"AmazonSQS.{action}", {"QueueUrl": self._url, **body})

    async def send(self) -> dict[str, Any]:
        found = await self._ask("SendMessage", **self._entry(self._params, ""))
        return {"message_id": found.get("MessageId"), "sequence_number": found.get("SequenceNumber")}

    async def send_batch(self) -> dict[str, Any]:
        entries = [self._entry(one, f"/{place}") for place, one in enumerate(self._params.messages)]
        return await self._many("SendMessageBatch", entries, {"MessageId": "message_id",
                                                              "SequenceNumber": "sequence_number"})  # fmt: skip

    async def delete(self) -> dict[str, Any]:
        entries = [{"ReceiptHandle": handle} for handle in self._params.receipt_handles]
        return await self._many("DeleteMessageBatch", entries, {})

    async def receive(self) -> dict[str, Any]:
        params = self._params
        more = {} if params.visibility_timeout is None else {"VisibilityTimeout": params.visibility_timeout}
        found = await self._ask(
            "ReceiveMessage", MaxNumberOfMessages=params.max_messages, WaitTimeSeconds=params.wait_seconds,
            MessageAttributeNames=["All"], MessageSystemAttributeNames=["All"], AttributeNames=["All"], **more,
        )  # fmt: skip
        messages = [_shown(one) for one in found.get("Messages") or () if isinstance(one, dict)]
        if params.delete_received and messages:
            entries = [{"ReceiptHandle": one["receipt_handle"]} for one in messages]
            await self._many("DeleteMessageBatch", entries, {})
        return {"messages": messages, "count": len(messages)}

    def _entry(self, message: Message | SqsParams, nth: str) -> dict[str, Any]:
        """A message as the service takes it. `nth` tells it from others of the node run."""
        params = self._params
        body = message.body
        text = to_text(body) if isinstance(body, str) else _compact(body)
        if not text:
            raise NodeFailure("aws_error", "A message has to have a body.", retryable=False)
        entry: dict[str, Any] = {"MessageBody": text}
        if (delay := message.delay_seconds if message.delay_seconds is not None else params.delay_seconds) is not None:
            entry["DelaySeconds"] = delay
        if attributes := _typed({**params.attributes, **message.attributes}):
            entry["MessageAttributes"] = attributes
        if params.queue.endswith(".fifo"):
            key = f"{self._context.idempotency_key}{nth}"
            entry["MessageGroupId"] = message.group_id or params.group_id or GROUP
            entry["MessageDeduplicationId"] = message.deduplication_id or hashlib.sha256(key.encode()).hexdigest()
        elif group := message.group_id or params.group_id:  # fair turns in standard queues
            entry["MessageGroupId"] = group
        return entry

    async def _many(self, action: str, entries: Sequence[Any], names: Mapping[str, str]) -> dict[str, Any]:
        async def send(chunk: Sequence[tuple[int, Any]]) -> dict[int, Answer]:
            found = await self._ask(action, Entries=[{"Id": str(place), **entry} for place, entry in chunk])
            done: dict[int, Answer] = {}
            for one in found.get("Successful") or ():
                done[int(one["Id"])] = Answer({ours: one.get(theirs) for theirs, ours in names.items()})
            for one in found.get("Failed") or ():
                code = str(one.get("Code") or "")
                again = not one.get("SenderFault") or is_busy(code)
                done[int(one["Id"])] = Answer(code=code, message=str(one.get("Message") or ""), retryable=again)
            for place, _ in chunk:
                done.setdefault(place, Answer(code="NoAnswer", message="The service said nothing of it."))
            return done

        collect = self._params.on_failed == "collect"
        taken, failed = await send_all(entries, send, self._context, collect=collect)
        return {"successful": taken, "failed": failed}


def _compact(value: Any) -> str:
    import msgspec

    return msgspec.json.encode(value).decode()


def _shown(message: Mapping[str, Any]) -> dict[str, Any]:
    body = str(message.get("Body") or "")
    try:
        data = parse_json(body.encode())
    except ValueError:
        data = None
    attributes = message.get("MessageAttributes") or {}
    system = message.get("Attributes") or {}
    return {
        "id": message.get("MessageId"),
        "body": body,
        "data": data,
        "receipt_handle": message.get("ReceiptHandle"),
        "attributes": {
            name: one.get("StringValue", one.get("BinaryValue")) for name, one in attributes.items()
        },
        "system": system,
        "receive_count": int(system.get("ApproximateReceiveCount") or 0),
    }  # fmt: skip


node = Sqs()

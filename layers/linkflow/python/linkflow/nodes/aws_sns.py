"""Publish to a topic of SNS, or send a text message. The output is ``{message_id, sequence_number}``."""

from __future__ import annotations

import builtins
import hashlib
from typing import Annotated, Any, ClassVar

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.aws import FAULTS, HELP, SLOTS, AwsParams, region_of, service
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, to_text

VERSION = "2010-03-31"


class SnsParams(AwsParams):
    topic: Annotated[Text, Field(pattern=r"^$|^arn:[^:\s]+:sns:[a-z0-9-]+:[^:\s]*:[^:\s]+$")] = Field(
        "", validation_alias=AliasChoices("topic", "topic_arn"), description="The topic's ARN."
    )
    phone_number: Text = Field("", description="In place of a topic: +491701234567.")
    message: Any = Field(None, description="Text is sent as it is, anything else as JSON.")
    subject: Annotated[Text, Field(max_length=100)] = Field("", description="For mail.")
    per_protocol: dict[str, Text] = Field(
        default_factory=dict, description="Texts for single protocols: {sms: …, email: …}; others get `message`."
    )
    attributes: dict[str, Any] = Field(default_factory=dict, description="Message attributes; filters look at them.")
    group_id: Text = Field("", description="Message group of a FIFO topic. Left out: default.")
    deduplication_id: Text = Field(
        "", description="For FIFO topics. Left out: the same on every attempt of this node run."
    )

    @model_validator(mode="after")
    def _is_complete(self) -> SnsParams:
        if bool(self.topic) == bool(self.phone_number) and "{{" not in self.topic + self.phone_number:
            raise ValueError("give a `topic` or a `phone_number`")
        if "message" not in self.model_fields_set:
            raise ValueError("there is no `message`")
        return self


class Sns(Base):
    type: ClassVar[str] = "action_aws_sns"
    aliases: ClassVar[tuple[str, ...]] = ("aws_sns", "sns")
    name: ClassVar[str] = "AWS SNS"
    description: ClassVar[str] = "Publish to a topic, or send a text message."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = SnsParams
    slots = SLOTS
    help = (
        """
    The region is the topic's. Retries of a node run carry the same deduplication id, so a FIFO topic publishes once
    (within five minutes); a standard topic may publish twice.
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "message_id": {"type": "string"},
                "sequence_number": {"type": ["string", "null"], "description": "Of FIFO topics."},
            },
            "required": ["message_id"],
        }
    }
    faults = FAULTS
    examples = (
        Example(
            name="Tell a topic",
            config={"topic": "arn:aws:sns:eu-central-1:123456789012:orders", "message": "Order {{ input.id }} is paid"},
            input={"id": 7},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://sns.example"}
            },
            calls=(
                Call(
                    method="POST",
                    url="http://sns.example/",
                    body="Action=Publish&Version=2010-03-31&TopicArn=arn%3Aaws%3Asns%3Aeu-central-1%3A123456789012%3Aorders"
                    "&Message=Order%207%20is%20paid",
                    headers={"Content-Type": "text/xml"},
                    answer="<PublishResponse><PublishResult><MessageId>m1</MessageId></PublishResult></PublishResponse>",
                ),
            ),
            output={"message_id": "m1", "sequence_number": None},
        ),
    )
    refuses = (
        Refusal({"message": "x"}, "", "invalid_value"),
        Refusal({"topic": "orders", "message": "x"}, "/topic", "invalid_value"),
    )

    async def run(self, params: SnsParams, context: Context) -> Outcome:
        to = await service(context, "sns", params, region_of(params.topic))
        found = await to.query("Publish", VERSION, _fields(params, context))
        return Completed(output={"message_id": found.get("MessageId"), "sequence_number": found.get("SequenceNumber")})


def _fields(params: SnsParams, context: Context) -> dict[str, str]:
    fields = {"TopicArn": params.topic} if params.topic else {"PhoneNumber": params.phone_number}
    text = params.message if isinstance(params.message, str) else msgspec.json.encode(params.message).decode()
    if params.per_protocol:
        text = msgspec.json.encode({"default": text, **params.per_protocol}).decode()
        fields["MessageStructure"] = "json"
    fields["Message"] = text
    if params.subject:
        fields["Subject"] = " ".join(params.subject.split())
    kept = {name: value for name, value in params.attributes.items() if value is not None}
    for place, (name, value) in enumerate(kept.items(), 1):
        at = f"MessageAttributes.entry.{place}"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        is_list = isinstance(value, list)
        fields[f"{at}.Name"] = name
        fields[f"{at}.Value.DataType"] = "Number" if is_number else "String.Array" if is_list else "String"
        fields[f"{at}.Value.StringValue"] = to_text(value)
    if params.topic.endswith(".fifo"):
        fields["MessageGroupId"] = params.group_id or "default"
        key = hashlib.sha256(context.idempotency_key.encode()).hexdigest()
        fields["MessageDeduplicationId"] = params.deduplication_id or key
    return fields


node = Sns()

"""Tell another system what happened: a signed webhook. The output is ``{id, status, headers, body}``."""

from __future__ import annotations

import builtins
import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal
from urllib.parse import quote, urlsplit

import msgspec
from pydantic import Field, model_validator

from linkflow.domain.events import iso
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Headers, Secret, Text
from linkflow.nodes.http_request import KINDS_OF_HTTP
from linkflow.nodes.json_api import Api, faults
from linkflow.nodes.operations import part
from linkflow.nodes.slots import Slot

SLOT, AUTH = "webhook", "http"
_CLOUD = "CloudEvents"
_RESERVED = ("webhook-id", "webhook-timestamp", "webhook-signature")


class WebhookParams(Params):
    url: Annotated[Text, Field(min_length=1)] = Field(description="Who is told.")
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    body: Any = part(None, "Any JSON value. Left out: the input.", also="body payload data")
    headers: Headers = part({}, "Others than those of the signature.")
    format: Literal["json", "cloudevents", "cloudevents_binary"] = Field(
        "json", description="cloudevents: the event around the body; cloudevents_binary: in headers."
    )
    event_type: Text = part("linkflow.event", "Such as com.example.order.done.", group=_CLOUD)
    source: Text = part(description="Left out: /workflows/ and the workflow's id.", group=_CLOUD)
    subject: Text = part(group=_CLOUD)
    timeout: float = Field(30, gt=0, le=300, description="Seconds.")
    secret: Secret = Field("", description="A secret in the config; the credential is the better place.")

    @model_validator(mode="after")
    def _leaves_the_signature_alone(self) -> WebhookParams:
        if taken := [name for name in self.headers if name.lower() in _RESERVED]:
            raise ValueError(f"the header {taken[0]} is the signature's")
        return self


class Webhook(Base):
    type: ClassVar[str] = "action_webhook"
    aliases: ClassVar[tuple[str, ...]] = ("webhook_out", "send_webhook")
    name: ClassVar[str] = "Webhook"
    description: ClassVar[str] = "Tell another system, with a signature that it can check."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = WebhookParams
    slots = (
        Slot(SLOT, ("webhook",), "The secret that signs, and the one before it while it is changed."),
        Slot(AUTH, KINDS_OF_HTTP, "How the request says who it is from, if a signature is not enough."),
    )
    help = """
    Messages are signed as [Standard Webhooks](https://www.standardwebhooks.com) say: `webhook-id`, `webhook-timestamp`
    and `webhook-signature` (`v1`, HMAC-SHA256 of id, time and body). Libraries for receivers are there for most
    languages. A secret is `whsec_` and base64, or any text. Without a secret the message goes unsigned.

    The id is the same on every attempt of a node run, so a receiver can tell a repetition; the time is the attempt's.
    While a credential has a `previous_secret` each message has two signatures, and the receiver can be given the new
    secret at any moment: set `secret` to the new one and `previous_secret` to the old, tell the receiver, take the old
    one out.

    Any answer of 200 to 299 is success. 408, 425, 429 and 5xx are tried again, honouring `Retry-After`; other answers,
    redirects among them, are final.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "id": {"type": "string", "description": "The message's id."},
                "status": {"type": "integer"},
                "headers": {"type": "object", "description": "Of the answer; names are lower case."},
                "body": {"description": "The answer's: JSON, text, or null."},
            },
            "required": ["id", "status", "headers", "body"],
        }
    }
    faults = (
        *(
            fault
            for fault in faults("The receiver", "webhook")
            if fault.code not in ("no_credential", "invalid_params")
        ),
        Fault("bad_credential", "The secret is empty, or no base64 behind whsec_."),
    )
    examples = (
        Example(
            name="An order is done",
            config={"url": "http://partner.example/hooks", "body": {"type": "order.done", "id": "{{ input.id }}"}},
            input={"id": 7},
            connections={"webhook": {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
            calls=(
                Call(
                    method="POST",
                    url="http://partner.example/hooks",
                    sends={
                        "Content-Type": "application/json",
                        "Webhook-Id": "msg_29e89da84b8fc2dcf95a397fe4f0aea1",
                        "Webhook-Timestamp": "1800000000",
                    },
                    body={"type": "order.done", "id": 7},
                    status=204,
                ),
            ),
            output={"id": "msg_29e89da84b8fc2dcf95a397fe4f0aea1", "status": 204, "body": None},
            varies=("headers",),
        ),
    )
    refuses = (
        Refusal({"body": {}}, "/url", "missing_field"),
        Refusal({"url": "https://a.example", "headers": {"Webhook-Id": "x"}}, "", "invalid_value"),
    )

    async def run(self, params: WebhookParams, context: Context) -> Outcome:
        from linkflow.nodes import standard_webhooks

        secrets = {"secret": params.secret} if params.secret else connection(context, SLOT)
        id = f"msg_{hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:32]}"
        content, more = _message(params, context, id)
        known = [str(secrets[name]) for name in ("secret", "previous_secret") if secrets.get(name)]
        try:
            signed = standard_webhooks.headers(known, id, context.now_ms, content)
        except standard_webhooks.BadSecret as error:
            raise NodeFailure("bad_credential", str(error), retryable=False) from None
        api = _Receiver(
            context,
            {**secrets, "base_url": params.url},
            credential=context.credentials.get(AUTH),
            timeout=params.timeout,
        )
        headers = {**_over(more, params.headers), **signed}
        response = await api.send(params.method, params.url, body=content, headers=headers)
        shown = api.hiding.value({"headers": dict(response.headers), "body": api.read(response)})
        return Completed(output={"id": id, "status": response.status_code, **shown})


class _Receiver(Api):
    code = "webhook"

    def __init__(self, context: Context, secrets: Mapping[str, Any], **more: Any) -> None:
        super().__init__(context, secrets, **more)
        self.name = urlsplit(self.base).hostname or "The receiver"


def _message(params: WebhookParams, context: Context, id: str) -> tuple[bytes, dict[str, str]]:
    """The bytes that are sent and signed, and the headers that say what they are."""
    given = params.body if "body" in params.model_fields_set else context.input
    if params.format == "json":
        return msgspec.json.encode(given), {"Content-Type": "application/json"}
    about = {
        "specversion": "1.0",
        "id": id,
        "source": params.source or f"/workflows/{quote(context.workflow_id)}",
        "type": params.event_type,
        **({"subject": params.subject} if params.subject else {}),
        "time": iso(context.now_ms),
    }
    if params.format == "cloudevents":
        event = about | {"datacontenttype": "application/json", "data": given}
        return msgspec.json.encode(event), {"Content-Type": "application/cloudevents+json; charset=utf-8"}
    named = {f"ce-{name}": quote(value, safe=_PLAIN) for name, value in about.items()}
    return msgspec.json.encode(given), {"Content-Type": "application/json", **named}


_PLAIN = "".join(chr(code) for code in range(0x21, 0x7F) if chr(code) not in '"%')
"""What stands for itself in a CloudEvents header (HTTP binding, 3.1.3.2)."""


def _over(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, str]:
    taken = {name.lower() for name in theirs}
    return {**{name: value for name, value in ours.items() if name.lower() not in taken}, **theirs}


node = Webhook()

"""Twilio: SMS, WhatsApp and calls. The output is Twilio's message or call, with `sid` and `status`."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Secret, Text, TextList
from linkflow.nodes.json_api import LISTED, faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot

FAMILY = "twilio"
_SAYS = "message whatsapp"
_OPTIONS = "Options"


class TwilioParams(Operated):
    operation: Literal["message", "whatsapp", "call", "get_message", "get_call", "list_messages", "cancel"] = Field(
        "message", description="message is an SMS or MMS; cancel takes back a message that is still to be sent."
    )
    to: Text = part(description="A number such as +4915112345678.", needed="message whatsapp call", of="list_messages")
    sender: Text = Field(
        "",
        validation_alias=AliasChoices("from", "from_number", "sender"),
        title="From",
        description="One's own number, or a messaging service (MG…). Left out: the credential's.",
    )
    body: Text = part(of=_SAYS, also="body message text", widget="textarea")
    media_url: TextList = part([], "Addresses of pictures and the like.", of=_SAYS, also="media_url media_urls")
    content_sid: Text = part(description="A template's id.", of=_SAYS, group=_OPTIONS)
    content_variables: dict[str, Any] = part({}, "Values for the template.", of=_SAYS, group=_OPTIONS)
    send_at: Text = part(description="When, in RFC 3339; from a messaging service.", of=_SAYS, group=_OPTIONS)
    say: Text = part(description="What the call says.", of="call", widget="textarea")
    language: Text = part("en-US", of="call")
    voice: Text = part("alice", of="call")
    twiml: Text = part(description="What the call does, in TwiML.", of="call", widget="textarea")
    url: Text = part(description="Where Twilio asks for the call's TwiML.", of="call")
    record: bool = part(False, of="call", group=_OPTIONS)
    status_callback: Text = part(
        description="Where Twilio tells how it goes on.", of="message whatsapp call", group=_OPTIONS
    )
    sid: Text = part(needed="get_message get_call cancel")
    limit: int = part(50, of="list_messages", ge=1, le=5000)
    account_sid: Text = ""
    auth_token: Secret = ""

    @model_validator(mode="after")
    def _says_something(self) -> TwilioParams:
        given = self.model_fields_set
        if self.operation in _SAYS.split() and not {"body", "media_url", "content_sid"} & given:
            raise ValueError("there is nothing to say: `body`, `media_url` or `content_sid`")
        if self.operation == "call" and not {"say", "twiml", "url"} & given:
            raise ValueError("a call needs `say`, `twiml` or `url`")
        return self


class Twilio(Base):
    type: ClassVar[str] = "action_twilio"
    aliases: ClassVar[tuple[str, ...]] = ("twilio",)
    name: ClassVar[str] = "Twilio"
    description: ClassVar[str] = "Send SMS, MMS and WhatsApp messages, and call people."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = TwilioParams
    slots = (Slot(FAMILY, ("twilio",), "An account with its token, or an API key."),)
    help = """
    Twilio knows no idempotency keys: a message whose answer was lost is sent again by a retry. Where that must not be,
    set `retry: {max_attempts: 1}`.

    `say` is spoken as it is: what is markup in it is escaped. `list_messages` hands on `{items, count, more}`, newest
    first.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "sid": {"type": "string"},
                "status": {"type": "string", "description": "queued, sent, delivered, failed …"},
                "to": {"type": "string"},
                "from": {"type": ["string", "null"]},
                "body": {"type": ["string", "null"]},
                "price": {"type": ["string", "null"]},
                "error_code": {"type": ["integer", "null"]},
                **LISTED,
            },
        }
    }
    faults = faults("Twilio", "twilio", credential="There is no account with its token.")
    examples = (
        Example(
            name="An SMS",
            config={"to": "{{ input.phone }}", "body": "Your parcel & more is on its way"},
            input={"phone": "+4915112345678"},
            connections={
                "twilio": {
                    "account_sid": "AC0example", "auth_token": "example-token", "from": "+15005550006",
                    "base_url": "http://twilio.example",
                }
            },
            calls=(
                Call(
                    method="POST",
                    url="http://twilio.example/2010-04-01/Accounts/AC0example/Messages.json",
                    sends={"Authorization": "Basic QUMwZXhhbXBsZTpleGFtcGxlLXRva2Vu"},
                    body="To=%2B4915112345678&From=%2B15005550006&Body=Your+parcel+%26+more+is+on+its+way",
                    status=201,
                    answer={"sid": "SM1", "status": "queued", "to": "+4915112345678", "from": "+15005550006"},
                ),
            ),
            output={"sid": "SM1", "status": "queued", "to": "+4915112345678", "from": "+15005550006"},
        ),
    )  # fmt: skip
    refuses = (
        Refusal({"body": "x"}, "/to", "missing_field"),
        Refusal({"to": "+49"}, "", "invalid_value"),
    )

    async def run(self, params: TwilioParams, context: Context) -> Outcome:
        from linkflow.nodes.twilio_calls import do

        return Completed(output=await do(params, context))


node = Twilio()

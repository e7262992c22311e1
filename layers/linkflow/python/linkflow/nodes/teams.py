"""Microsoft Teams: an Adaptive Card, or a text, through an incoming webhook or a workflow's address."""

from __future__ import annotations

import builtins
import re
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal
from linkflow.nodes.base import Base, Context, EgressResponse, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text, to_text
from linkflow.nodes.json_api import Api, Trouble, faults, set_up
from linkflow.nodes.operations import part
from linkflow.nodes.replies import text_of
from linkflow.nodes.slots import Slot

FAMILY = "teams"
_CARD = "application/vnd.microsoft.card.adaptive"
_COLORS = {"info": "accent", "success": "good", "warning": "warning", "error": "attention"}


class Button(Params):
    """A button below the card that opens an address."""

    title: Text
    url: Text


class TeamsParams(Params):
    text: Text = part(also="text message content", widget="textarea", description="In Markdown.")
    title: Text = ""
    style: Literal["", "info", "success", "warning", "error"] = Field("", description="The title's colour.")
    facts: dict[str, Any] = part({}, "Names with values, shown as a table.")
    buttons: list[Button] = part([], "`{title, url}`")
    image_url: Text = part(description="A picture below the text.")
    mentions: dict[str, Text] = part({}, "Names with a user's id or address: `<at>Name</at>` in the text notifies.")
    card: dict[str, Any] | None = part(None, "An Adaptive Card of your own, in place of the fields above.")
    webhook_url: Secret = ""

    @model_validator(mode="after")
    def _says_something(self) -> TeamsParams:
        if not {"text", "title", "facts", "card"} & self.model_fields_set:
            raise ValueError("there is nothing to say: `text`, `title`, `facts` or `card`")
        return self


class Teams(Base):
    type: ClassVar[str] = "action_teams"
    aliases: ClassVar[tuple[str, ...]] = ("teams", "action_microsoft_teams", "microsoft_teams")
    name: ClassVar[str] = "Microsoft Teams"
    description: ClassVar[str] = "Post a text or an Adaptive Card to a channel or chat."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = TeamsParams
    slots = (Slot(FAMILY, ("teams",), "The address of an incoming webhook, or of a workflow."),)
    help = """
    The address is that of the workflow "Post to a channel when a webhook request is received", or of an incoming
    webhook. Teams tells nothing about the message, so the output is `{ok, status}`: it was taken (202), or posted
    (200). A connector that answers 200 with an error in the text fails the node like any other.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {"ok": {"const": True}, "status": {"type": "integer"}},
            "required": ["ok", "status"],
        }
    }
    faults = faults("Teams", "teams", credential="There is no address.")
    examples = (
        Example(
            name="An order",
            config={"title": "Order {{ input.id }}", "text": "It is *done*.", "facts": {"Total": "{{ input.total }}"}},
            input={"id": 7, "total": 12.5},
            connections={"teams": {"webhook_url": "http://teams.example/workflows/example-key"}},
            calls=(
                Call(
                    method="POST",
                    url="http://teams.example/workflows/example-key",
                    body={
                        "type": "message",
                        "attachments": [
                            {
                                "contentType": _CARD,
                                "contentUrl": None,
                                "content": {
                                    "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                                    "type": "AdaptiveCard",
                                    "version": "1.5",
                                    "msteams": {"width": "Full"},
                                    "body": [
                                        {
                                            "type": "TextBlock", "text": "Order 7", "wrap": True, "weight": "bolder",
                                            "size": "large",
                                        },
                                        {"type": "TextBlock", "text": "It is *done*.", "wrap": True},
                                        {"type": "FactSet", "facts": [{"title": "Total", "value": "12.5"}]},
                                    ],
                                },
                            }
                        ],
                    },
                    status=202,
                ),
            ),
            output={"ok": True, "status": 202},
        ),
    )  # fmt: skip
    refuses = (Refusal({"style": "info"}, "", "invalid_value"),)

    async def run(self, params: TeamsParams, context: Context) -> Outcome:
        address = params.webhook_url or str(connection(context, FAMILY).get("webhook_url") or "")
        if not address:
            raise set_up("Teams", "give the node a credential with a `webhook_url`")
        api = _TeamsApi(context, {"webhook_url": address})
        content = params.card if params.card is not None else _card(params)
        attachment = {"contentType": _CARD, "contentUrl": None, "content": content}
        response = await api.send("POST", address, body={"type": "message", "attachments": [attachment]})
        return Completed(output={"ok": True, "status": response.status_code})


class _TeamsApi(Api):
    name, code = "Teams", "teams"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        said = text_of(response)[:500]
        if response.status_code >= 300 or "failed with error" not in said:
            return super().trouble(response)
        # Connectors answer 200 and tell the real status in a sentence.
        found = re.search(r"HTTP error (\d{3})", said)
        status = int(found[1]) if found else 0
        return Trouble(said.strip(), is_limit=status == 429, retryable=status >= 500)

    def reason(self, response: EgressResponse) -> str:
        return str(self.told(response, "error").get("message") or "")


def _card(params: TeamsParams) -> dict[str, Any]:
    body: list[dict[str, Any]] = []
    if params.title:
        color = {"color": _COLORS[params.style]} if params.style else {}
        body.append(_text(params.title) | {"weight": "bolder", "size": "large"} | color)
    if params.text:
        body.append(_text(params.text))
    if params.facts:
        facts = [{"title": name, "value": str(to_text(value))} for name, value in params.facts.items()]
        body.append({"type": "FactSet", "facts": facts})
    if params.image_url:
        body.append({"type": "Image", "url": params.image_url})
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.5",
        "msteams": {"width": "Full"},
        "body": body,
    }
    if params.buttons:
        card["actions"] = [{"type": "Action.OpenUrl", "title": one.title, "url": one.url} for one in params.buttons]
    if params.mentions:
        card["msteams"]["entities"] = [
            {"type": "mention", "text": f"<at>{name}</at>", "mentioned": {"id": id, "name": name}}
            for name, id in params.mentions.items()
        ]
    return card


def _text(text: str) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True}


node = Teams()

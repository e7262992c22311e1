"""Discord: messages with embeds and files, through a webhook or as a bot. The output is Discord's message."""

from __future__ import annotations

import builtins
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Secret, Text, TextList
from linkflow.nodes.given_files import Files
from linkflow.nodes.json_api import LISTED, faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot
from linkflow.nodes.storage import FAULTS as STORAGE_FAULTS

FAMILY = "discord"
SAYS = ("content", "embeds", "files", "stored_files", "components", "poll")
_OPTIONS = "Options"


class DiscordParams(Operated):
    operation: Literal["send", "edit", "delete", "get", "list", "react", "create_thread", "call"] = Field("send")
    channel: Text = part(
        description="A channel's or thread's id. A webhook has its own.", of="send edit delete get",
        needed="list react create_thread", also="channel channel_id",
    )  # fmt: skip
    content: Text = part(of="send edit", also="content message text", widget="textarea", description="In Markdown.")
    embeds: list[dict[str, Any]] = part([], "Up to ten.", of="send edit")
    files: Files = part(
        [], "`{filename, base64 | text | content, content_type}`, one or a list.", of="send edit", also="file"
    )
    stored_files: TextList = part([], "Files of the workspace, by their paths.", of="send edit")
    components: list[dict[str, Any]] = part([], "Buttons and the like.", of="send edit", group=_OPTIONS)
    poll: dict[str, Any] = part({}, of="send", group=_OPTIONS)
    message_id: Text = part(needed="edit delete get react", of="create_thread")
    emoji: Text = part(description="The character, or `name:id`.", needed="react")
    thread_id: Text = part(description="A thread of a webhook's channel.", of="send edit delete get")
    thread_name: Text = part(
        description="Its name; a webhook in a forum begins a thread of this name.", of="send", needed="create_thread"
    )
    reply_to: Text = part(description="Bots: the message that this one answers.", of="send")
    limit: int = part(50, of="list", ge=1, le=5000, description="Most messages.")
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = part("GET", of="call")
    path: Text = part(description="Such as /guilds/1/channels.", needed="call")
    body: Any = part(None, of="call")
    username: Text = part(of="send", group=_OPTIONS, description="Webhooks: another name.")
    avatar_url: Text = part(of="send", group=_OPTIONS, description="Webhooks.")
    tts: bool = part(False, of="send", group=_OPTIONS)
    silent: bool = part(False, "Notify nobody.", of="send", group=_OPTIONS)
    allowed_mentions: dict[str, Any] | None = part(
        None, "Whom the text may notify; `{parse: []}` is nobody. Left out: all it mentions.", of="send edit",
        group=_OPTIONS,
    )  # fmt: skip
    bot_token: Secret = part(also="bot_token token")
    webhook_url: Secret = ""

    @model_validator(mode="after")
    def _says_something(self) -> DiscordParams:
        if self.operation in ("send", "edit") and not {*SAYS} & self.model_fields_set:
            raise ValueError("there is nothing to say: `content`, `embeds` or `files`")
        return self


class Discord(Base):
    type: ClassVar[str] = "action_discord"
    aliases: ClassVar[tuple[str, ...]] = ("discord",)
    name: ClassVar[str] = "Discord"
    description: ClassVar[str] = "Send, edit and delete messages, with embeds and files; react; begin threads."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = DiscordParams
    slots = (Slot(FAMILY, ("discord",), "A channel's webhook, or a bot's token."),)
    help = """
    A webhook sends to its own channel, and edits, gets and deletes what it sent. A bot does all operations and is asked
    for a `channel`. Where a credential has both, the bot acts if the node names a `channel`.

    Rate limits are retried when Discord says. A message that a bot sends carries a nonce of the node run, so a retry
    within a few minutes does not send it twice; through a webhook it may. On a retry a message that is gone already is
    no error for `delete`.

    `list` hands on `{items, count, more}`, newest first; `delete` and `react` `{ok}`; the others what Discord answers.
    """
    produces = {
        "main": {
            "type": ["object", "array", "null"],
            "properties": {
                "id": {"type": "string", "description": "The message's, or thread's."},
                "channel_id": {"type": "string"},
                "content": {"type": "string"},
                "ok": {"type": "boolean"},
                **LISTED,
            },
        }
    }
    faults = (
        *STORAGE_FAULTS,
        Fault("bad_file", "A file is no base64, or its media type is none."),
        *faults("Discord", "discord", credential="There is no webhook and no token, or not the one that is needed."),
    )
    examples = (
        Example(
            name="Tell a channel",
            config={"content": "Order {{ input.id }} is done", "embeds": [{"title": "Order", "color": 5763719}]},
            input={"id": 7},
            connections={"discord": {"webhook_url": "http://discord.example/api/webhooks/1/example-token"}},
            calls=(
                Call(
                    method="POST",
                    url="http://discord.example/api/webhooks/1/example-token?wait=true",
                    body={"content": "Order 7 is done", "embeds": [{"title": "Order", "color": 5763719}]},
                    answer={"id": "1100", "channel_id": "42", "content": "Order 7 is done"},
                ),
            ),
            output={"id": "1100", "channel_id": "42", "content": "Order 7 is done"},
        ),
    )
    refuses = (
        Refusal({"channel": "1"}, "", "invalid_value"),
        Refusal({"operation": "edit", "content": "x"}, "/message_id", "missing_field"),
    )

    async def run(self, params: DiscordParams, context: Context) -> Outcome:
        from linkflow.nodes.discord_calls import do

        return Completed(output=await do(params, context))


node = Discord()

"""Slack: messages, threads, reactions, files, people. The output of a message is ``{ok, channel, ts, message}``."""

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

FAMILY = "slack"
BASE_URL = "https://slack.com/api"
Operation = Literal[
    "post", "update", "delete", "ephemeral", "schedule", "react", "unreact", "upload", "history", "replies",
    "channels", "users", "user", "lookup_user", "call",
]  # fmt: skip
_SAYS = "post update ephemeral schedule"
_OPTIONS = "Options"
_METHOD = r"^([a-z][A-Za-z]*(\.[A-Za-z]+)+|.*\{\{.*|)$"


class SlackParams(Operated):
    instead = {"files": "stored_files"}
    operation: Operation = Field("post", description="post answers in a thread, too; call is any other method.")
    channel: Text = part(
        description="Id or name; only an id serves update, delete, react and lists. A webhook has its own.",
        of="post upload", needed="update delete ephemeral schedule react unreact history replies",
    )  # fmt: skip
    text: Text = part(of=_SAYS, also="text message", widget="textarea", description="In Slack's mrkdwn.")
    thread_ts: Text = part(
        description="The message to answer in its thread.", of="post ephemeral schedule upload", needed="replies"
    )
    ts: Text = part(description="The message: `ts` of what post handed on.", needed="update delete react unreact")
    blocks: list[Any] | None = part(None, "Block Kit.", of=_SAYS)
    attachments: list[Any] | None = part(None, of=_SAYS)
    user: Text = part(description="A user's id.", needed="ephemeral user")
    email: Text = part(needed="lookup_user")
    emoji: Text = part(description="Its name, such as `eyes`.", needed="react unreact")
    post_at: Text = part(description="Seconds since 1970, or a time in RFC 3339.", needed="schedule")
    files: Files = part(
        [], "`{filename, base64 | text | content, content_type}`, one or a list.", needed="upload", also="file"
    )
    stored_files: TextList = part([], "Files of the workspace, by their paths, instead or as well.", of="upload")
    comment: Text = part(description="The message above the files.", of="upload", also="initial_comment")
    limit: int = part(100, of="history replies channels users", ge=1, le=5000, description="Most items.")
    types: Text = part("public_channel", of="channels", description="With commas; private_channel, im, mpim.")
    method: Text = part(description="Such as pins.add.", needed="call", pattern=_METHOD)
    arguments: dict[str, Any] = part({}, "What the method takes.", of="call")
    username: Text = part(of="post", group=_OPTIONS, description="Another name than the bot's.")
    icon_emoji: Text = part(of="post", group=_OPTIONS)
    icon_url: Text = part(of="post", group=_OPTIONS)
    reply_broadcast: bool = part(False, "Show the answer in the channel, too.", of="post", group=_OPTIONS)
    unfurl_links: bool | None = part(None, of="post", group=_OPTIONS)
    unfurl_media: bool | None = part(None, of="post", group=_OPTIONS)
    metadata: dict[str, Any] = part({}, "`{event_type, event_payload}`", of="post update", group=_OPTIONS)
    token: Secret = ""
    webhook_url: Secret = ""

    @model_validator(mode="after")
    def _says_something(self) -> SlackParams:
        if self.operation in _SAYS.split() and not {"text", "blocks", "attachments"} & self.model_fields_set:
            raise ValueError("there is nothing to say: `message`, `blocks` or `attachments`")
        return self


class Slack(Base):
    type: ClassVar[str] = "action_slack"
    aliases: ClassVar[tuple[str, ...]] = ("action_slack_message", "slack")
    name: ClassVar[str] = "Slack"
    description: ClassVar[str] = "Post, change and delete messages, react, send files, look up people."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = SlackParams
    slots = (Slot(FAMILY, ("slack",), "A bot's token, or an incoming webhook."),)
    help = """
    With a bot's token the answer has the message's `ts`; an incoming webhook posts alone and answers `{ok}`. Where
    Slack limits the rate, the node is tried again when Slack says. The token goes to Slack's address, or that of the
    credential, never to one that the config names.

    Slack knows no idempotency keys: a post whose answer was lost is posted again by a retry. A reaction that is there
    already, and on a retry a message that is gone already, are no errors.

    `history`, `replies`, `channels` and `users` hand on `{items, count, more}`; `user` and `lookup_user` `{user}`;
    `upload` `{ok, files}`; `call` what Slack answers.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "ok": {"type": "boolean"},
                "channel": {"type": ["string", "null"]},
                "ts": {"type": ["string", "null"], "description": "The message's id in its channel."},
                "message": {"type": ["object", "null"]},
                "scheduled_message_id": {"type": "string"},
                "user": {"type": "object"},
                "files": {"type": "array"},
                **LISTED,
            },
        }
    }
    faults = (
        Fault("slack_no_channel", "Nobody said which channel."),
        Fault("bad_file", "A file is no base64, or its media type is none."),
        *faults("Slack", "slack", credential="There is no token and no webhook, or a webhook where a token is needed."),
    )
    examples = (
        Example(
            name="Say that it is done",
            config={"channel": "#general", "message": "Order {{ input.id }} is done"},
            input={"id": 7},
            connections={"slack": {"token": "xoxb-example", "base_url": "http://slack.example/api"}},
            calls=(
                Call(
                    method="POST",
                    url="http://slack.example/api/chat.postMessage",
                    sends={"Authorization": "Bearer xoxb-example"},
                    body={"channel": "#general", "text": "Order 7 is done"},
                    answer={
                        "ok": True,
                        "channel": "C1",
                        "ts": "1503435956.000247",
                        "message": {"text": "Order 7 is done"},
                    },
                ),
            ),
            output={"ok": True, "channel": "C1", "ts": "1503435956.000247", "message": {"text": "Order 7 is done"}},
        ),
        Example(
            name="Who has this address",
            config={"operation": "lookup_user", "email": "{{ input.email }}"},
            input={"email": "ada@example.com"},
            connections={"slack": {"token": "xoxb-example", "base_url": "http://slack.example/api"}},
            calls=(
                Call(
                    method="POST",
                    url="http://slack.example/api/users.lookupByEmail",
                    body="email=ada%40example.com",
                    answer={"ok": True, "user": {"id": "W012A3CDE", "name": "ada"}},
                ),
            ),
            output={"user": {"id": "W012A3CDE", "name": "ada"}},
        ),
    )
    refuses = (
        Refusal({"channel": "#general"}, "", "invalid_value"),
        Refusal({"operation": "update", "channel": "C1", "text": "x"}, "/ts", "missing_field"),
    )

    async def run(self, params: SlackParams, context: Context) -> Outcome:
        from linkflow.nodes.slack_calls import do

        return Completed(output=await do(params, context))


node = Slack()

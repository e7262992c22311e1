"""Post a message to Slack. The output is ``{ok, channel, ts, message}``, or ``{ok}`` through an incoming webhook."""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import GOING_OUT, Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, EgressResponse, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text
from linkflow.nodes.replies import failure, parse_json
from linkflow.nodes.slots import Slot

FAMILY = "slack"
BASE_URL = "https://slack.com/api"
_RETRYABLE = frozenset(
    {"ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout"}
)


class SlackParams(Params):
    channel: Text = Field("", description="Name or id; an incoming webhook has its own.")
    text: Text = Field("", validation_alias=AliasChoices("text", "message"))
    thread_ts: Text = Field("", description="The message to answer in its thread.")
    blocks: list[Any] | None = None
    attachments: list[Any] | None = None
    token: Secret = ""
    webhook_url: Secret = ""

    @model_validator(mode="after")
    def _says_something(self) -> SlackParams:
        if not {"text", "blocks", "attachments"} & self.model_fields_set:
            raise ValueError("there is nothing to say: `message`, `blocks` or `attachments`")
        return self


class Slack(Base):
    type: ClassVar[str] = "action_slack"
    aliases: ClassVar[tuple[str, ...]] = ("action_slack_message", "slack")
    name: ClassVar[str] = "Slack"
    description: ClassVar[str] = "Post a message."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = SlackParams
    slots = (Slot(FAMILY, ("slack",), "A bot's token, or an incoming webhook."),)
    help = """
    With a bot's token the answer has the message's `ts`; an incoming webhook answers `{ok}` alone. Rate limits are
    retried when Slack says. The token goes to Slack's address, or that of the credential, never to one that the config
    names.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "ok": {"type": "boolean"},
                "channel": {"type": ["string", "null"]},
                "ts": {"type": ["string", "null"], "description": "The message's id in its channel."},
                "message": {"type": ["object", "null"]},
            },
            "required": ["ok"],
        }
    }
    faults = (
        Fault("slack_no_channel", "Nobody said which channel."),
        Fault("slack_rate_limited", "Slack asks to wait.", True),
        Fault("slack_error", "Slack refused the message, or cannot be understood."),
        Fault("no_credential", "There is no token and no webhook."),
        *GOING_OUT,
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
    )
    refuses = (Refusal({"channel": "#general"}, "", "invalid_value"),)

    async def run(self, params: SlackParams, context: Context) -> Outcome:
        own = {"token": params.token, "webhook_url": params.webhook_url}
        secrets = own if any(own.values()) else connection(context, FAMILY)
        fields = ("channel", "text", "thread_ts", "blocks", "attachments")
        message = {name: value for name in fields if (value := getattr(params, name))}
        if secrets.get("token"):
            if not params.channel:
                raise NodeFailure("slack_no_channel", "Say which channel to post to.", retryable=False)
            return await _post_message(message, secrets, context)
        if secrets.get("webhook_url"):
            return await _post_webhook(message, str(secrets["webhook_url"]), context)
        text = "Slack is not set up: give the node a credential with a `token` or `webhook_url`."
        raise NodeFailure("no_credential", text, retryable=False)


async def _post_message(message: dict[str, Any], secrets: Mapping[str, Any], context: Context) -> Completed:
    # The address comes from where the token comes from, never from the node's config: a token goes to its owner only.
    url = f"{str(secrets.get('base_url') or BASE_URL).rstrip('/')}/chat.postMessage"
    response = await _post(url, message, {"Authorization": f"Bearer {secrets['token']}"}, context)
    try:
        answer = parse_json(response.content)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NodeFailure("slack_error", "Slack's answer is not JSON.")
    if answer.get("ok") is not True:
        raise _refused(str(answer.get("error") or "unknown_error"), answer)
    return Completed(output={name: answer.get(name) for name in ("ok", "channel", "ts", "message")})


async def _post_webhook(message: dict[str, Any], url: str, context: Context) -> Completed:
    await _post(url, message, {}, context)
    return Completed(output={"ok": True})


async def _post(url: str, message: dict[str, Any], headers: dict[str, str], context: Context) -> EgressResponse:
    headers = {"Content-Type": "application/json; charset=utf-8", **headers}
    body = msgspec.json.encode(message)
    response = await context.http().request("POST", url, headers=headers, content=body, follow_redirects=False)
    if response.status_code >= 300:
        code = "slack_rate_limited" if response.status_code == 429 else "slack_error"
        raise failure(code, "Slack", response, context.now_ms)
    return response


def _refused(error: str, answer: dict[str, Any]) -> NodeFailure:
    code = "slack_rate_limited" if error in ("ratelimited", "rate_limited") else "slack_error"
    details: dict[str, Any] = {"error": error}
    if isinstance(more := answer.get("response_metadata"), dict):
        details["messages"] = more.get("messages", [])
    return NodeFailure(code, f"Slack refused the message: {error}.", retryable=error in _RETRYABLE, details=details)


node = Slack()

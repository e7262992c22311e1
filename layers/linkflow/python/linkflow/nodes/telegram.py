"""Telegram: messages, pictures and documents of a bot. The output is Telegram's result, mostly a message."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Secret, Text
from linkflow.nodes.given_files import File, file_or_text
from linkflow.nodes.json_api import faults
from linkflow.nodes.operations import Operated, part
from linkflow.nodes.slots import Slot

FAMILY = "telegram"
MEDIA = ("photo", "document", "video", "audio", "voice", "animation", "sticker")
_SENDS = f"send {' '.join(MEDIA)} location"
_OPTIONS = "Options"


def _rows(value: Any) -> Any:
    """Buttons in rows; a plain list is a row each."""
    return [[one] if isinstance(one, dict) else one for one in value] if isinstance(value, list) else value


class Button(Params):
    """A button below the message: it opens an address, or sends `data` to the bot."""

    text: Text
    url: Text = ""
    data: Text = Field("", description="Up to 64 bytes.")


class TelegramParams(Operated):
    instead = {"media": "stored_file"}
    operation: Literal[
        "send", "photo", "document", "video", "audio", "voice", "animation", "sticker", "location", "edit", "delete",
        "forward", "pin", "unpin", "action", "answer", "chat", "download", "call",
    ] = Field("send", description="answer is for a button that was pressed, action shows a state.")  # fmt: skip
    chat_id: Text = part(
        description="A chat's id, or @channel.", also="chat chat_id channel",
        needed=f"{_SENDS} edit delete forward pin unpin action chat",
    )  # fmt: skip
    text: Text = part(of="answer edit", needed="send", also="text message", widget="textarea")
    media: Annotated[File | str, BeforeValidator(file_or_text)] = part(
        description="A file `{filename, base64}`, an address, or Telegram's file id.", needed=" ".join(MEDIA),
        also="file " + " ".join(MEDIA),
    )  # fmt: skip
    stored_file: Text = part(
        description="In place of it a file of the workspace, by its path.",
        of=" ".join(MEDIA),
        also="stored_file stored_files",
    )
    caption: Text = part(of=f"{' '.join(MEDIA)} edit", widget="textarea", description="edit changes it, too.")
    message_id: Text = part(needed="edit delete forward pin", of="unpin")
    from_chat_id: Text = part(description="Where the message is.", needed="forward")
    latitude: float | None = part(None, needed="location", ge=-90, le=90)
    longitude: float | None = part(None, needed="location", ge=-180, le=180)
    buttons: Annotated[list[list[Button]], BeforeValidator(_rows)] = part(
        [], "`{text, url}` or `{text, data}`; a list of lists for several in a row.", of=f"{_SENDS} edit"
    )
    callback_query_id: Text = part(needed="answer")
    show_alert: bool = part(False, of="answer")
    action: Text = part("typing", of="action", description="typing, upload_photo …")
    file_id: Text = part(needed="download")
    method: Text = part(needed="call", description="Any method of the Bot API, such as sendPoll.",
                        pattern=r"^([A-Za-z]+|.*\{\{.*|)$")  # fmt: skip
    arguments: dict[str, Any] = part({}, of="call")
    parse_mode: Literal["", "HTML", "MarkdownV2", "Markdown"] = part("", of=f"{_SENDS} edit", group=_OPTIONS)
    reply_to: Text = part(description="The message that this one answers.", of=_SENDS, group=_OPTIONS)
    topic_id: Text = part(description="A topic of a forum.", of=_SENDS, group=_OPTIONS)
    reply_markup: dict[str, Any] = part({}, "Keyboards of another kind than `buttons`.", of=_SENDS, group=_OPTIONS)
    silent: bool = part(False, "Without a sound.", of=f"{_SENDS} forward pin", group=_OPTIONS)
    protect_content: bool = part(False, of=f"{_SENDS} forward", group=_OPTIONS)
    link_preview: bool = part(True, of="send edit", group=_OPTIONS)
    token: Secret = part(also="token bot_token")

    @model_validator(mode="after")
    def _sends_one(self) -> TelegramParams:
        if self.media and self.stored_file:
            raise ValueError("one file goes at once: `media` or `stored_file`")
        return self


class Telegram(Base):
    type: ClassVar[str] = "action_telegram"
    aliases: ClassVar[tuple[str, ...]] = ("telegram",)
    name: ClassVar[str] = "Telegram"
    description: ClassVar[str] = "Send, edit and delete a bot's messages, pictures and files, with buttons."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = TelegramParams
    slots = (Slot(FAMILY, ("telegram",), "A bot's token."),)
    help = """
    The bot's token is part of the address that Telegram is asked at; it is taken out of errors. When Telegram asks to
    wait (`retry_after`), the node is tried again as late as it says.

    Telegram knows no idempotency keys: a message whose answer was lost is sent again by a retry. An edit that changes
    nothing, and on a retry a message that is gone already, are no errors.

    Operations that send hand on the message (`message_id`, `chat`, `date` …), `delete`, `pin`, `unpin`, `action` and
    `answer` `{ok}`, `chat` the chat, `download` the file `{base64, content_type, size, filename}`.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "message_id": {"type": "integer"},
                "chat": {"type": "object"},
                "date": {"type": "integer", "description": "Seconds since 1970."},
                "text": {"type": "string"},
                "ok": {"type": "boolean"},
                "result": {"description": "Operation call, where Telegram's result is no object."},
            },
        }
    }
    faults = (
        Fault("bad_file", "A file is no base64, or its media type is none."),
        *faults("Telegram", "telegram", credential="There is no token."),
    )
    examples = (
        Example(
            name="A message with a button",
            config={
                "chat_id": "@orders",
                "text": "Order <b>{{ input.id }}</b> is done",
                "parse_mode": "HTML",
                "buttons": [{"text": "Look", "url": "https://shop.example/orders/{{ input.id }}"}],
            },
            input={"id": 7},
            connections={"telegram": {"token": "123456:example-token", "base_url": "http://telegram.example"}},
            calls=(
                Call(
                    method="POST",
                    url="http://telegram.example/bot123456:example-token/sendMessage",
                    body={
                        "chat_id": "@orders",
                        "text": "Order <b>7</b> is done",
                        "parse_mode": "HTML",
                        "reply_markup": {
                            "inline_keyboard": [[{"text": "Look", "url": "https://shop.example/orders/7"}]]
                        },
                    },
                    answer={
                        "ok": True,
                        "result": {
                            "message_id": 12,
                            "chat": {"id": -100},
                            "date": 1800000000,
                            "text": "Order 7 is done",
                        },
                    },
                ),
            ),
            output={"message_id": 12, "chat": {"id": -100}, "date": 1800000000, "text": "Order 7 is done"},
        ),
    )
    refuses = (
        Refusal({"chat_id": "1"}, "/text", "missing_field"),
        Refusal({"operation": "photo", "chat_id": "1"}, "/media", "missing_field"),
    )

    async def run(self, params: TelegramParams, context: Context) -> Outcome:
        from linkflow.nodes.telegram_calls import do

        return Completed(output=await do(params, context))


node = Telegram()

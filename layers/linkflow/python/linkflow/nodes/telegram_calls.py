"""What Telegram is asked (https://core.telegram.org/bots/api). The token is in every address."""

from __future__ import annotations

import base64
import mimetypes
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import to_text
from linkflow.nodes.given_files import File, stored
from linkflow.nodes.hiding import Hiding
from linkflow.nodes.json_api import Api, Trouble, set_up
from linkflow.nodes.operations import picked
from linkflow.nodes.replies import content_type
from linkflow.nodes.telegram import FAMILY, MEDIA, TelegramParams

_METHODS = {"send": "sendMessage", "edit": "editMessageText", "delete": "deleteMessage", "forward": "forwardMessage",
            "pin": "pinChatMessage", "unpin": "unpinChatMessage", "action": "sendChatAction", "chat": "getChat",
            "answer": "answerCallbackQuery", "location": "sendLocation"}  # fmt: skip
_FIELDS = {
    "send": ("text",),
    "edit": ("message_id", "text"),
    "delete": ("message_id",),
    "forward": ("message_id", "from_chat_id"),
    "pin": ("message_id",),
    "unpin": ("message_id",),
    "action": ("action",),
    "answer": ("callback_query_id", "text"),
    "location": ("latitude", "longitude"),
}


class TelegramApi(Api):
    name, code, base_url = "Telegram", "telegram", "https://api.telegram.org"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        found = super().trouble(response)
        if response.url.startswith(f"{self.base}/file/"):
            return found
        answer = self.read(response)
        if not isinstance(answer, dict) and found is None:
            return Trouble("its answer is not JSON", retryable=True)
        if not isinstance(answer, dict) or answer.get("ok") is True:
            return found
        code, more = answer.get("error_code"), answer.get("parameters")
        wait = more.get("retry_after") if isinstance(more, dict) else None
        is_limit = code == 429 or response.status_code == 429
        return Trouble(
            str(answer.get("description") or ""),
            is_limit=is_limit,
            wait_ms=wait * 1000 if isinstance(wait, int) and wait >= 0 else 0,
            retryable=isinstance(code, int) and code >= 500,
            details=({"error": code} if code else {}) | ({"parameters": more} if more else {}),
        )


def api_of(secrets: Mapping[str, Any], context: Context) -> tuple[TelegramApi, str]:
    """The API, and the path of the bot in it. Raises `NodeFailure` ``no_credential``."""
    token = str(secrets.get("token") or "").strip()
    if not token:
        raise set_up("Telegram", "give the node a credential with a bot's `token`")
    api = TelegramApi(context, secrets)
    api.hiding = Hiding([token, token.partition(":")[2]])  # in front of the colon is the bot's id, which is known
    return api, f"/bot{quote(token, safe=':')}"


async def do(params: TelegramParams, context: Context) -> Any:
    """The node's output."""
    api, at = api_of({"token": params.token} if params.token else connection(context, FAMILY), context)
    if params.operation == "download":
        return await _download(api, at, params.file_id)
    method, arguments, file = _asked(params)
    for found in await stored([params.stored_file] if params.stored_file else [], context):
        file = {str(params.operation): File.model_validate(found).part()}
    kind = "multipart" if file else "json"
    body = {**{name: to_text(value) for name, value in arguments.items()}, **file} if file else arguments
    try:
        answer = await api.ask_object("POST", f"{at}/{method}", body=body, body_type=kind)
    except NodeFailure as failure:
        if not _is_done(params.operation, failure, context.attempt):
            raise
        return {"ok": True}
    result = answer.get("result")
    if result is True and params.operation != "call":
        return {"ok": True}
    return result if isinstance(result, dict) else {"result": result}


def _asked(params: TelegramParams) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """Method, arguments, and the file that goes along, if one does."""
    operation = params.operation
    if operation == "call":
        return params.method, params.arguments, None
    found = picked(params, ("chat_id", *_FIELDS.get(operation, ()))) | _options(params)
    method, file = _METHODS.get(operation, f"send{operation.title()}"), None
    if operation in MEDIA:
        found |= picked(params, ("caption",))
        if isinstance(params.media, File):
            file = {str(operation): params.media.part()}
        elif params.media:
            found[operation] = params.media
    elif operation == "edit" and not params.text:
        is_caption = "caption" in params.model_fields_set
        method = "editMessageCaption" if is_caption else "editMessageReplyMarkup"
        found |= {"caption": params.caption} if is_caption else {}
    return method, found, file


def _options(params: TelegramParams) -> dict[str, Any]:
    operation, found = params.operation, picked(params, ("reply_markup",))
    is_sent = operation in ("send", "location", *MEDIA)
    if params.buttons:
        rows = [[picked(button, ("text", "url", "data:callback_data")) for button in row] for row in params.buttons]
        found["reply_markup"] = {"inline_keyboard": rows}
    if params.parse_mode and operation in ("send", "edit", *MEDIA):
        found["parse_mode"] = params.parse_mode
    if params.reply_to and is_sent:
        number = int(params.reply_to) if params.reply_to.isdecimal() else params.reply_to
        found["reply_parameters"] = {"message_id": number}
    if params.topic_id and is_sent:
        found["message_thread_id"] = params.topic_id
    if params.silent and (is_sent or operation in ("forward", "pin")):
        found["disable_notification"] = True
    if params.protect_content and (is_sent or operation == "forward"):
        found["protect_content"] = True
    if not params.link_preview and operation in ("send", "edit"):
        found["link_preview_options"] = {"is_disabled": True}
    if params.show_alert and operation == "answer":
        found["show_alert"] = True
    return found


def _is_done(operation: str, failure: NodeFailure, attempt: int) -> bool:
    """Is this refusal no failure: nothing to change, or done by an earlier attempt?"""
    said = failure.error.message.lower()
    if operation == "edit":
        return "message is not modified" in said
    return operation == "delete" and attempt > 1 and "message to delete not found" in said


async def _download(api: TelegramApi, at: str, id: str) -> dict[str, Any]:
    found = (await api.ask_object("POST", f"{at}/getFile", body={"file_id": id})).get("result") or {}
    path = str(found.get("file_path") or "")
    response = await api.send("GET", f"/file{at}/{quote(path)}")
    name = path.rpartition("/")[2]
    kind = mimetypes.guess_type(name)[0] or content_type(response.headers)[0] or "application/octet-stream"
    content = base64.b64encode(response.content).decode()
    return {"base64": content, "content_type": kind, "size": len(response.content), "filename": name}

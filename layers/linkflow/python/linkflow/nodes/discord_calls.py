"""What Discord is asked (https://discord.com/developers/docs), through a webhook or as a bot."""

from __future__ import annotations

import hashlib
import math
from typing import Any

import msgspec

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.discord import FAMILY, DiscordParams
from linkflow.nodes.given_files import File, stored
from linkflow.nodes.json_api import Api, Trouble, gather, relative, set_up
from linkflow.nodes.operations import picked, segment

_SILENT = 1 << 12
_UNKNOWN_MESSAGE = 10008


class DiscordApi(Api):
    name, code, base_url = "Discord", "discord", "https://discord.com/api/v10"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        if response.status_code < 300:
            return None
        found = self.told(response)
        wait = found.get("retry_after")
        return Trouble(
            str(found.get("message") or ""),
            is_limit=response.status_code == 429,
            wait_ms=math.ceil(wait * 1000) if isinstance(wait, int | float) and 0 <= wait < 1e6 else 0,
            details={"error": found["code"]} if "code" in found else {},
        )


async def do(params: DiscordParams, context: Context) -> Any:
    """The node's output."""
    own = {"bot_token": params.bot_token, "webhook_url": params.webhook_url}
    secrets = own if any(own.values()) else connection(context, FAMILY)
    token, address = str(secrets.get("bot_token") or ""), str(secrets.get("webhook_url") or "")
    by_webhook = bool(address) and not (token and params.channel)
    if by_webhook and params.operation not in ("send", "edit", "delete", "get"):
        raise set_up("Discord", f"operation {params.operation} needs a bot's token and a `channel`")
    if by_webhook:
        place = address.partition("?")[0]
        api = DiscordApi(context, {"webhook_url": place, "base_url": place.rstrip("/")})
        return await _message(api, params, "/messages/", {"thread_id": params.thread_id} if params.thread_id else {})
    if not token:
        raise set_up("Discord", "give the node a credential with a `webhook_url` or `bot_token`")
    api = DiscordApi(context, secrets, {"Authorization": f"Bot {token}"})
    if params.operation == "call":
        return await api.ask(params.method, relative(params.path), body=params.body)
    if not params.channel:
        raise NodeFailure("invalid_params", "A bot has to be told the `channel`.", retryable=False)
    channel = f"/channels/{segment(params.thread_id or params.channel, 'channel')}"
    more = {"list": _list, "react": _react, "create_thread": _thread}.get(params.operation)
    return await (more(api, params, channel) if more else _message(api, params, f"{channel}/messages/", None))


async def _message(api: DiscordApi, params: DiscordParams, path: str, query: dict[str, Any] | None) -> Any:
    """Send, edit, get or delete one. `query` is a webhook's, and none a bot's."""
    if params.operation == "send":
        if query is not None:
            return await _say(api, "POST", "", params, {"wait": True, **query}, _for_webhook(params))
        return await _say(api, "POST", path.rstrip("/"), params, {}, _for_bot(params, api.context))
    place = path + segment(params.message_id, "message_id")
    if params.operation == "edit":
        return await _say(api, "PATCH", place, params, query or {}, {})
    if params.operation == "get":
        return await api.ask("GET", place, query=query)
    try:
        await api.ask("DELETE", place, query=query)
    except NodeFailure as failure:
        gone = (failure.error.details or {}).get("error") == _UNKNOWN_MESSAGE
        if not gone or api.context.attempt == 1:
            raise
    return {"ok": True}


def _for_webhook(params: DiscordParams) -> dict[str, Any]:
    return picked(params, ("username", "avatar_url", "thread_name"))


def _for_bot(params: DiscordParams, context: Context) -> dict[str, Any]:
    nonce = hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:25]  # the longest there may be
    found: dict[str, Any] = {"nonce": nonce, "enforce_nonce": True}
    return found | ({"message_reference": {"message_id": params.reply_to}} if params.reply_to else {})


async def _say(
    api: DiscordApi, method: str, path: str, params: DiscordParams, query: dict[str, Any], more: dict[str, Any]
) -> Any:
    body = picked(params, ("content", "embeds", "components", "poll", "allowed_mentions")) | more
    if params.allowed_mentions is not None:
        body["allowed_mentions"] = params.allowed_mentions
    if "content" in params.model_fields_set and method == "PATCH":
        body["content"] = params.content  # also nothing, which takes the text away
    if method == "POST":
        body |= ({"tts": True} if params.tts else {}) | ({"flags": _SILENT} if params.silent else {})
    files = [*params.files, *map(File.model_validate, await stored(params.stored_files, api.context))]
    if not files:
        return await api.ask(method, path, query=query, body=body)
    parts = {f"files[{place}]": file.part() for place, file in enumerate(files)}
    payload = {"payload_json": msgspec.json.encode(body).decode()}
    return await api.ask(method, path, query=query, body=payload | parts, body_type="multipart")


async def _list(api: DiscordApi, params: DiscordParams, channel: str) -> Any:
    size = min(params.limit, 100)

    async def page(before: Any) -> tuple[list[Any], Any]:
        found = await api.ask("GET", f"{channel}/messages", query={"limit": size, "before": before})
        items = found if isinstance(found, list) else []
        return items, items[-1]["id"] if len(items) == size else None

    return await gather(page, params.limit, api.name)


async def _react(api: DiscordApi, params: DiscordParams, channel: str) -> Any:
    message, emoji = segment(params.message_id, "message_id"), segment(params.emoji, "emoji")
    await api.ask("PUT", f"{channel}/messages/{message}/reactions/{emoji}/@me")
    return {"ok": True}


async def _thread(api: DiscordApi, params: DiscordParams, channel: str) -> Any:
    if params.message_id:
        path = f"{channel}/messages/{segment(params.message_id, 'message_id')}/threads"
        return await api.ask("POST", path, body={"name": params.thread_name})
    return await api.ask("POST", f"{channel}/threads", body={"name": params.thread_name, "type": 11})

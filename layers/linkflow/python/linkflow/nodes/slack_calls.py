"""What Slack is asked (https://api.slack.com/methods), and how it says no: mostly with status 200."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.durations import until_ms
from linkflow.nodes.fields import to_text
from linkflow.nodes.given_files import File, stored
from linkflow.nodes.hiding import Hiding, secrets_in
from linkflow.nodes.json_api import Api, Trouble, gather, set_up
from linkflow.nodes.operations import picked
from linkflow.nodes.replies import parse_json
from linkflow.nodes.slack import BASE_URL, FAMILY, SlackParams

_LIMITS = frozenset({"ratelimited", "rate_limited", "message_limit_exceeded"})
_RETRYABLE = frozenset({"internal_error", "fatal_error", "service_unavailable", "request_timeout", "team_added_to_org"})
_MESSAGE = ("channel", "text", "thread_ts", "blocks", "attachments", "username", "icon_emoji", "icon_url",
            "reply_broadcast", "metadata")  # fmt: skip


class SlackApi(Api):
    name, code, base_url = "Slack", "slack", BASE_URL

    def trouble(self, response: EgressResponse) -> Trouble | None:
        found = super().trouble(response)
        if found is not None or not response.url.startswith(self.base):
            return found
        try:
            answer = parse_json(response.content)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            return Trouble("its answer is not JSON", retryable=True)
        if answer.get("ok") is True:
            return None
        error = str(answer.get("error") or "unknown_error")
        details: dict[str, Any] = {"error": error}
        if isinstance(more := answer.get("response_metadata"), dict) and more.get("messages"):
            details["messages"] = more["messages"]
        if needed := answer.get("needed"):
            details["needed"] = needed  # the scope that the token lacks
        return Trouble(error, is_limit=error in _LIMITS, retryable=error in _RETRYABLE, details=details)

    async def form(self, method: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """A method with its arguments as a form, which each of them takes."""
        fields = {name: to_text(value) for name, value in arguments.items() if value is not None}
        return await self.ask_object("POST", f"/{method}", body=fields, body_type="form")


async def do(params: SlackParams, context: Context) -> dict[str, Any]:
    """The node's output."""
    own = {"token": params.token, "webhook_url": params.webhook_url}
    secrets = own if any(own.values()) else connection(context, FAMILY)
    if token := secrets.get("token"):
        api = SlackApi(context, secrets, {"Authorization": f"Bearer {token}"})
        return await _OPERATIONS[params.operation](api, params)
    address = str(secrets.get("webhook_url") or "")
    if address and params.operation == "post":
        return await _by_webhook(address, params, context)
    if address:
        raise set_up("Slack", f"operation {params.operation} needs a bot's `token`, a webhook posts alone")
    raise set_up("Slack", "give the node a credential with a `token` or `webhook_url`")


async def _by_webhook(address: str, params: SlackParams, context: Context) -> dict[str, Any]:
    api = SlackApi(context, {"webhook_url": address})
    await api.send("POST", address, body=_message(params))
    return {"ok": True}


def _message(params: SlackParams) -> dict[str, Any]:
    found = picked(params, _MESSAGE)
    if not params.reply_broadcast:
        found.pop("reply_broadcast", None)
    choices = ("unfurl_links", "unfurl_media")
    return found | {name: value for name in choices if (value := getattr(params, name)) is not None}


async def _say(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    more: dict[str, Any] = {}
    method = "chat.postMessage"
    if params.operation == "update":
        method, more = "chat.update", {"ts": params.ts}
    elif params.operation == "ephemeral":
        method, more = "chat.postEphemeral", {"user": params.user}
    elif params.operation == "schedule":
        method, more = "chat.scheduleMessage", {"post_at": _seconds(params.post_at)}
    elif not params.channel:
        raise NodeFailure("slack_no_channel", "Say which channel to post to.", retryable=False)
    answer = await api.ask_object("POST", f"/{method}", body=_message(params) | more)
    if params.operation == "ephemeral":
        return {"ok": True, "channel": params.channel, "ts": answer.get("message_ts")}
    if params.operation == "schedule":
        return {name: answer.get(name) for name in ("ok", "channel", "scheduled_message_id", "post_at", "message")}
    return {name: answer.get(name) for name in ("ok", "channel", "ts", "message")}


def _seconds(text: str) -> int:
    try:
        return int(text) if text.strip().isdecimal() else until_ms(text) // 1000
    except ValueError as error:
        raise NodeFailure("invalid_params", f"`post_at`: {error}.", retryable=False) from None


async def _mark(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    """Delete, react, unreact: what a retry finds done already is done."""
    body = {"channel": params.channel}
    if params.operation == "delete":
        method, body["ts"], done = "chat.delete", params.ts, "message_not_found"
        done = done if api.context.attempt > 1 else ""
    else:
        on = params.operation == "react"
        method, done = ("reactions.add", "already_reacted") if on else ("reactions.remove", "no_reaction")
        body |= {"timestamp": params.ts, "name": params.emoji.strip(": ")}
    try:
        await api.ask("POST", f"/{method}", body=body)
    except NodeFailure as failure:
        if not done or (failure.error.details or {}).get("error") != done:
            raise
    return {"ok": True, "channel": params.channel, "ts": params.ts}


async def _upload(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    """Each file goes to an address that Slack gives; then all of them are shown in one message."""
    files = []
    for file in (*params.files, *map(File.model_validate, await stored(params.stored_files, api.context))):
        content = file.data()
        place = await api.form("files.getUploadURLExternal", {"filename": file.name, "length": len(content)})
        address, id = place.get("upload_url"), place.get("file_id")
        if not isinstance(address, str) or not isinstance(id, str):
            raise NodeFailure("slack_error", "Slack gave no place for the file.")
        api.hiding = Hiding([*secrets_in({"token": api.headers["Authorization"][7:]}), address])
        await api.send("POST", address, body=file.part(), body_type="binary")
        files.append({"id": id, "title": file.name})
    share = picked(params, ("channel:channel_id", "thread_ts", "comment:initial_comment"))
    answer = await api.ask_object("POST", "/files.completeUploadExternal", body={"files": files, **share})
    return {"ok": True, "files": answer.get("files") or files}


_LISTS = {
    "history": ("conversations.history", "messages"),
    "replies": ("conversations.replies", "messages"),
    "channels": ("conversations.list", "channels"),
    "users": ("users.list", "members"),
}


async def _list(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    method, field = _LISTS[params.operation]
    wanted = picked(params, {"replies": ("channel", "thread_ts:ts"), "history": ("channel",)}.get(params.operation, ()))
    if params.operation == "channels":
        wanted |= {"types": params.types, "exclude_archived": True}

    async def page(cursor: Any) -> tuple[list[Any], Any]:
        answer = await api.form(method, {**wanted, "limit": min(params.limit, 200), "cursor": cursor})
        return answer.get(field) or [], (answer.get("response_metadata") or {}).get("next_cursor")

    return await gather(page, params.limit, api.name)


async def _person(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    by_mail = params.operation == "lookup_user"
    method, asked = (
        ("users.lookupByEmail", {"email": params.email}) if by_mail else ("users.info", {"user": params.user})
    )
    return {"user": (await api.form(method, asked)).get("user")}


async def _call(api: SlackApi, params: SlackParams) -> dict[str, Any]:
    return await api.form(params.method, params.arguments)


_OPERATIONS: Mapping[str, Callable[[SlackApi, SlackParams], Awaitable[dict[str, Any]]]] = {
    **dict.fromkeys(("post", "update", "ephemeral", "schedule"), _say),
    **dict.fromkeys(("delete", "react", "unreact"), _mark),
    **dict.fromkeys(_LISTS, _list),
    **dict.fromkeys(("user", "lookup_user"), _person),
    "upload": _upload,
    "call": _call,
}

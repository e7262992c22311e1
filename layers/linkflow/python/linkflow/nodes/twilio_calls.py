"""What Twilio is asked (https://www.twilio.com/docs/usage/api): forms, with the account as the user."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import msgspec

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import connection
from linkflow.nodes.json_api import Api, Trouble, gather, set_up
from linkflow.nodes.operations import picked, segment
from linkflow.nodes.twilio import FAMILY, TwilioParams


class TwilioApi(Api):
    name, code, base_url = "Twilio", "twilio", "https://api.twilio.com"

    def trouble(self, response: EgressResponse) -> Trouble | None:
        if response.status_code < 300:
            return None
        found = self.told(response)
        details = {"error": found["code"]} if "code" in found else {}
        is_limit = response.status_code == 429 or found.get("code") == 20429
        return Trouble(str(found.get("message") or ""), is_limit=is_limit, details=details)


def api_of(secrets: Mapping[str, Any], context: Context) -> tuple[TwilioApi, str]:
    """The API, and the path of the account in it. Raises `NodeFailure` ``no_credential``."""
    account = str(secrets.get("account_sid") or "")
    user = str(secrets.get("api_key") or account)
    password = str((secrets.get("api_key_secret") if secrets.get("api_key") else secrets.get("auth_token")) or "")
    if not account or not password:
        raise set_up("Twilio", "give the node a credential with `account_sid` and `auth_token`")
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    api = TwilioApi(context, secrets, {"Authorization": f"Basic {pair}"})
    return api, f"/2010-04-01/Accounts/{segment(account, 'account_sid')}"


async def do(params: TwilioParams, context: Context) -> Any:
    """The node's output."""
    own = {"account_sid": params.account_sid, "auth_token": params.auth_token}
    secrets = own if params.auth_token else connection(context, FAMILY)
    api, at = api_of(secrets, context)
    if params.operation in ("get_message", "get_call"):
        kind = "Messages" if params.operation == "get_message" else "Calls"
        return await api.ask_object("GET", f"{at}/{kind}/{segment(params.sid, 'sid')}.json")
    if params.operation == "cancel":
        return await _post(api, f"{at}/Messages/{segment(params.sid, 'sid')}.json", {"Status": "canceled"})
    if params.operation == "list_messages":
        return await _list(api, f"{at}/Messages.json", params)
    sender = _sender(params, str(secrets.get("from") or secrets.get("sender") or ""))
    if params.operation == "call":
        return await _post(api, f"{at}/Calls.json", {"To": params.to, **sender, **_call(params)})
    return await _post(api, f"{at}/Messages.json", {"To": _place(params, params.to), **sender, **_message(params)})


async def _post(api: TwilioApi, path: str, form: dict[str, Any]) -> dict[str, Any]:
    return await api.ask_object("POST", path, body=form, body_type="form")


def _sender(params: TwilioParams, usual: str) -> dict[str, str]:
    sender = params.sender or usual
    if not sender:
        text = "Say whom it is from: `from` in the node or its credential."
        raise NodeFailure("invalid_params", text, retryable=False)
    if sender.startswith("MG") and params.operation != "call":
        return {"MessagingServiceSid": sender}
    return {"From": _place(params, sender)}


def _place(params: TwilioParams, number: str) -> str:
    by_whatsapp = params.operation == "whatsapp" and not number.startswith("whatsapp:")
    return f"whatsapp:{number}" if by_whatsapp else number


def _message(params: TwilioParams) -> dict[str, Any]:
    names = ("body:Body", "media_url:MediaUrl", "content_sid:ContentSid", "status_callback:StatusCallback")
    form = picked(params, names)
    if params.content_variables:
        form["ContentVariables"] = msgspec.json.encode(params.content_variables).decode()
    return form | ({"SendAt": params.send_at, "ScheduleType": "fixed"} if params.send_at else {})


def _call(params: TwilioParams) -> dict[str, Any]:
    form = picked(params, ("twiml:Twiml", "url:Url", "status_callback:StatusCallback"))
    if params.say:
        how = f"voice={quoteattr(params.voice)} language={quoteattr(params.language)}"
        form["Twiml"] = f"<Response><Say {how}>{escape(params.say)}</Say></Response>"
    return form | ({"Record": True} if params.record else {})


async def _list(api: TwilioApi, path: str, params: TwilioParams) -> dict[str, Any]:
    wanted = picked(params, ("to:To", "sender:From")) | {"PageSize": min(params.limit, 200)}

    async def page(following: Any) -> tuple[list[Any], Any]:
        answer = await api.ask_object("GET", following or path, query=None if following else wanted)
        return answer.get("messages") or [], answer.get("next_page_uri")

    return await gather(page, params.limit, api.name)

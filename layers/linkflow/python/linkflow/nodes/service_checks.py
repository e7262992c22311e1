"""Trying a credential of a service with its lightest call: one that changes nothing and that any key may make."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from linkflow.nodes.base import Context, NodeFailure

Check = Callable[[Mapping[str, Any], Context], Awaitable[str]]
"""Says in words how it went, or raises `NodeFailure`."""
LATE = 15.0
"""Seconds."""


async def _discord(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.discord_calls import DiscordApi

    if token := secrets.get("bot_token"):
        api = DiscordApi(context, secrets, {"Authorization": f"Bot {token}"}, timeout=LATE)
        return f"Discord knows the bot {(await api.ask_object('GET', '/users/@me')).get('username', '')}."
    address = str(secrets.get("webhook_url") or "").partition("?")[0]
    if not address:
        raise NodeFailure("bad_credential", "There is neither `webhook_url` nor `bot_token`.", retryable=False)
    found = await DiscordApi(context, {"webhook_url": address}, timeout=LATE).ask_object("GET", address)
    return f"Discord knows the webhook {found.get('name') or ''}."


async def _telegram(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.telegram_calls import api_of

    api, at = api_of(secrets, context)
    found = (await api.ask_object("GET", f"{at}/getMe")).get("result")
    return f"Telegram knows the bot @{found.get('username', '') if isinstance(found, dict) else ''}."


async def _twilio(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.twilio_calls import api_of

    api, at = api_of(secrets, context)
    return f"Twilio knows the account; it is {(await api.ask_object('GET', f'{at}.json')).get('status', 'there')}."


async def _github(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.github_calls import api_of

    await api_of(secrets, context).ask_object("GET", "/rate_limit")
    return "GitHub takes the token."


async def _stripe(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.stripe_calls import api_of

    try:
        await api_of(secrets, context).ask_object("GET", "/v1/balance")
    except NodeFailure as failure:
        if failure.error.details.get("status") != 403:  # a restricted key that is known, and may not do this
            raise
    return "Stripe takes the key."


async def _google(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.http_auth import TOKENS

    TOKENS.forget(secrets, context)
    await TOKENS.token(secrets, "google_service_account", context)
    return "Google gave a token."


async def _webhook(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.standard_webhooks import BadSecret, key_of

    for name in ("secret", "previous_secret"):
        try:
            key_of(str(secrets.get(name) or ("" if name == "secret" else "none")))
        except BadSecret as error:
            raise NodeFailure("bad_credential", f"`{name}`: {error}", retryable=False) from None
    return "The secret can sign. Receivers are not called."


async def _mysql(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes import mysql_client
    from linkflow.nodes.sql_params import Bounds

    server = mysql_client.read(str(secrets.get("connection_string") or ""), str(secrets.get("ca") or ""))
    await mysql_client.run(server, [("SELECT 1", [])], egress=context.http(), bounds=Bounds(LATE, 1, 1_000))
    return "The database answers."


async def _redis(secrets: Mapping[str, Any], context: Context) -> str:
    from linkflow.nodes.redis_client import ask, read, refused

    server = read(str(secrets.get("url") or ""), str(secrets.get("ca") or ""))
    [answer] = await ask(server, [("PING",)], context.http(), LATE)
    if isinstance(answer, Exception):
        raise refused(answer)
    return "The server answers."


CHECKS: Mapping[str, Check] = {
    "discord": _discord,
    "telegram": _telegram,
    "twilio": _twilio,
    "github": _github,
    "stripe": _stripe,
    "google_service_account": _google,
    "webhook": _webhook,
    "mysql": _mysql,
    "redis": _redis,
}

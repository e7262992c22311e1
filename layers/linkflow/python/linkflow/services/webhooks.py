"""Receiving webhooks: who may call, and what run that starts. The id in the address finds the workspace."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.domain.errors import NotFound, RateLimited, Unauthenticated, Unavailable
from linkflow.ports import RateLimiter

from .control_ports import Webhook, WebhookStore
from .permissions import WEBHOOK
from .together import Together
from .triggers import WebhookRules, digest

_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")

CHALLENGES = {"basic": 'Basic realm="LinkFlow webhook"', "bearer": "Bearer"}
"""What a 401 asks for, by the kind of authentication."""

PRIVATE_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie"})
"""Never part of the trigger data."""


class Knock(Struct, frozen=True):
    """A call of a webhook, before its body was read. Header names are in lower case."""

    webhook_id: str
    path: str
    method: str
    headers: Mapping[str, str]
    query: Mapping[str, Any]
    ip: str


class MethodNotAllowed(Exception):
    """The webhook does not take this method, but those in `allowed`. Not of the error tree: it stays in the door."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"This webhook takes {', '.join(allowed)}.")
        self.allowed = allowed


class Webhooks:
    """The receiver. `limiter` holds the per-webhook rate limits where there is one."""

    def __init__(self, store: WebhookStore, frontend: FrontendApi, limiter: RateLimiter | None = None) -> None:
        self._hooks = Together(store.find)
        self._frontend = frontend
        self._limiter = limiter

    async def admit(self, knock: Knock) -> Webhook:
        """Find the webhook and check path, method, rate and secret, in this order.

        Raises `NotFound` (also for one that is switched off), `MethodNotAllowed`, `RateLimited`, `Unauthenticated`.
        """
        webhook = await self._hooks.find(knock.webhook_id) if _ID.fullmatch(knock.webhook_id) else None
        if webhook is None or not webhook.active or not _path_fits(webhook.rules.path, knock.path):
            raise NotFound("There is no such webhook, or its workflow is switched off.")
        if knock.method not in webhook.rules.methods:
            raise MethodNotAllowed(webhook.rules.methods)
        await self._limit(webhook, knock.ip)
        if not _authentic(webhook.rules, knock.headers):
            challenge = CHALLENGES.get(webhook.rules.auth, "")
            raise Unauthenticated("This webhook needs its secret.", details={"challenge": challenge})
        return webhook

    async def start(self, webhook: Webhook, knock: Knock, body: Any, key: str) -> RunReply:
        """Start the run. A `key` that was seen before finds the run that it started then."""
        rules = webhook.rules
        request = RunRequest(
            workspace_id=webhook.workspace_id,
            workflow_id=webhook.workflow_id,
            workflow_version=webhook.workflow_version,
            trigger_node=webhook.node_id,
            trigger=trigger_data(rules, knock, body),
            mode="webhook",
            actor=f"webhook:{webhook.node_id}",
            idempotency_key=f"webhook:{webhook.node_id}:{key}" if key else "",
            wait=rules.wait if rules.mode == "wait" else 0.0,
        )
        with acting_as(Caller(webhook.workspace_id, WEBHOOK, request.actor)):
            return await self._frontend.run(request)

    async def _limit(self, webhook: Webhook, ip: str) -> None:
        per_minute = webhook.rules.rate_limit
        if not per_minute or self._limiter is None:
            return
        try:
            wait = await self._limiter.take(f"webhook:{webhook.id}:{ip}", per_minute / 60, per_minute)
        except Unavailable:
            return  # a webhook that is lost is worse than one too many
        if wait > 0:
            raise RateLimited("This webhook takes no more calls now.", details={"retry_after": wait})


def trigger_data(rules: WebhookRules, knock: Knock, body: Any) -> dict[str, Any]:
    """What the run is given: the call without its secrets."""
    hidden = PRIVATE_HEADERS | {rules.header}
    headers = {name: value for name, value in knock.headers.items() if name not in hidden}
    return {
        "method": knock.method,
        "headers": headers,
        "query": dict(knock.query),
        "body": body,
        "path": knock.path,
        "ip": knock.ip,
    }


def _path_fits(wanted: str, path: str) -> bool:
    """The id alone is enough; a path that is given has to be the right one where the webhook has one."""
    return not wanted or path.strip("/") in ("", wanted)


def _authentic(rules: WebhookRules, headers: Mapping[str, str]) -> bool:
    """Is the secret there? Compared in constant time, as a hash. Header values are the wire's bytes, as latin-1."""
    if rules.auth == "none":
        return True
    if rules.auth == "header":
        return rules.header in headers and _fits(headers[rules.header].encode("latin-1"), rules)
    scheme, _, value = headers.get("authorization", "").partition(" ")
    given = value.strip().encode("latin-1")
    if scheme.lower() != rules.auth or not given:
        return False
    if rules.auth == "bearer":
        return _fits(given, rules)
    try:
        user, _, password = base64.b64decode(given, validate=True).partition(b":")
    except binascii.Error:
        return False
    # Both are compared in any case, so that a wrong name takes as long as a wrong password.
    return hmac.compare_digest(user, rules.username.encode()) & _fits(password, rules)


def _fits(given: bytes, rules: WebhookRules) -> bool:
    return hmac.compare_digest(digest(given), rules.secret)

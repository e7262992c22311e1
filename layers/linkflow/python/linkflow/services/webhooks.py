"""Receiving webhooks: who may call, and what run that starts. The id in the address finds the workspace."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct

from linkflow.clock import SystemClock
from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi, RunReply, RunRequest
from linkflow.contracts.history import DescribeRequest
from linkflow.domain.environments import trigger_of
from linkflow.domain.errors import (
    Conflict,
    NotFound,
    PayloadTooLarge,
    RateLimited,
    Unauthenticated,
    Unavailable,
)
from linkflow.domain.state import CLOSED
from linkflow.domain.state import decode as decode_state
from linkflow.ports import Allowances, Clock

from .bearer import UnknownKey, bearer
from .control_ports import Webhook, WebhookStore
from .delivery_ids import dedupe_key
from .hook_rules import WebhookRules, parameters
from .hook_status import Seen, StatusTokens
from .permissions import WEBHOOK
from .signatures import BadSignature, verify
from .together import Together
from .triggers import digest

_log = logging.getLogger(__name__)
_ID = re.compile(r"[A-Za-z0-9_-]{16,64}")


CHALLENGES = {"basic": 'Basic realm="LinkFlow webhook"', "bearer": "Bearer", "jwt": "Bearer"}
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


class Admitted(Struct, frozen=True):
    """`mark` tells this very signature from others, empty where nothing with a time was signed. `left` is how many more
    calls its address may make this minute, -1 where they are not counted."""

    mark: bytes = b""
    left: int = -1


class MethodNotAllowed(Exception):
    """The webhook does not take this method, but those in `allowed`. Not of the error tree: it stays in the door."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        super().__init__(f"This webhook takes {', '.join(allowed)}.")
        self.allowed = allowed


class Keys(Protocol):
    """Where the keys are that calls are signed with."""

    async def fields(self, workspace_id: str, credential: str, *, renew: bool = False) -> Mapping[str, str]:
        """The fields of a credential; with `renew` a key set from elsewhere as it is now, unless that was just asked
        for. Raises `NotFound` where the workspace has none such, `Unavailable`."""
        ...


class Webhooks:
    """The receiver. `limiter` holds the per-webhook rate limits where there is one, `keys` what signatures are checked
    with, `tokens` make the addresses at which a caller asks how his run went."""

    def __init__(
        self, store: WebhookStore, frontend: FrontendApi, limiter: Allowances | None = None, *,
        keys: Keys | None = None, clock: Clock | None = None, tokens: StatusTokens | None = None,
    ) -> None:  # fmt: skip
        self._hooks = Together(store.find)
        self._frontend = frontend
        self._limiter = limiter
        self._keys = keys
        self._clock = clock or SystemClock()
        self._tokens = tokens

    async def find(self, knock: Knock, *, active: bool = True) -> Webhook:
        """The webhook at this address. Raises `NotFound`; for one that is switched off as well, if it has to be
        `active`."""
        webhook = await self._hooks.find(knock.webhook_id) if _ID.fullmatch(knock.webhook_id) else None
        if webhook is None or (active and not webhook.active) or parameters(webhook.rules.path, knock.path) is None:
            raise NotFound("There is no such webhook, or its workflow is switched off.")
        return webhook

    async def admit(self, webhook: Webhook, knock: Knock, raw: bytes) -> Admitted:
        """Check method, rate, size and who it is, in this order, on the bytes as they came.

        Raises `MethodNotAllowed`, `RateLimited`, `PayloadTooLarge`, `Unauthenticated`, and `Unavailable` where a key
        cannot be had now.
        """
        rules = webhook.rules
        if knock.method not in rules.methods:
            raise MethodNotAllowed(rules.methods)
        left = await self._limit(webhook, knock.ip)
        if rules.max_body and len(raw) > rules.max_body:
            raise PayloadTooLarge(f"The body is larger than {rules.max_body} bytes.")
        if rules.scheme is not None:
            return Admitted(await self._signed(webhook, knock, raw), left)
        if not _authentic(rules, knock.headers):
            raise _stranger(rules)
        return Admitted(b"", left)

    async def _signed(self, webhook: Webhook, knock: Knock, raw: bytes) -> bytes:
        rules, now = webhook.rules, self._clock.now_ms() // 1000
        if self._keys is None or rules.scheme is None:
            raise Unavailable("This installation keeps no keys that signatures could be checked with.")
        try:
            fields = await self._keys.fields(webhook.workspace_id, rules.credential)
        except NotFound:
            _log.warning("The key of a webhook is gone", extra={"webhook_id": webhook.id})
            raise _stranger(rules) from None
        try:
            if rules.auth == "jwt":
                try:
                    return bearer(rules, fields, knock.headers, now)
                except UnknownKey:
                    fields = await self._keys.fields(webhook.workspace_id, rules.credential, renew=True)
                    return bearer(rules, fields, knock.headers, now)
            return verify(rules.scheme, secrets_of(fields), knock.headers, raw, now)
        except BadSignature as error:
            _log.info("A call was turned away: %s", error, extra={"webhook_id": webhook.id})
            raise _stranger(rules) from None

    async def start(self, webhook: Webhook, knock: Knock, body: Any, raw: bytes, admitted: Admitted) -> RunReply:
        """Start the run. A call that was seen before finds the run that it started then.

        Raises `InvalidInput` where the key cannot be told from the call, `Conflict` for a copy of a signed call
        that has no key of its own.
        """
        rules = webhook.rules
        trigger = trigger_data(rules, knock, body, raw)
        key, mine = dedupe_key(rules, knock.headers, trigger), False
        if not key and admitted.mark:  # the time is signed, so no sender would send these bytes again
            key, mine = f"signed:{admitted.mark.hex()}", True
        ttl = rules.dedupe_ttl or (2000 * rules.scheme.tolerance if mine and rules.scheme else 0)
        name = f"webhook:{webhook.node_id}:{key}"
        node_id, environment = trigger_of(webhook.node_id)
        request = RunRequest(
            workspace_id=webhook.workspace_id,
            workflow_id=webhook.workflow_id,
            workflow_version=webhook.workflow_version,
            trigger_node=node_id,
            trigger=trigger,
            mode="webhook",
            actor=f"webhook:{node_id}",
            idempotency_key="" if not key else f"ttl:{ttl}:{name}" if ttl else name,
            wait=rules.wait if rules.mode == "wait" else 0.0,
            environment=environment,
        )
        with acting_as(Caller(webhook.workspace_id, WEBHOOK, request.actor)):
            run = await self._frontend.run(request)
        if mine and not run.created:
            raise Conflict(
                "This signed call came before. It was done then.", details={"execution_id": run.execution_id}
            )
        return run

    def status_token(self, webhook: Webhook, execution_id: str) -> str:
        """By which the caller may ask how the run went; empty where that is not set up."""
        if self._tokens is None:
            return ""
        seen = Seen(webhook.workspace_id, execution_id, webhook.rules.mode == "wait")
        return self._tokens.issue(seen, self._clock.now_ms())

    async def status(self, token: str) -> RunReply:
        """How the run went; its result only where the webhook would have answered with it. Raises `NotFound`."""
        seen = self._tokens.read(token, self._clock.now_ms()) if self._tokens else None
        if seen is None:
            raise NotFound("There is no such run, or it is too long ago.")
        asked = DescribeRequest((seen.execution_id,), seen.workspace_id, with_state=True)
        with acting_as(Caller(seen.workspace_id, WEBHOOK, "webhook")):
            found = (await self._frontend.describe(asked)).executions
        if not found:
            raise NotFound("There is no such run, or it is too long ago.")
        run, state = found[0], decode_state(found[0].state) if found[0].state else None
        over = run.status in CLOSED
        result = state.result if state is not None and seen.answers else None
        answered = state is not None and state.answered and seen.answers
        return RunReply(run.id, closed=over, status=run.status, result=result, answered=answered, position=run.position)

    async def _limit(self, webhook: Webhook, ip: str) -> int:
        per_minute = webhook.rules.rate_limit
        if not per_minute or self._limiter is None:
            return -1
        try:
            wait, left = await self._limiter.spend(f"webhook:{webhook.id}:{ip}", per_minute / 60, per_minute)
        except Unavailable:
            return -1  # a webhook that is lost is worse than one too many
        if wait > 0:
            raise RateLimited("This webhook takes no more calls now.", details={"retry_after": wait})
        return left


def _stranger(rules: WebhookRules) -> Unauthenticated:
    words = "This call is not signed as it has to be." if rules.scheme else "This webhook needs its secret."
    return Unauthenticated(words, details={"challenge": CHALLENGES.get(rules.auth, "")})


def secrets_of(fields: Mapping[str, str]) -> list[str]:
    """The secrets that a signature may be made with: the current one, and the one before it while it is changed."""
    return [fields[name] for name in ("secret", "previous_secret") if fields.get(name)]


def trigger_data(rules: WebhookRules, knock: Knock, body: Any, raw: bytes = b"") -> dict[str, Any]:
    """What the run is given: the call without its secrets."""
    hidden = PRIVATE_HEADERS | {rules.header, rules.scheme.header if rules.scheme else ""}
    headers = {name: value for name, value in knock.headers.items() if name not in hidden}
    more: dict[str, Any] = {"params": parameters(rules.path, knock.path)} if ":" in rules.path else {}
    if rules.raw:
        more["raw"] = base64.b64encode(raw).decode()
    return {
        "method": knock.method,
        "headers": headers,
        "query": dict(knock.query),
        "body": body,
        "path": knock.path,
        "ip": knock.ip,
        **more,
    }


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

"""What tells a webhook's call from others, so that a sender may try again: as the webhook says, or as senders do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from linkflow.domain.admission import key_text
from linkflow.domain.errors import InvalidInput
from linkflow.domain.expressions import Scope, compile_value

from .hook_rules import WebhookRules
from .signatures import Scheme

_KEY = re.compile(r"[\x21-\x7e]{1,200}")

ANYBODYS = ("idempotency-key", "webhook-id", "x-github-delivery", "x-shopify-webhook-id")
"""Headers in which senders name a delivery: the same one on every attempt. The second is Standard Webhooks'."""

IN_THE_BODY = {"stripe-signature": "id", "x-slack-signature": "event_id"}
"""Senders that name it in the JSON that they sign, by the header of their signatures. Each attempt has another
signature, for the time is in it."""


def dedupe_key(rules: WebhookRules, headers: Mapping[str, str], trigger: Mapping[str, Any]) -> str:
    """Empty where nothing tells. Header names are in lower case. Raises `InvalidInput`."""
    if rules.dedupe:
        return key_text(compile_value(rules.dedupe).evaluate(Scope(trigger=trigger, input=trigger)))
    scheme, body = rules.scheme, trigger.get("body")
    for name in _headers(rules, scheme):
        if given := headers.get(name, ""):
            if not _KEY.fullmatch(given):
                raise InvalidInput(f"The header {name} has 1 to 200 visible ASCII characters.")
            return given
    if scheme and (field := IN_THE_BODY.get(scheme.header)) and isinstance(body, dict):
        named = body.get(field)
        return key_text(named) if isinstance(named, str) else ""
    return _cloud_event(headers, body, signed=bool(scheme and scheme.is_timed))


def _headers(rules: WebhookRules, scheme: Scheme | None) -> Iterable[str]:
    """Where a signature has a time, a copy of the call is refused: it must not become another call by a header that is
    not signed. What the webhook's own settings name is its owner's affair."""
    own = [name for name in (rules.dedupe_header, scheme.id_header if scheme else "") if name]
    return own if scheme and scheme.is_timed else [*own, *ANYBODYS]


def _cloud_event(headers: Mapping[str, str], body: Any, *, signed: bool) -> str:
    """Source and id together tell one event from all others (CloudEvents 1.0). Its attributes are in headers, or the
    body is the whole event."""
    source, id = headers.get("ce-source", ""), headers.get("ce-id", "")
    if headers.get("content-type", "").startswith("application/cloudevents+json") and isinstance(body, dict):
        source, id = body.get("source", ""), body.get("id", "")
    elif signed:
        return ""
    if not (isinstance(source, str) and isinstance(id, str) and source and id):
        return ""
    return key_text(f"{source} {id}")

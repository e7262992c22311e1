"""Standard Webhooks (https://www.standardwebhooks.com): the headers that sign a message, by HMAC-SHA256."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable

PREFIX = "whsec_"


class BadSecret(ValueError):
    """The text is no secret of a webhook."""


def key_of(secret: str) -> bytes:
    """The key that a secret spells: base64 behind ``whsec_``, else the text's own bytes. Raises `BadSecret`."""
    text = secret.strip()
    if not text.startswith(PREFIX):
        if not text:
            raise BadSecret("The secret is empty.")
        return text.encode()
    try:
        key = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise BadSecret(f"Behind {PREFIX} there has to be base64.") from None
    if not key:
        raise BadSecret("The secret is empty.")
    return key


def signature(key: bytes, id: str, seconds: int, body: bytes) -> str:
    """The signature of one message with one key, as the header has it."""
    said = f"{id}.{seconds}.".encode() + body
    return f"v1,{base64.b64encode(hmac.digest(key, said, hashlib.sha256)).decode()}"


def headers(secrets: Iterable[str], id: str, now_ms: int, body: bytes) -> dict[str, str]:
    """The three headers. Each secret adds a signature, so that a receiver may know the old one or the new one.

    `id` has no dot in it and stays the same when a message is sent again. Raises `BadSecret`.
    """
    seconds = now_ms // 1000
    signed = " ".join(signature(key_of(secret), id, seconds, body) for secret in secrets)
    return {"Webhook-Id": id, "Webhook-Timestamp": str(seconds), **({"Webhook-Signature": signed} if signed else {})}

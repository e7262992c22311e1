"""Signatures of webhook calls, by HMAC over the bytes as they came: who signs how, as data, and the check.

Standard Webhooks: https://www.standardwebhooks.com; the others as each service documents its own.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator, Mapping, Sequence

from msgspec import Struct

TOLERANCE = 300
"""Seconds that a signed time may be off, either way."""


class BadSignature(ValueError):
    """The call is not what its sender signed, or it is too old. The text is for the owner of the webhook alone."""


class Scheme(Struct, frozen=True, omit_defaults=True):
    """How a sender signs. `signed` is the text that is signed, with ``{body}``, ``{timestamp}`` and ``{id}``.

    The signature stands in `header`: as it is, after `prefix`; or, with `version`, as the ``version=…`` parts of a list
    (`pairs`, which then has the time as ``t=…``) or of words (``v1,…``). `key` says what the secret is: ``text``,
    ``hex``, ``base64``, or ``whsec`` (base64 behind ``whsec_``).
    """

    header: str
    signed: str = "{body}"
    algorithm: str = "sha256"  # sha1 | sha256 | sha512
    encoding: str = "hex"  # hex | base64
    prefix: str = ""
    pairs: bool = False
    words: bool = False
    version: str = ""
    timestamp_header: str = ""
    id_header: str = ""
    key: str = "text"
    tolerance: int = TOLERANCE

    @property
    def is_timed(self) -> bool:
        """Does it sign the time, so that an old call can be told?"""
        return "{timestamp}" in self.signed


PRESETS: dict[str, Scheme] = {
    "standard": Scheme(
        "webhook-signature", "{id}.{timestamp}.{body}", encoding="base64", words=True, version="v1",
        timestamp_header="webhook-timestamp", id_header="webhook-id", key="whsec",
    ),
    "stripe": Scheme("stripe-signature", "{timestamp}.{body}", pairs=True, version="v1"),
    "github": Scheme("x-hub-signature-256", prefix="sha256=", id_header="x-github-delivery"),
    "slack": Scheme(
        "x-slack-signature", "v0:{timestamp}:{body}", prefix="v0=", timestamp_header="x-slack-request-timestamp"
    ),
    "shopify": Scheme("x-shopify-hmac-sha256", encoding="base64", id_header="x-shopify-webhook-id"),
}  # fmt: skip


def verify(scheme: Scheme, secrets: Sequence[str], headers: Mapping[str, str], raw: bytes, now_s: int) -> bytes:
    """Check a call. Any one of the secrets will do, so that they can be changed one after the other.

    Header names are in lower case. Returns a mark of this very signature, by which a copy of the call is known; nothing
    where no time is signed, as calls may be alike then. Raises `BadSignature`.
    """
    given = headers.get(scheme.header, "")
    if not given:
        raise BadSignature(f"The header {scheme.header} is missing.")
    timestamp, signatures = _read(scheme, given, headers)
    if scheme.is_timed:
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) < 13):
            raise BadSignature("The time of the signature is missing, or is no number.")
        if abs(now_s - int(timestamp)) > scheme.tolerance:
            raise BadSignature(f"It was signed more than {scheme.tolerance} s from now.")
    id = headers.get(scheme.id_header, "") if scheme.id_header else ""
    said = _said(scheme, raw, timestamp, id)
    fits = False
    for key in (_key(scheme, secret) for secret in secrets):
        wanted = hmac.digest(key, said, scheme.algorithm)
        for signature in signatures:
            fits |= hmac.compare_digest(wanted, signature)  # all of them, in the same time
    if not fits:
        raise BadSignature("The signature does not fit the body and the secret.")
    return hashlib.sha256(said).digest() if scheme.is_timed else b""


def sign(scheme: Scheme, secret: str, raw: bytes, timestamp: int = 0, id: str = "") -> dict[str, str]:
    """The headers of a call that is signed so: for tests, examples and the console's "try it"."""
    said = _said(scheme, raw, str(timestamp), id)
    digest = hmac.digest(_key(scheme, secret), said, scheme.algorithm)
    text = base64.b64encode(digest).decode() if scheme.encoding == "base64" else digest.hex()
    if scheme.pairs:
        text = f"t={timestamp},{scheme.version}={text}"
    elif scheme.words:
        text = f"{scheme.version},{text}"
    headers = {scheme.header: scheme.prefix + text}
    if scheme.timestamp_header:
        headers[scheme.timestamp_header] = str(timestamp)
    if scheme.id_header and id:
        headers[scheme.id_header] = id
    return headers


def check_secret(scheme: Scheme, secret: str) -> None:
    """Raises `BadSignature` for a secret that is not what the scheme says, with which no call could be signed."""
    _key(scheme, secret)


def _said(scheme: Scheme, raw: bytes, timestamp: str, id: str) -> bytes:
    """What is signed. In one pass: what is in a value is no place for another."""
    values = {
        b"timestamp": timestamp.encode("latin-1", "replace"),
        b"id": id.encode("latin-1", "replace"),
        b"body": raw,
    }
    return re.sub(rb"\{(timestamp|id|body)\}", lambda found: values[found[1]], scheme.signed.encode())


def _read(scheme: Scheme, given: str, headers: Mapping[str, str]) -> tuple[str, list[bytes]]:
    """The signed time and the signatures, those that can be read."""
    timestamp = headers.get(scheme.timestamp_header, "").strip()
    if scheme.pairs:
        parts = [part.strip().partition("=") for part in given.split(",")]
        timestamp = next((value for name, _, value in parts if name == "t"), timestamp)
        texts = [value for name, _, value in parts if name == scheme.version]
    elif scheme.words:
        texts = [
            text for version, _, text in (word.partition(",") for word in given.split()) if version == scheme.version
        ]
    else:
        texts = [given.strip().removeprefix(scheme.prefix)] if given.strip().startswith(scheme.prefix) else []
    return timestamp, list(_decoded(scheme, texts[:16]))


def _decoded(scheme: Scheme, texts: Sequence[str]) -> Iterator[bytes]:
    for text in texts:
        try:
            yield base64.b64decode(text, validate=True) if scheme.encoding == "base64" else bytes.fromhex(text)
        except (binascii.Error, ValueError):
            continue


def _key(scheme: Scheme, secret: str) -> bytes:
    """Raises `BadSignature` for a secret that is not what the scheme says."""
    try:
        if scheme.key == "whsec":
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        if scheme.key == "base64":
            return base64.b64decode(secret, validate=True)
        return bytes.fromhex(secret) if scheme.key == "hex" else secret.encode()
    except (binascii.Error, ValueError):
        raise BadSignature(f"The webhook's own secret is not in {scheme.key}.") from None

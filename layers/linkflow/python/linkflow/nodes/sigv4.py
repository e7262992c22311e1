"""AWS Signature Version 4: the headers that sign a request, and addresses that are signed themselves."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit, urlunsplit

_PLAIN = "-_.~"
_ALGORITHM = "AWS4-HMAC-SHA256"


def canonical_url(url: str) -> str:
    """`url` with path and query spelt as they are signed, so that what is sent is what was signed."""
    parts = urlsplit(url)
    pairs = sorted(parse_qsl(parts.query, keep_blank_values=True))
    query = "&".join(f"{quote(name, safe=_PLAIN)}={quote(value, safe=_PLAIN)}" for name, value in pairs)
    path = quote(unquote(parts.path) or "/", safe="/" + _PLAIN)
    return urlunsplit((parts.scheme, parts.netloc, path, query, ""))


def signed(
    method: str, url: str, headers: Mapping[str, str], content: bytes, keys: Mapping[str, str], now_ms: int
) -> dict[str, str]:
    """Headers to add. `url` is canonical; `keys` are the fields of a credential of the kind ``aws``."""
    parts = urlsplit(url)
    at = _moment(now_ms)
    service = keys["service"]
    digest = hashlib.sha256(content).hexdigest()
    added = {"X-Amz-Date": at}
    if keys.get("session_token"):
        added["X-Amz-Security-Token"] = keys["session_token"]
    if service == "s3":
        added["X-Amz-Content-SHA256"] = digest
    named = {name.lower(): value for name, value in {**headers, **added}.items()}
    kept = {name: value for name, value in named.items() if name == "content-type" or name.startswith("x-amz-")}
    kept["host"] = parts.netloc
    lines = "".join(f"{name}:{' '.join(kept[name].split())}\n" for name in sorted(kept))
    names = ";".join(sorted(kept))
    path = parts.path if service == "s3" else quote(parts.path, safe="/" + _PLAIN)
    canonical = "\n".join((method, path, parts.query, lines, names, digest))
    credential = f"Credential={keys['access_key_id']}/{_scope(at, keys)}"
    added["Authorization"] = (
        f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={_signature(canonical, at, keys)}"
    )
    return added


def presigned(method: str, url: str, keys: Mapping[str, str], seconds: int, now_ms: int) -> str:
    """An address of S3 that lets whoever has it do this one thing, for so long."""
    at = _moment(now_ms)
    token = {"X-Amz-Security-Token": keys["session_token"]} if keys.get("session_token") else {}
    query = {
        "X-Amz-Algorithm": _ALGORITHM,
        "X-Amz-Credential": f"{keys['access_key_id']}/{_scope(at, keys)}",
        "X-Amz-Date": at,
        "X-Amz-Expires": str(seconds),
        "X-Amz-SignedHeaders": "host",
        **token,
    }
    base, _, given = url.partition("?")
    full = canonical_url(f"{base}?{'&'.join(filter(None, (given, urlencode(query))))}")
    parts = urlsplit(full)
    canonical = "\n".join((method, parts.path, parts.query, f"host:{parts.netloc}\n", "host", "UNSIGNED-PAYLOAD"))
    return f"{full}&X-Amz-Signature={_signature(canonical, at, keys)}"


def _moment(now_ms: int) -> str:
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")


def _scope(at: str, keys: Mapping[str, str]) -> str:
    return f"{at[:8]}/{keys['region']}/{keys['service']}/aws4_request"


def _signature(canonical: str, at: str, keys: Mapping[str, str]) -> str:
    text = "\n".join((_ALGORITHM, at, _scope(at, keys), hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{keys['secret_access_key']}".encode()
    for part in (at[:8], keys["region"], keys["service"], "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()

"""AWS Signature Version 4: the headers that sign a request."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote, unquote, urlsplit, urlunsplit

_PLAIN = "-_.~"


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
    at = datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    region, service = keys["region"], keys["service"]
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
    scope = f"{at[:8]}/{region}/{service}/aws4_request"
    text = "\n".join(("AWS4-HMAC-SHA256", at, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{keys['secret_access_key']}".encode()
    for part in (at[:8], region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    credential = f"Credential={keys['access_key_id']}/{scope}"
    added["Authorization"] = f"AWS4-HMAC-SHA256 {credential}, SignedHeaders={names}, Signature={signature}"
    return added

"""The rules of a webhook, as its receiver keeps them."""

from __future__ import annotations

import re
from typing import Any

from msgspec import Struct

from .signatures import Scheme

_PARAMETER = re.compile(r":([A-Za-z_][A-Za-z0-9_]{0,63})")


class WebhookRules(Struct, frozen=True, omit_defaults=True):
    """Who may call a webhook and what he is answered.

    `path` may have parameters: ``orders/:id``. `secret` is the sha256 of the token, password or header value, in hex;
    what is signed is checked with the credential `credential` by `scheme`. `wait` is seconds, for mode ``wait``;
    `status` and `body` are the fixed answer of mode ``immediate``, 0 meaning the usual one. `rate_limit` is calls a
    minute and address, 0 meaning no limit. Calls that have the same value in the header `dedupe_header`, or by the
    expression `dedupe`, are one for `dedupe_ttl` ms; 0 is for as long as the run is kept. `origins`: whose pages may
    call (CORS). `max_body` is bytes, 0 meaning the usual limit. With `raw` the run is given the bytes as well.
    """

    path: str = ""
    methods: tuple[str, ...] = ("POST",)
    auth: str = "none"  # none | header | basic | bearer | hmac | jwt
    header: str = ""
    username: str = ""
    secret: str = ""
    mode: str = "immediate"  # immediate | wait
    wait: float = 25.0
    status: int = 0
    body: Any = None
    rate_limit: int = 0
    credential: str = ""
    scheme: Scheme | None = None
    dedupe_header: str = ""
    dedupe: str = ""
    dedupe_ttl: int = 0
    origins: tuple[str, ...] = ()
    max_body: int = 0
    raw: bool = False
    issuer: str = ""
    audience: str = ""


def parameters(wanted: str, path: str) -> dict[str, str] | None:
    """The parameters in `path`, which is percent-decoded; None where it does not fit. The id alone is enough unless
    there are parameters."""
    given = path.strip("/")
    if ":" not in wanted:
        return {} if not wanted or given in ("", wanted) else None
    wanted_parts, parts = wanted.split("/"), given.split("/")
    if len(wanted_parts) != len(parts):
        return None
    found = {}
    for want, part in zip(wanted_parts, parts, strict=True):
        named = _PARAMETER.fullmatch(want)
        if named and part:
            found[named[1]] = part
        elif want != part:
            return None
    return found


def cors(rules: WebhookRules, origin: str) -> dict[str, str]:
    """The headers that let a page of this origin read the answer; none where it may not."""
    if not rules.origins or not origin or ("*" not in rules.origins and origin not in rules.origins):
        return {}
    return {
        "Access-Control-Allow-Origin": "*" if "*" in rules.origins else origin,
        "Access-Control-Expose-Headers": "Location, Retry-After, X-Execution-Id, X-Request-Id",
        "Vary": "Origin",
    }


def preflight(rules: WebhookRules, origin: str, wanted_headers: str) -> dict[str, str]:
    """The headers of the answer to a preflight (Fetch standard); none where pages of this origin may not call."""
    allowed = cors(rules, origin)
    if not allowed:
        return {}
    named = ", ".join(name.strip() for name in wanted_headers.split(",") if _HEADER.fullmatch(name.strip()))
    more = {"Access-Control-Allow-Methods": ", ".join(rules.methods), "Access-Control-Max-Age": "600"}
    return {**allowed, **more, **({"Access-Control-Allow-Headers": named} if named else {})}


_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,64}")

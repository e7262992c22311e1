"""A Google service account says who it is: a JWT that it signs, and is given a token for (RFC 7523)."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import msgspec

LIVES_S = 3600


def assertion(fields: Mapping[str, str], now_ms: int) -> str:
    """The signed JWT. `fields` are those of a ``google_service_account``. Raises `NodeFailure` ``bad_credential``."""
    from linkflow.nodes.signing import sign  # cryptography, for those who need it

    now = now_ms // 1000
    claims: dict[str, Any] = {
        "iss": fields["client_email"], "scope": fields["scope"], "aud": fields["token_url"], "iat": now,
        "exp": now + LIVES_S, **({"sub": fields["subject"]} if fields["subject"] else {}),
    }  # fmt: skip
    said = f"{_text({'alg': 'RS256', 'typ': 'JWT'})}.{_text(claims)}"
    # A key that was copied out of the JSON file may have its line breaks as two characters.
    pem = fields["private_key"].replace("\\n", "\n").encode()
    return f"{said}.{_coded(sign('rsa-sha256', pem, said.encode()))}"


def _text(value: dict[str, Any]) -> str:
    return _coded(msgspec.json.encode(value))


def _coded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

"""Reading what HTTP peers answer: bodies, failures, and when they want to be asked again."""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Mapping
from email.message import Message
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any

from linkflow.nodes.base import EgressResponse, NodeFailure

RETRYABLE = frozenset({408, 425, 429})
LONGEST_WAIT_MS = 24 * 3_600_000
EXCERPT = 1_000

_CHARSETS = (
    "utf-8",
    "utf-16",
    "utf-32",
    "ascii",
    "latin",
    "iso8859",
    "cp125",
    "gb",
    "big5",
    "shift_jis",
    "euc",
)
"""Charsets of text on the web. Python knows stranger ones, which can spell what is no text."""


def is_retryable(status: int) -> bool:
    """May the same call succeed later (RFC 9110, 15)?"""
    return status >= 500 or status in RETRYABLE


def retry_after_ms(headers: Mapping[str, str], now_ms: int) -> int:
    """Milliseconds that ``Retry-After`` asks for (seconds or a date), at most a day; 0 without one."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal() and len(text) < 10:
        wait = int(text) * 1000
    else:
        try:
            wait = round(parsedate_to_datetime(text).timestamp() * 1000) - now_ms
        except (ValueError, TypeError, OverflowError):
            wait = 0
    return max(0, min(wait, LONGEST_WAIT_MS))


def content_type(headers: Mapping[str, str]) -> tuple[str, str]:
    """Media type and charset; the charset is utf-8 unless given."""
    return _content_type(headers.get("content-type", ""))


@lru_cache(maxsize=1024)
def _content_type(header: str) -> tuple[str, str]:
    message = Message()
    message["content-type"] = header
    kind = message.get_content_type() if header else ""
    return kind, message.get_content_charset() or "utf-8"


def is_json(kind: str) -> bool:
    """Is this media type JSON, or built on it (RFC 6839)?"""
    return kind in ("application/json", "text/json") or kind.endswith("+json")


def parse_json(content: bytes) -> Any:
    """JSON, or `ValueError` (also where it nests too deeply to be read)."""
    try:
        value = json.loads(content)
        return value if content.isascii() and b"\\u" not in content else _whole(value)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(value: Any) -> Any:
    """The value without halves of surrogate pairs, which JSON can spell and UTF-8 cannot."""
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_whole(name): _whole(item) for name, item in value.items()}
    return [_whole(item) for item in value] if isinstance(value, list) else value


def text_of(response: EgressResponse) -> str:
    """The body as text; bytes outside its charset are replaced."""
    try:
        charset = codecs.lookup(content_type(response.headers)[1]).name
    except LookupError:
        charset = "utf-8"
    if not charset.startswith(_CHARSETS):
        charset = "utf-8"
    return response.content.decode(charset, "replace")


def body_of(response: EgressResponse, want: str = "auto") -> Any:
    """The body: JSON by media type, else text, else (bytes that are no text) ``{"base64": …}``. Null if empty.

    `want` ``json`` insists on JSON (`NodeFailure` ``http_bad_json``), ``text`` on text.
    """
    if want == "text":
        return text_of(response)
    if not response.content.strip():
        return None
    kind, charset = content_type(response.headers)
    if want == "json" or is_json(kind):
        try:
            return parse_json(response.content)
        except ValueError as error:
            if want == "json":
                message = f"The answer is not JSON: {error}."
                raise NodeFailure("http_bad_json", message, retryable=False, details=_details(response)) from None
    try:
        return response.content.decode(charset)
    except (UnicodeDecodeError, LookupError):
        return {"base64": base64.b64encode(response.content).decode()}


def failure(code: str, peer: str, response: EgressResponse, now_ms: int) -> NodeFailure:
    """What a status of 400 or more comes to."""
    status = response.status_code
    return NodeFailure(
        code,
        f"{peer} answered {status}.",
        retryable=is_retryable(status),
        retry_after=retry_after_ms(response.headers, now_ms),
        details=_details(response),
    )


def _details(response: EgressResponse) -> dict[str, Any]:
    return {"status": response.status_code, "body": text_of(response)[:EXCERPT]}


_LINK = re.compile(r"<([^>]*)>([^<]*)")


def next_link(header: str) -> str:
    """The address of ``rel="next"`` in a Link header (RFC 8288); empty where there is none."""
    for address, parameters in _LINK.findall(header):
        relations = re.search(r'(?:^|;)\s*rel\s*=\s*"?([^";,]+)"?', parameters, re.IGNORECASE)
        if relations and "next" in relations[1].lower().split():
            return str(address)
    return ""

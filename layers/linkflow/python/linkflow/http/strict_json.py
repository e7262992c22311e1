"""JSON from outside, read more strictly than `json.loads` does.

Refused are: what RFC 8259 does not know (NaN, Infinity), lone surrogates, numbers that no float and no 4,300 digits can
hold, nesting deeper than `MAX_DEPTH`, and the NUL character, which Postgres cannot store in text.
"""

from __future__ import annotations

from typing import Any

import msgspec

from linkflow.domain.errors import InvalidInput, Problem

MAX_DEPTH = 100


class Malformed(InvalidInput):
    """The body is not JSON at all, or not text."""

    code = "malformed_body"


def load(body: bytes) -> Any:
    """The value. Raises `Malformed` for what is no JSON, `InvalidInput` with a JSON Pointer for a NUL in a string."""
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _depth(body) > MAX_DEPTH:
        raise Malformed(f"The JSON is nested more than {MAX_DEPTH} levels deep.")
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Malformed(f"The body is not valid JSON: {_reason(error)}.") from None
    if b"\\u0000" in body and (pointer := _nul(value, "")) is not None:
        problem = Problem(pointer, "nul_character", "Remove the NUL character (U+0000).")
        raise InvalidInput("The body has a NUL character, which cannot be stored.", problems=[problem])
    return value


def _reason(error: Exception) -> str:
    return (
        "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error).removeprefix("JSON is malformed: ")
    )


def _depth(body: bytes) -> int:
    """How deep brackets nest, without those in strings. Works on bytes, so nothing recurses."""
    deepest = depth = 0
    # Outside of strings are the even parts between quotes, once escaped characters are gone.
    plain = body.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]
    for char in b"".join(plain).translate(None, delete=_NOT_BRACKETS):
        depth += 1 if char in b"[{" else -1
        deepest = max(deepest, depth)
    return deepest


_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def _nul(value: Any, pointer: str) -> str | None:
    """Where a NUL is, as a JSON Pointer (RFC 6901)."""
    if isinstance(value, str):
        return pointer if "\0" in value else None
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        if isinstance(key, str) and "\0" in key:
            return pointer or "/"
        found = _nul(inner, f"{pointer}/{escape(key)}")
        if found is not None:
            return found
    return None


def escape(part: str | int) -> str:
    """One part of a JSON Pointer."""
    return str(part).replace("~", "~0").replace("/", "~1")

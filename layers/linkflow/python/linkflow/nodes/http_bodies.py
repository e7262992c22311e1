"""Bodies of HTTP requests, and URLs with their queries."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import Any
from urllib.parse import urlencode, urlsplit, urlunsplit

import msgspec

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.fields import to_text


def with_query(url: str, query: dict[str, Any]) -> str:
    """`url` with `query` behind its own query."""
    pairs: list[tuple[str, str]] = []
    for name, value in query.items():
        pairs += [(name, to_text(item)) for item in (value if isinstance(value, list) else [value]) if item is not None]
    if not pairs:
        return url
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise NodeFailure("http_bad_request", f"This is not a URL: {error}.", retryable=False) from None
    return urlunsplit(parts._replace(query="&".join(filter(None, (parts.query, urlencode(pairs))))))


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of an address; of what is none, nothing that equals another's."""
    try:
        parts = urlsplit(url)
        return parts.scheme, parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        return "", url, None


def encode(body: Any, body_type: str) -> tuple[bytes | None, str]:
    """Body bytes and media type. A body of null sends none. Raises `NodeFailure` ``bad_body``."""
    if body is None:
        return None, ""
    kind = body_type or ("text" if isinstance(body, str) else "json")
    if kind == "json":
        return _json(body), "application/json"
    if kind == "form":
        if isinstance(body, str):
            return body.encode(), "application/x-www-form-urlencoded"
        if not isinstance(body, dict):
            raise _bad("A form body must be an object.")
        return with_query("", body)[1:].encode(), "application/x-www-form-urlencoded"
    if kind == "multipart":
        return _multipart(body)
    if kind == "binary":
        return _binary(body)
    text = str(to_text(body)).encode()
    return text, "text/plain; charset=utf-8" if kind == "text" else "application/octet-stream"


def _json(body: Any) -> bytes:
    # Text under body_type json is JSON that the author wrote by hand, if it parses; otherwise it is a JSON string.
    if isinstance(body, str):
        try:
            msgspec.json.decode(body)
            return body.encode()
        except msgspec.DecodeError:
            pass
    return msgspec.json.encode(body)


def _binary(body: Any) -> tuple[bytes, str]:
    kind = str(body.get("content_type") or "") if isinstance(body, dict) else ""
    return _bytes(body["base64"] if isinstance(body, dict) and "base64" in body else body), (
        kind or "application/octet-stream"
    )


def _bytes(text: Any) -> bytes:
    if not isinstance(text, str):
        raise _bad('Bytes are given as base64: {"base64": "…"}.')
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _bad("The bytes are no base64.") from None


def _multipart(body: Any) -> tuple[bytes, str]:
    """RFC 7578. A file is ``{filename, base64 | text, content_type}``; a list is several parts of one name."""
    if not isinstance(body, dict):
        raise _bad("A multipart body must be an object of its fields.")
    parts: list[bytes] = []
    for name, value in body.items():
        for one in value if isinstance(value, list) else [value]:
            parts += [] if one is None else [_part(str(name), one)]
    # From the content, so that every attempt sends the same bytes; not to be found in it.
    boundary = hashlib.sha256(b"".join(parts)).hexdigest()[:40]
    while any(boundary.encode() in part for part in parts):
        boundary = hashlib.sha256(boundary.encode()).hexdigest()[:40]
    mark = f"--{boundary}".encode()
    content = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts) + mark + b"--\r\n"
    return content, f"multipart/form-data; boundary={boundary}"


def _part(name: str, value: Any) -> bytes:
    about = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, dict) and ("base64" in value or "filename" in value):
        content = _bytes(value["base64"]) if "base64" in value else str(to_text(value.get("text"))).encode()
        kind = str(value.get("content_type") or "application/octet-stream")
        if any(ch in kind for ch in "\r\n\0"):
            raise _bad("`content_type` must be one line of text.")
        file = _quoted(str(value.get("filename") or "file"))
        return f'{about}; filename="{file}"\r\nContent-Type: {kind}\r\n\r\n'.encode() + content
    return f"{about}\r\n\r\n".encode() + str(to_text(value)).encode()


def _quoted(text: str) -> str:
    """As browsers escape names in a multipart body (WHATWG HTML, multipart/form-data)."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "%0D%0A").replace('"', "%22")


def _bad(text: str) -> NodeFailure:
    return NodeFailure("bad_body", text, retryable=False)

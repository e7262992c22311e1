"""Contents of files as nodes take them in and hand them on: text, JSON, or bytes in base64."""

from __future__ import annotations

import base64
import binascii
from typing import Any, Literal

import msgspec

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.replies import is_json, parse_json

Reading = Literal["auto", "text", "json", "base64"]


def encoded(content: Any, content_type: str) -> tuple[bytes, str]:
    """Bytes and media type of a content: text, ``{"base64": …}`` as HTTP nodes hand it on, or any other JSON value.

    Raises `NodeFailure` ``bad_content``.
    """
    if isinstance(content, str):
        return content.encode(), content_type or "text/plain; charset=utf-8"
    if isinstance(content, dict) and isinstance(content.get("base64"), str):
        try:
            data = base64.b64decode(content["base64"], validate=True)
        except binascii.Error:
            raise NodeFailure("bad_content", "`base64` of the content is no base64.", retryable=False) from None
        return data, content_type or str(content.get("content_type") or "") or "application/octet-stream"
    return msgspec.json.encode(content), content_type or "application/json"


def decoded(data: bytes, content_type: str, reading: Reading) -> Any:
    """The content as a node hands it on. ``auto``: JSON by its media type, else text, else ``{"base64": …}``.

    Raises `NodeFailure` ``bad_content`` for what was asked to be JSON or text and is not.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if reading == "json" or (reading == "auto" and is_json(kind)):
        try:
            return parse_json(data)
        except ValueError as error:
            if reading == "json":
                raise NodeFailure("bad_content", f"The content is no JSON: {error}.", retryable=False) from None
    if reading in ("auto", "text"):
        try:
            return data.decode()
        except UnicodeDecodeError:
            if reading == "text":
                raise NodeFailure("bad_content", "The content is no text in UTF-8.", retryable=False) from None
    return {"base64": base64.b64encode(data).decode(), "content_type": kind, "size": len(data)}

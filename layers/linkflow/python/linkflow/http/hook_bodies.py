"""Bodies of webhook calls: JSON, forms, files, text and bytes, by what their header says."""

from __future__ import annotations

import base64
import re
import zlib
from typing import Any
from urllib.parse import parse_qsl

from starlette.exceptions import HTTPException

from linkflow.domain.errors import PayloadTooLarge

from . import strict_json
from .door import is_json
from .strict_json import Malformed

MAX_FIELDS = 1000
"""Fields of a form or a query, and parts of a multipart body."""


def unpacked(raw: bytes, encoding: str, most: int) -> bytes:
    """The body without its Content-Encoding (gzip, deflate). Raises `PayloadTooLarge` where it would be larger than
    `most` bytes, `Malformed` for what is not so packed, 415 for another encoding."""
    kind = encoding.strip().lower()
    if kind in ("", "identity") or not raw:
        return raw
    if kind not in ("gzip", "x-gzip", "deflate"):
        raise HTTPException(415, "Webhooks take bodies in gzip or deflate, or as they are.")
    reader = zlib.decompressobj(47)  # gzip or zlib, as its first bytes say
    try:
        plain = reader.decompress(raw, most + 1)
    except zlib.error:
        raise Malformed(f"The body is not valid {kind}.") from None
    if len(plain) > most:
        raise PayloadTooLarge(f"The body is larger than {most} bytes when it is unpacked.")
    if not reader.eof:
        raise Malformed(f"The body is not valid {kind}: it ends too early.")
    return plain


def parsed(raw: bytes, content_type: str) -> Any:
    """JSON; a form as an object; a multipart form as an object whose files are ``{filename, content_type, size,
    base64}``; text; other bytes as ``{content_type, size, base64}``; null for nothing. Raises `Malformed`."""
    if not raw:
        return None
    if is_json(content_type):
        return strict_json.load(raw)
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return multipart(raw, content_type)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return _file(raw, kind)
    if kind == "application/x-www-form-urlencoded":
        return fields(text)
    if "\0" in text:
        return _file(raw, kind)
    return text if not kind or kind.startswith("text/") or _TEXTUAL.search(kind) else _file(raw, kind)


_TEXTUAL = re.compile(r"xml|json|yaml|javascript|csv|graphql|sql|html|^application/[a-z.+-]*text")


def _file(raw: bytes, kind: str, name: str = "") -> dict[str, Any]:
    file = {
        "content_type": kind or "application/octet-stream",
        "size": len(raw),
        "base64": base64.b64encode(raw).decode(),
    }
    return {"filename": name, **file} if name else file


def fields(text: str) -> dict[str, Any]:
    """A query or form: one value as it is, several as a list. Raises `Malformed`."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise Malformed(f"A query or form is UTF-8 and has at most {MAX_FIELDS} fields.") from None
    return _gathered(pairs)


def _gathered(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for name, value in pairs:
        if "\0" in name or (isinstance(value, str) and "\0" in value):
            raise Malformed("A query or form cannot have a NUL character.")
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def multipart(raw: bytes, content_type: str) -> dict[str, Any]:
    """A form in parts (RFC 7578). Raises `Malformed`."""
    from email.parser import BytesParser  # few calls are so
    from email.policy import HTTP

    head = f"Content-Type: {content_type}\r\nMIME-Version: 1.0\r\n\r\n".encode("latin-1", "replace")
    message = BytesParser(policy=HTTP).parsebytes(head + raw)
    if not message.is_multipart() or message.defects:
        raise Malformed("The body is no multipart form with the boundary that its header names.")
    pairs: list[tuple[str, Any]] = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if not isinstance(name, str) or part.is_multipart():
            raise Malformed("Each part of a form has a name, and holds a value or a file.")
        content = part.get_payload(decode=True)
        pairs.append(
            (name, _part(content if isinstance(content, bytes) else b"", part.get_content_type(), part.get_filename()))
        )
        if len(pairs) > MAX_FIELDS:
            raise Malformed(f"A form has at most {MAX_FIELDS} parts.")
    return _gathered(pairs)


def _part(content: bytes, kind: str, filename: str | None) -> Any:
    if filename is not None:
        name = filename.replace("\\", "/").rpartition("/")[2].replace("\0", "")[:255] or "file"
        return _file(content, kind, name)
    try:
        return content.decode()
    except UnicodeDecodeError:
        return _file(content, kind)

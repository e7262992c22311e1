"""Kinds of value that several parameter models share."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any
from urllib.parse import quote

from pydantic import BeforeValidator, Field

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


def to_text(value: Any) -> Any:
    """`value` as text: what ``{{x}}`` means where text is expected. Null is "", objects and lists are JSON."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool | int | float | dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return value


def sentence(name: str, _info: Any = None) -> str:
    """A field's title for a form: ``max_items`` is "Max items"."""
    text = name.replace("_", " ").strip()
    words = [_SPELT.get(word, word) for word in text.split()]
    return " ".join([words[0][:1].upper() + words[0][1:], *words[1:]]) if words else ""


_SPELT = {"url": "URL", "id": "ID", "html": "HTML", "tls": "TLS", "api": "API", "json": "JSON", "csv": "CSV",
          "xml": "XML", "ip": "IP", "sql": "SQL"}  # fmt: skip


def ui(widget: str = "", group: str = "", **more: Any) -> dict[str, Any]:
    """For a field's `json_schema_extra`: how a form shows it, and under which heading."""
    return {**({"widget": widget} if widget else {}), **({"group": group} if group else {}), **more}


def header_key(key: str) -> str:
    """An idempotency key as a header's value: node ids may hold any character, headers may not."""
    return quote(key, safe="/:#@,;=+!()[]~-._")


def to_list(value: Any) -> Any:
    """One value or a list of them, as a list; text is split at commas."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",") if part.strip()]
    return [] if value is None else value


def _headers(value: Any) -> Any:
    """Drops headers without a value; refuses names and values that could forge another header (RFC 9110, 5.5)."""
    if not isinstance(value, dict):
        return {} if value is None else value
    clean: dict[str, str] = {}
    for name, raw in value.items():
        if raw is None:
            continue
        text = to_text(raw)
        if not _NAME.fullmatch(str(name)):
            raise ValueError(f"{name!r} is not a header name")
        if not isinstance(text, str) or any(ch in text for ch in "\r\n\0"):
            raise ValueError(f"the value of {name} must be one line of text")
        clean[str(name)] = text
    return clean


Text = Annotated[str, BeforeValidator(to_text)]
"""Text; numbers, booleans, objects and lists from an expression become text."""

Secret = Annotated[str, BeforeValidator(to_text), Field(json_schema_extra={"format": "password", "writeOnly": True})]
"""A secret written into the config. Imported documents may have one; a credential is the better place."""

Headers = Annotated[dict[str, str], BeforeValidator(_headers)]
"""HTTP headers; one without a value is left out."""

TextList = Annotated[list[Text], BeforeValidator(to_list)]
"""A list of text, or one text with commas."""

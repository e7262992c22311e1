"""Secrets are taken out of what leaves a worker: each value as it is, and as it is usually written down.

A value is looked for as text, in JSON, in URLs and HTML, in hexadecimal, and in base64 at any offset (which is how a
Basic header has it). What is shorter than `SHORTEST` is left alone: it would be found where it is not meant.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

SHORTEST = 6
"""Characters."""
MARK = "••••••••"
LONG_LINE = 16
"""Lines of a secret (a key in PEM) that are this long are secrets of their own."""


class Redactor:
    """Knows the secrets of one node run, and takes them out of anything."""

    __slots__ = ("_bytes", "_given", "_texts")

    def __init__(self, values: Iterable[str] = ()) -> None:
        self._given: set[str] = set()
        self._texts: list[str] = []
        self._bytes: list[bytes] = []
        self.add(values)

    def __bool__(self) -> bool:
        return bool(self._texts)

    def add(self, values: Iterable[str]) -> None:
        """Know these as well."""
        fresh = {part for value in values for part in _parts(value)} - self._given
        if not fresh:
            return
        self._given |= fresh
        texts = {*self._texts, *(form for value in fresh for form in _forms(value))}
        self._texts = sorted(texts, key=len, reverse=True)  # the longest first, or its rest would stay
        self._bytes = [found for text in self._texts for found in {text.encode(), msgspec.json.encode(text)[1:-1]}]

    def has(self, data: bytes) -> bool:
        """Is there any in encoded JSON?"""
        return any(found in data for found in self._bytes)

    def text(self, text: str) -> str:
        """`text` without them."""
        for found in self._texts:
            if found in text:
                text = text.replace(found, MARK)
        return text

    def begun(self, text: str) -> int:
        """How many characters at the end of a text may be the beginning of a secret."""
        longest = len(self._texts[0]) - 1 if self._texts else 0
        for count in range(min(longest, len(text)), 0, -1):
            if any(found.startswith(text[-count:]) for found in self._texts):
                return count
        return 0

    def value(self, value: Any) -> Any:
        """A JSON value without them; names of fields too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {self.text(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool) and str(value) in self._given:
            return MARK
        return value


def _parts(value: str) -> set[str]:
    """What is to be looked for of a value."""
    text = value.strip()
    found = {text} if len(text) >= SHORTEST else set()
    if "\n" in text:
        found |= {line.strip() for line in text.split("\n") if len(line.strip()) >= LONG_LINE and "-----" not in line}
    return found


def _forms(value: str) -> set[str]:
    data = value.encode("utf-8", "surrogatepass")
    found = {value, quote(value, safe=""), quote(value), quote_plus(value), html.escape(value)}
    found |= {html.escape(value, quote=False), data.hex(), data.hex().upper(), repr(value)[1:-1]}
    escaped = msgspec.json.encode(value)[1:-1].decode()
    found |= {escaped, escaped.replace("/", "\\/"), quote(value, safe="").lower()}
    ascii_only = json.dumps(value)[1:-1]
    found |= {ascii_only, json.dumps(ascii_only)[1:-1]}
    for offset in range(3):
        found |= _in_base64(data, offset)
    return {form for form in found if len(form) >= SHORTEST}


def _in_base64(data: bytes, offset: int) -> set[str]:
    """What base64 makes of it behind `offset` other bytes, without the characters that depend on its neighbours."""
    text = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
    start, end = (0, 2, 3)[offset], len(text) - (1 if (offset + len(data)) % 3 else 0)
    core = text[start:end]
    return {core, core.replace("+", "-").replace("/", "_")} if len(core) >= SHORTEST else set()

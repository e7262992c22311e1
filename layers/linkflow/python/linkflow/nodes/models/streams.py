"""Streams of events: server-sent ones (WHATWG HTML, 9.2), just their data; and AWS's frames."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

MOST = 1024 * 1024
"""Bytes of one event."""


class Events:
    """Cuts a stream into events as its bytes come. Raises `ValueError` for one that does not end."""

    def __init__(self) -> None:
        self._left = b""
        self._data: list[str] = []

    def feed(self, data: bytes) -> Iterator[str]:
        """The data of each event that is whole."""
        lines = (self._left + data).replace(b"\r\n", b"\n").split(b"\n")
        self._left = lines.pop()
        if len(self._left) > MOST:
            raise ValueError("an event is too long")
        for line in lines:
            if not line.strip(b"\r"):
                if self._data:
                    event, self._data = "\n".join(self._data), []
                    yield event
            elif line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))


FRAMES = "application/vnd.amazon.eventstream"
_PRELUDE = 12
_KINDS = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
"""Bytes of a header's value by its type; 6 and 7 say themselves how long they are."""


class Frames:
    """Cuts AWS's event stream into events as its bytes come: ``{event type: payload}``, as JSON. Raises `ValueError`
    for what is none, or is broken."""

    def __init__(self) -> None:
        self._left = b""

    def feed(self, data: bytes) -> Iterator[str]:
        self._left += data
        while len(self._left) >= _PRELUDE:
            size, headers = (int.from_bytes(self._left[at : at + 4]) for at in (0, 4))
            if zlib.crc32(self._left[:8]) != int.from_bytes(self._left[8:12]):
                raise ValueError("this is no frame")
            if size > MOST or _PRELUDE + headers + 4 > size:
                raise ValueError("a frame is too long")
            if len(self._left) < size:
                return
            frame, self._left = self._left[:size], self._left[size:]
            if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:]):
                raise ValueError("a frame is broken")
            named = _headers(frame[_PRELUDE : _PRELUDE + headers])
            kind = named.get(":event-type") or named.get(":exception-type") or named.get(":error-code") or "unknown"
            payload = frame[_PRELUDE + headers : -4].decode("utf-8", "replace")
            yield f'{{"{kind}":{payload or "{}"}}}' if kind.isalnum() else "{}"


def _headers(data: bytes) -> dict[str, str]:
    """Names with their values, where those are text."""
    found, at = {}, 0
    while at < len(data):
        end = at + 1 + data[at]
        name, kind, at = data[at + 1 : end].decode(), data[end], end + 1
        if kind in (6, 7):
            size = int.from_bytes(data[at : at + 2])
            value, at = data[at + 2 : at + 2 + size], at + 2 + size
            found[name] = value.decode("utf-8", "replace") if kind == 7 else ""
        else:
            at += _KINDS[kind]
    return found

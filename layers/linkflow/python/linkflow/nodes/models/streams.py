"""Server-sent events (WHATWG HTML, 9.2): just their data."""

from __future__ import annotations

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

"""A bare HTTP/1.1 client on one connection: a full client costs more than the server does and would be the limit."""

from __future__ import annotations

import asyncio


class Connection:
    """One kept-open connection, one request at a time."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, path: str, body: bytes, method: str = "POST", token: str = "") -> tuple[int, bytes]:
        """Status and body. Raises `OSError` or `asyncio.IncompleteReadError` when the connection is lost."""
        if self._writer is None or self._reader is None:
            self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        who = f"Authorization: Bearer {token}\r\n" if token else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nContent-Type: application/json\r\n"
            f"{who}Content-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        answer = await self._reader.readuntil(b"\r\n\r\n")
        lower = answer.lower()
        at = lower.find(b"content-length:")
        if at < 0:
            raise OSError("the answer has no Content-Length")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0])
        data = await self._reader.readexactly(length) if length else b""
        if b"connection: close" in lower:
            self.close()
        return int(answer[9:12]), data

    def close(self) -> None:
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None

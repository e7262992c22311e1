"""A wire to Postgres that can be cut at the worst moment: after a commit, before its reply."""

from __future__ import annotations

import contextlib
import socket
import threading
from urllib.parse import urlsplit, urlunsplit

_READY = b"Z\x00\x00\x00\x05I"
"""ReadyForQuery, idle: what was sent is committed."""


class Wire:
    """A TCP proxy; `url` is the database's, through it."""

    def __init__(self, database_url: str) -> None:
        parts = urlsplit(database_url)
        self._target = (parts.hostname or "127.0.0.1", parts.port or 5432)
        self._listener = socket.create_server(("127.0.0.1", 0))
        own = f"{parts.username}:{parts.password}@127.0.0.1:{self._listener.getsockname()[1]}"
        self.url = urlunsplit(parts._replace(netloc=own))
        self._marks: tuple[bytes, ...] = ()
        self._lock = threading.Lock()
        self._sockets: list[socket.socket] = []
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_after(self, text: str) -> None:
        """Cut the connection that next sends `text` when the server has done what was asked, before it says so."""
        with self._lock:
            self._marks = (text.encode(), text.encode().hex().encode())  # bytea goes as it is, or as hex

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.close()
        for each in self._sockets:
            _shut(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            for each in (client, server):
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets += [client, server]
            doomed = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, doomed), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, doomed), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        tail = b""
        with contextlib.suppress(OSError):
            while data := client.recv(65536):
                tail = tail[-100:] + data
                with self._lock:
                    if any(mark in tail for mark in self._marks):
                        self._marks = ()
                        doomed.set()
                server.sendall(data)
        _shut(server)

    def _answer(self, client: socket.socket, server: socket.socket, doomed: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                if not doomed.is_set():
                    client.sendall(data)
                elif data.endswith(_READY):
                    self.cuts += 1
                    _shut(server)
        _shut(client)


def _shut(each: socket.socket) -> None:
    with contextlib.suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

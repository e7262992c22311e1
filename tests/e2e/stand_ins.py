"""The world outside, on loopback: a web service whose answers a test decides, and who may be held until told to go on."""

from __future__ import annotations

import contextlib
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 60.0
"""Seconds after which a held call is let go: a test that failed must not leave threads behind."""


@dataclass(frozen=True)
class Call:
    """One request that arrived. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Place:
    """What one path does. `statuses` are used up one a call, then it is `status`; `body` may be made from the call."""

    status: int = 200
    body: Any = field(default_factory=dict)
    statuses: list[int] = field(default_factory=list)
    seconds: float = 0.0
    held: threading.Event | None = None
    calls: list[Call] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def wait_for_calls(self, count: int, timeout: float = 20.0) -> None:
        """Until `count` calls have arrived here."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.calls) >= count, timeout), (
                f"{len(self.calls)} of {count} calls came within {timeout:g} s"
            )

    def hold(self) -> None:
        """Calls from now on wait until `let_go`."""
        self.held = threading.Event()

    def let_go(self) -> None:
        """Answer the calls that wait, and further ones at once."""
        held, self.held = self.held, None
        if held is not None:
            held.set()

    @contextmanager
    def _counted(self, call: Call) -> Iterator[int]:
        with self.arrived:
            self.calls.append(call)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
            status = self.statuses.pop(0) if self.statuses else self.status
            self.arrived.notify_all()
        try:
            yield status
        finally:
            with self.arrived:
                self.at_once -= 1

    def answer(self, call: Call) -> tuple[int, Any]:
        with self._counted(call) as status:
            if self.held is not None:
                self.held.wait(PATIENCE)
            time.sleep(self.seconds)
            return status, self.body(call) if callable(self.body) else self.body


class Web:
    """A web service on loopback. `web.place("/x", body=…)` says what answers there; what has no place is 404."""

    def __init__(self, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self._places: dict[str, Place] = {}
        self._server = _Server((host, 0), _handler(self._places))
        if tls is not None:
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True)
        self.address = f"{host}:{self._server.server_address[1]}"
        self._scheme = "http" if tls is None else "https"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def place(self, path: str, body: Any | Callable[[Call], Any] = None, **how: Any) -> Place:
        made = self._places[path] = Place(body={} if body is None else body, **how)
        return made

    def put(self, path: str, place: Place) -> None:
        """A place of the caller's own making."""
        self._places[path] = place

    def remove(self, path: str) -> None:
        self._places.pop(path, None)

    def url(self, path: str = "") -> str:
        return f"{self._scheme}://{self.address}{path}"

    def close(self) -> None:
        for place in self._places.values():
            place.let_go()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are killed in these tests: what their sockets say then is of no interest."""


def _handler(places: dict[str, Place]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            raw = self.rfile.read(int(self.headers.get("content-length") or 0))
            try:
                body = json.loads(raw) if raw else None
            except ValueError:
                body = raw.decode(errors="replace")
            headers = {name.lower(): value for name, value in self.headers.items()}
            place = places.get(self.path.partition("?")[0])
            status, answer = (404, {}) if place is None else place.answer(Call(self.command, self.path, headers, body))
            data = json.dumps(answer).encode()
            with contextlib.suppress(OSError):  # the caller has gone
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            return

    return Handler

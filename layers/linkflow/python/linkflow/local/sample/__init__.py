"""The sample: an order workflow, and the small web service that it calls, on loopback."""

from __future__ import annotations

import json
import threading
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from typing import Any

PLACEHOLDER = "http://127.0.0.1:8099"
ORDER = {
    "id": "A-1042",
    "customer": {"name": "Ada Lovelace", "email": "ada@example.com"},
    "items": [{"sku": "lamp", "quantity": 2, "price": 49.5}, {"sku": "desk", "quantity": 1, "price": 320}],
}


class _Stock(BaseHTTPRequestHandler):
    """Reserves what is asked for. The idempotency key makes a repeated call the same reservation."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        key = self.headers.get("Idempotency-Key", "")
        answer = json.dumps(
            {"reserved": True, "order": body.get("order"), "reservation": f"R-{zlib.crc32(key.encode()):08x}"}
        ).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        return


class SampleShop:
    """Serves the stock service in a thread; its port stays the same for a home."""

    def __init__(self, home: str | Path, host: str = "127.0.0.1") -> None:
        """`host` is where it listens: an address that workers reach."""
        self.order = ORDER
        path = Path(home) / "sample.port"
        wanted = int(path.read_text()) if path.exists() else 0
        try:
            self._server = ThreadingHTTPServer((host, wanted), _Stock)
        except OSError:
            self._server = ThreadingHTTPServer((host, 0), _Stock)
        self.address = f"{host}:{self._server.server_address[1]}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(str(self._server.server_address[1]))
        threading.Thread(target=self._server.serve_forever, name="sample", daemon=True).start()

    def workflow(self) -> dict[str, Any]:
        """The workflow, calling this service."""
        text = files("linkflow.local.sample").joinpath("order.json").read_text(encoding="utf-8")
        document: dict[str, Any] = json.loads(text.replace(PLACEHOLDER, f"http://{self.address}"))
        return document

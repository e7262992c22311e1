"""uvicorn inside our own loop: we own the signals and the stop."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import uvicorn

from linkflow.config import BadConfig


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises `BadConfig` where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise BadConfig(f"Cannot listen on {host}:{port} ({error.strerror}); choose another with --port.") from None
    made.listen(1024)
    return made


async def serve_http(app: Any, host: str, port: int, stop: asyncio.Event, sock: socket.socket | None = None) -> None:
    """Serve an ASGI app until `stop` is set, then finish what is under way."""
    config = uvicorn.Config(
        app, lifespan="off", log_level="warning", access_log=False, timeout_graceful_shutdown=5, server_header=False
    )
    server = _Server(config)

    async def watch() -> None:
        await stop.wait()
        server.should_exit = True

    watcher = asyncio.create_task(watch())
    await server.serve(sockets=[sock or listen(host, port)])
    stop.set()
    await watcher

"""LinkFlow as `linkflow up` runs it, as a process: every service, the HTTP API and both loops together.

The one addition is a gRPC door of the Frontend service, as a container deployment has it: the load generator starts
runs through it.
"""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from linkflow.bootstrap import System
from linkflow.cli.serve import run
from linkflow.cli.web import listen, serve_http
from linkflow.config import Config
from linkflow.observability import setup
from linkflow.transports.grpc_server import GrpcServer

from .children import obey, read_settings, say


async def main(settings: dict[str, Any]) -> None:
    """Serve until the parent closes our input."""
    setup("WARNING", "bench")
    socket = listen("127.0.0.1", 0)
    http = socket.getsockname()[1]
    config = msgspec.convert({**settings["config"], "public_url": f"http://127.0.0.1:{http}"}, Config)
    system, stop = System(config, "bench"), asyncio.Event()
    system.serve_all()
    grpc = GrpcServer([system.serve("frontend")])
    port = await grpc.start()
    system.loop()
    web = asyncio.create_task(serve_http(system.http_app(), "127.0.0.1", http, stop, socket))
    say({"http": http, "grpc": port})
    try:
        await obey({})
    finally:
        stop.set()
        await web
        await system.stop_loops()
        await grpc.stop(1.0)
        await system.close()


if __name__ == "__main__":
    run(main(read_settings()))

"""The load generator, a process of its own. It keeps so many calls in flight for so long and reports what came back.

Only calls that were answered within the window count, and load is there before the window opens, so that what is in the
air at its end is made up for by what was in the air at its beginning. A run counts when the Frontend reports it closed
and completed, which History says after the commit.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from linkflow.cli.serve import run
from linkflow.contracts.base import Caller, client
from linkflow.contracts.frontend import FrontendApi, RunRequest
from linkflow.transports.grpc import Grpc
from linkflow.transports.tokens import TokenSigner

from .children import obey, read_settings, say
from .http_client import Connection
from .window import Call, Window

RIGHTS = frozenset({"workflow.execute", "execution.view"})
PATIENCE = 60.0
"""Seconds that a run may take."""


class Generator:
    """Holds the connections; one method a command."""

    def __init__(self, settings: dict[str, Any]) -> None:
        signer = TokenSigner(settings["secret"])
        who = Caller(settings["workspace"], RIGHTS, "bench")
        self._workspace = settings["workspace"]
        self._frontends = {
            name: client(FrontendApi, Grpc(f"127.0.0.1:{port}", PATIENCE), signer, who)
            for name, port in settings["grpc"].items()
        }

    async def runs(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Start runs over gRPC and wait for each to close."""
        frontend = self._frontends[ask["at"]]
        request = self._request(ask["workflow"], ask["trigger"], wait=PATIENCE / 2)

        async def call() -> str:
            try:
                reply = await frontend.run(request)
            except Exception as error:
                return f"{type(error).__name__}: {error}"
            return "" if reply.closed and reply.status == "completed" else f"the run is {reply.status}"

        window = Window(ask["seconds"], ask.get("lead", 0.0), ask.get("limit", 0))
        await asyncio.gather(*(window.caller(call) for _ in range(ask["in_flight"])))
        return window.result()

    async def starts(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Start one run for each of `untils`, without waiting for its end; how long that took."""
        frontend, untils = self._frontends["linkflow"], iter(ask["untils"])
        begin = time.perf_counter()

        async def some() -> None:
            for until in untils:
                await frontend.run(self._request(ask["workflow"], {"until": until}))

        await asyncio.gather(*(some() for _ in range(ask["in_flight"])))
        return {"seconds": time.perf_counter() - begin}

    async def hooks(self, ask: dict[str, Any]) -> dict[str, Any]:
        """Ask an address, by POST if nothing else is said, over so many kept-open connections."""
        body, path, wanted = ask["body"].encode(), ask["path"], ask["status"]
        connections = [Connection("127.0.0.1", ask["port"]) for _ in range(ask["in_flight"])]

        def caller(connection: Connection) -> Call:
            async def call() -> str:
                try:
                    status, answer = await connection.ask(path, body, ask.get("method", "POST"), ask.get("token", ""))
                except (OSError, asyncio.IncompleteReadError) as error:
                    connection.close()
                    return type(error).__name__
                fits = status == wanted and ask["contains"].encode() in answer
                return "" if fits else f"HTTP {status}: {answer[:200]!r}"

            return call

        window = Window(ask["seconds"], ask.get("lead", 0.0))
        await asyncio.gather(*(window.caller(caller(connection)) for connection in connections))
        for connection in connections:
            connection.close()
        return window.result()

    def _request(self, workflow: dict[str, Any], trigger: Any, wait: float = 0.0) -> RunRequest:
        return RunRequest(
            self._workspace, workflow["id"], workflow["version"], "start", trigger, mode="api", actor="bench", wait=wait
        )


async def main(settings: dict[str, Any]) -> None:
    """Obey until the parent closes our input."""
    made = Generator(settings)
    say({"ready": True})
    await obey({"runs": made.runs, "starts": made.starts, "hooks": made.hooks})


if __name__ == "__main__":
    run(main(read_settings()))

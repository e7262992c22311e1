"""What an orchestrator asks a container, on a port of its own in plain HTTP: nothing secret is said there.

gRPC's own health service is beside it on the service's port; those who cannot show a certificate (a kubelet) ask here.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from linkflow.metrics import Collect

from .prometheus import CONTENT, exposition
from .web import serve_http

PATIENCE = 2.0
"""Seconds that a part has to answer."""

_log = logging.getLogger("linkflow.probes")


class Probed:
    """Alive as long as its loop turns; ready from `serving` on, while the stores answer, until the end begins."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[object]]], measures: Sequence[Collect] = ()) -> None:
        """`measures` are awaited before metrics are shown, to bring those up to date that are looked up."""
        self._checks = checks
        self._measures = measures
        self._stop: asyncio.Event | None = None
        self._end = asyncio.Event()

    def serving(self, stop: asyncio.Event) -> None:
        """The service listens now, and ends when `stop` is set."""
        self._stop = stop

    async def serve(self, address: str) -> None:
        """Answer at ``host:port`` until `end`."""
        host, _, port = address.rpartition(":")
        await serve_http(self, host, int(port), self._end)

    async def end(self, serving: asyncio.Task[None] | None) -> None:
        """No more answers."""
        self._end.set()
        if serving is not None:
            await asyncio.gather(serving, return_exceptions=True)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI: ``/health/live`` and ``/health/ready``, 200 or 503 with the parts that are down; ``/metrics``."""
        if scope["type"] != "http":
            return
        kind = b"application/json"
        if scope["path"] == "/metrics":
            status, kind, text = 200, CONTENT.encode(), await self._metrics()
        else:
            status, body = await self._answer(scope["path"])
            text = json.dumps(body).encode()
        headers = [(b"content-type", kind), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": text})

    async def _metrics(self) -> bytes:
        """Numbers that are asked for now; those that cannot be had keep what they were."""
        for measure in self._measures:
            try:
                async with asyncio.timeout(PATIENCE):
                    await measure()
            except Exception as error:
                _log.warning("Some metrics cannot be had now: %s", error)
        return exposition()

    async def _answer(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/health/live":
            return 200, {"status": "ok"}
        if path != "/health/ready":
            return 404, {"status": "there are /health/live, /health/ready and /metrics here"}
        if self._stop is None:
            return 503, {"status": "starting"}
        if self._stop.is_set():
            return 503, {"status": "ending"}
        answers = await asyncio.gather(*(_answers(name, check) for name, check in self._checks.items()))
        parts = {name: "ok" if fine else "down" for name, fine in zip(self._checks, answers, strict=True)}
        return (200, {"status": "ok", "checks": parts}) if all(answers) else (503, {"status": "down", "checks": parts})


async def _answers(name: str, check: Callable[[], Awaitable[object]]) -> bool:
    try:
        async with asyncio.timeout(PATIENCE):
            await check()
    except Exception as error:
        _log.warning("Not ready: %s does not answer: %s", name, error)
        return False
    return True

"""One service of a deployment, as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from linkflow import tracing
from linkflow.config import BadConfig, Config, load
from linkflow.domain.errors import LinkFlowError
from linkflow.metrics import MEASURES
from linkflow.observability import setup

from .client import say

if TYPE_CHECKING:
    from linkflow.bootstrap import System
    from linkflow.transports.otlp import Otlp

    from .probes import Probed

NEEDS = {
    "frontend": ("history", "matching"),
    "history": ("matching",),
    "matching": ("history",),
    "worker": ("history", "matching"),
    "timer": ("history",),
}
"""Whom a service calls. The API brings what it needs along, where no address says otherwise."""

GARBAGE = (10_000, 20, 50)
"""Objects more than before, and generations, after which the collector looks for cycles."""
SETTLED = 5.0
"""Seconds after which a process has imported what it needs."""


def worker(home: str, queues: tuple[str, ...]) -> int:
    """A worker with History and Matching beside it, on the stores alone, until SIGTERM or SIGINT."""
    from linkflow.local.stack import LocalStack

    try:
        config = serving(load(), queues)
        setup(config.log_level, "worker")
        with LocalStack(home, config) as stores:
            run(_work(stores))
    except (BadConfig, LinkFlowError) as error:
        say(str(error))
        return 2
    return 0


async def _work(config: Config) -> None:
    from linkflow.bootstrap import System

    system = System(config, "worker")
    stop = stop_on_signals()
    try:
        system.serve_all(("history", "matching", "worker"))
        system.loop()
        say(f"The worker serves {', '.join(config.worker_queues)}. Ctrl-C stops it.")
        await stop.wait()
    finally:
        await system.close()


def serving(config: Config, queues: tuple[str, ...]) -> Config:
    """The configuration of a worker of these queues. Raises `BadConfig` for a name that is none."""
    if not all(queue.strip() for queue in queues):
        raise BadConfig("A queue needs a name: --queue gpu.")
    return replace(config, worker_queues=tuple(dict.fromkeys(queues))) if queues else config


def serve(service: str, grpc: str, http: str, probes: str = "", queues: tuple[str, ...] = ()) -> int:
    """Serve until SIGTERM or SIGINT, then hand back what is running."""
    try:
        if queues and service != "worker":
            raise BadConfig("Only workers serve queues: linkflow serve worker --queue gpu.")
        config = serving(load(), queues)
        missing = [n for n, v in (("DATABASE_URL", config.database_url), ("REDIS_URL", config.redis_url)) if not v]
        if missing:
            raise BadConfig(f"Set {' and '.join(missing)}; `linkflow up` is for one machine.")
        lost = [f"LINKFLOW_{name.upper()}_URL" for name in NEEDS.get(service, ()) if name not in config.peers]
        if lost:
            raise BadConfig(
                f"The {service} service calls others: set {' and '.join(lost)}, such as grpc://10.0.0.5:7001."
            )
        address = address_of(grpc)
        if service != "api":
            _guarded(config, address)
        setup(config.log_level, service)
        run(_serve(config, service, address, address_of(http), probes and address_of(probes)))
    except (BadConfig, LinkFlowError) as error:
        say(str(error))
        return 2
    return 0


def address_of(text: str) -> str:
    """``host:port``; ``:7001`` means every address of this machine, as containers want it."""
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise BadConfig(f"{text!r} is no address; write HOST:PORT, such as 127.0.0.1:7001.")
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104


def _guarded(config: Config, address: str) -> None:
    """Calls that leave this machine are encrypted, and both ends know each other."""
    host = address.rpartition(":")[0].strip("[]")
    if config.tls or config.plaintext or host == "localhost" or host.startswith("127.") or host == "::1":
        return
    raise BadConfig(
        f"{address} is reached from elsewhere: set LINKFLOW_TLS to a folder of certificates (`linkflow certs make`), or"
        " LINKFLOW_PLAINTEXT=true where something else encrypts."
    )


async def _serve(config: Config, service: str, grpc: str, http: str, probes: str) -> None:
    from linkflow.bootstrap import System

    from .probes import Probed

    system = System(config, service)
    stop = stop_on_signals()
    spans = _traced(service)
    state = Probed(system.checks(), MEASURES)
    asked = asyncio.create_task(state.serve(probes)) if probes else None
    try:
        if service == "api":
            await _serve_api(system, http, stop, state)
        else:
            await _serve_grpc(system, service, grpc, stop, state)
    finally:
        await system.close()
        await state.end(asked)
        if spans is not None:
            tracing.begin(None)
            await asyncio.to_thread(spans.close)


def _traced(service: str) -> Otlp | None:
    """Send spans to the collector that the environment names, where it does."""
    from linkflow import __version__
    from linkflow.transports.otlp import Otlp, wanted

    if not wanted():
        return None
    spans = Otlp(service, __version__)
    tracing.begin(spans)
    return spans


async def _serve_api(system: System, http: str, stop: asyncio.Event, state: Probed) -> None:
    from .web import serve_http

    host, _, port = http.rpartition(":")
    system.serve_all(("frontend", "history", "matching"))
    app = system.http_app()
    state.serving(stop)
    await serve_http(app, host, int(port), stop)


async def _serve_grpc(system: System, service: str, address: str, stop: asyncio.Event, state: Probed) -> None:
    from linkflow.transports.grpc_server import GrpcServer
    from linkflow.transports.grpc_tls import identity

    server = GrpcServer([system.serve(service)], address, identity(system.config))
    bound = await server.start()
    say(f"{service} listens on {address.rpartition(':')[0]}:{bound}")
    system.loop()
    state.serving(stop)
    await stop.wait()
    await system.stop_loops()
    await server.stop()


def stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on uvloop where there is one.

    Cyclic garbage is rare here: at Python's own thresholds the collector takes 9 % of a busy process, and its pauses
    are most of the latency's tail.
    """
    gc.set_threshold(*GARBAGE)
    factory: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
    with contextlib.suppress(ImportError):
        from uvloop import new_event_loop as factory
    with asyncio.Runner(loop_factory=factory) as runner:
        # What was imported by then is never looked at again.
        runner.get_loop().call_later(SETTLED, gc.freeze)
        runner.run(work)

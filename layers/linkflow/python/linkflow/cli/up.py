"""Everything on one machine: embedded stores, all services and the API in one process."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from types import TracebackType
from typing import Any

import msgspec

from linkflow.config import BadConfig, Config, load
from linkflow.domain.errors import LinkFlowError
from linkflow.observability import setup

from .client import Api, ApiError, say
from .serve import address_of, run, stop_on_signals
from .web import listen, serve_http


class Running:
    """LinkFlow in a thread of this process, for as long as the `with` lasts. Port 0 takes a free one; `probes` is a
    ``host:port`` for /health and /metrics as every service of a deployment has them."""

    def __init__(self, home: str, host: str, port: int, allow: tuple[str, ...] = (), probes: str = "") -> None:
        self._home, self._host, self._port, self._allow, self._probes = home, host, port, allow, probes
        self._thread = threading.Thread(target=self._main, name="linkflow", daemon=True)
        self._ready = threading.Event()
        self._error: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self.url = ""

    def __enter__(self) -> Running:
        from linkflow.local.stack import LocalStack
        from linkflow.postgres.migrate import migrate_all

        self._socket = listen(self._host, self._port)
        self.url = f"http://{self._host}:{self._socket.getsockname()[1]}"
        config = load()
        setup(config.log_level if config.log_level != "INFO" else "WARNING")
        self._stack = LocalStack(self._home, config)
        started = self._stack.start()
        migrate_all(started.database_url, started.databases)
        self._config = self._local(started)
        self._thread.start()
        self._ready.wait()
        if self._error:
            self._stack.stop()
            raise self._error
        return self

    def _local(self, config: Config) -> Config:
        egress = msgspec.structs.replace(config.egress, allow=(*config.egress.allow, *self._allow))
        return msgspec.structs.replace(config, egress=egress, public_url=self.url)

    def _main(self) -> None:
        try:
            run(self._serve())
        except BaseException as error:
            self._error = error
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        from linkflow.bootstrap import System
        from linkflow.metrics import MEASURES

        from .probes import Probed

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        system = System(self._config, "up")
        state = Probed(system.checks(), MEASURES)
        asked = asyncio.create_task(state.serve(self._probes)) if self._probes else None
        system.serve_all()
        app = system.http_app()
        system.loop()
        state.serving(self._stop)
        self._ready.set()
        try:
            await serve_http(app, self._host, self._port, self._stop, self._socket)
        finally:
            await system.close()
            await state.end(asked)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop and self._stop:
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(timeout=30)
        self._stack.stop()


def up(home: str, host: str, port: int, sample: bool, once: bool, probes: str = "") -> int:
    """Start, run the sample if asked for, and serve until Ctrl-C."""
    began = time.perf_counter()
    try:
        told = probes and address_of(probes)
        from linkflow.local.sample import SampleShop

        shop = SampleShop(home) if sample else None
        allow = (shop.address,) if shop else ()
        say("Starting Postgres, Valkey and LinkFlow ...")
        with Running(home, host, port, allow, told) as running:
            api = Api(home, running.url)
            api.sign_in()
            took = time.perf_counter() - began
            say(f"LinkFlow is up after {took:.1f} s: {running.url}/console/ (API docs at {running.url}/docs)")
            say(f"Sign in as {api.account.email}; the password is in {home}/account.json")
            code = _sample(api, shop) if shop else 0
            if not once:
                say("Serving. Ctrl-C stops it.")
                run(_until_signal())
            return code if once else 0
    except (BadConfig, LinkFlowError, ApiError) as error:
        say(str(error))
        return 2
    except KeyboardInterrupt:
        return 130


async def _until_signal() -> None:
    await stop_on_signals().wait()


def _sample(api: Api, shop: Any) -> int:
    """Load the sample workflow, send it an order, and show what happens."""
    from .live import Timeline, show
    from .work import names_of

    saved = api.save_workflow(shop.workflow())
    active = api.post(f"{api.base}/workflows/{saved['id']}/activate")["workflow"]
    hook = next(t["url"] for t in active["triggers"] if t["type"] == "webhook")
    say(f"\nPOST {hook}\n{json.dumps(shop.order)}\n")
    execution = api.post(hook.removeprefix(api.url), shop.order)["execution_id"]
    timeline = Timeline(names_of(saved), f"{saved['name']}  {execution}")
    show(timeline, api.watch(execution))
    say(f"\nThe run is {timeline.status}. Its result:")
    print(json.dumps(timeline.result if timeline.status == "completed" else timeline.error, indent=2))
    say(f"Its history: {api.url}{api.base}/executions/{execution}/history")
    say(f"         or: linkflow history {execution}\n")
    return 0 if timeline.status == "completed" else 1

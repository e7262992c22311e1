"""The doors of Lambda: an event comes in, one call is made, the reply is shaped. Used by ``functions/*/handler.py``.

All work of a process runs on one long-lived event loop, because pools and locks belong to the loop they were made in.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any, TypeVar

import msgspec

from linkflow.config import load
from linkflow.contracts.base import ANY_WORKSPACE, Caller, Server
from linkflow.domain.errors import DeadlineExceeded, InvalidInput, PayloadTooLarge
from linkflow.metrics import MEASURES

from .calls import own
from .lambda_invoke import MAX_PAYLOAD
from .lambda_log import InvocationLog
from .tokens import TokenSigner
from .vigil import Vigil

Build = Callable[[str], "Awaitable[Server] | Server"]
Awake = Callable[[], "Vigil | None"]
"""What tells that this function works, once it is built; None where nobody needs to know."""

MARGIN = 0.5
"""Seconds before Lambda's own deadline at which we answer: a function killed there loses its warm environment."""
MEASURING = 2.0
ERRAND_MARGIN = 3.0
"""The same for a loop, which also has work to hand back."""

WORK = ("/api/", "/webhook", "/approve/")
"""Where the addresses begin that change something."""

_log = logging.getLogger("linkflow.transports")
_loop: asyncio.AbstractEventLoop | None = None
T = TypeVar("T")


def own_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this process; also what `asyncio.get_event_loop` gives to Mangum."""
    global _loop
    if _loop is None or _loop.is_closed():
        _loop = asyncio.new_event_loop()
    asyncio.set_event_loop(_loop)
    return _loop


class ServiceDoor:
    """A handler that serves one service.

    Events: ``{"service", "method", "token", "body"}`` is a call, answered with ``{"ok": …}`` or ``{"error": …}``.
    With `errand` anything else is the function's own work: a schedule's tick, a request to drain. Those carry no
    token: who may invoke the function is IAM's to say.
    """

    def __init__(
        self, name: str, build: Build, *, errand: str = "", seconds: float = 900.0, awake: Awake | None = None,
        measures: bool = False,
    ) -> None:  # fmt: skip
        """`build` makes the server; `errand` is the method for the function's own work, `seconds` its longest time. One
        function `measures` what is looked up rather than counted, after its errand."""
        self._measures = measures
        self._awake = awake
        self._name = name
        self._build = build
        self._errand = errand
        self._seconds = seconds
        self._log = InvocationLog(f"linkflow-{name}")
        self._loop = own_loop()
        self._server: Server | None = None
        try:
            # While Lambda initialises, the processor is fast. What fails now is tried again at the first event.
            self._loop.run_until_complete(self._ready())
        except Exception:
            _log.exception("the %s service could not be built yet", name)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """The Lambda handler. Raises only for the function's own work, so that Lambda counts it as failed."""
        with self._log.invocation(context):
            return self._serve(event, float(context.get_remaining_time_in_millis()) / 1000)

    def _serve(self, event: Any, left: float) -> dict[str, Any]:
        if isinstance(event, dict) and "service" in event:
            return self._loop.run_until_complete(self._call(event, left - MARGIN))
        if not self._errand:
            return _refusal(InvalidInput('An event of this function is {"service", "method", "token", "body"}.'))
        return self._loop.run_until_complete(self._run_errand(event, left))

    async def _call(self, event: dict[str, Any], seconds: float) -> dict[str, Any]:
        method = str(event.get("method", ""))
        try:
            async with asyncio.timeout(max(0.0, seconds)) as limit:
                server = await self._ready()
                async with self._vigil():
                    return await self._answer(server, event, method)
        except Exception as error:
            if isinstance(error, TimeoutError) and limit.expired():
                return _refusal(DeadlineExceeded(f"{self._name}.{method} ran into the function's timeout."))
            return _refusal(own(error, self._name, method))

    def _vigil(self) -> AbstractAsyncContextManager[None]:
        vigil = self._awake() if self._awake else None
        return vigil.kept() if vigil else nullcontext()

    async def _answer(self, server: Server, event: dict[str, Any], method: str) -> dict[str, Any]:
        if event["service"] != server.contract.service:
            raise InvalidInput(f"This function serves {server.contract.service}, not {event['service']}.")
        try:
            body = msgspec.json.encode(event.get("body"))
        except (TypeError, ValueError, OverflowError) as error:
            raise InvalidInput(f"Not a valid {self._name}.{method} request: {error}") from None
        answer = await server.handle_bytes(method, body, str(event.get("token", "")))
        if len(answer) > MAX_PAYLOAD - 64:
            raise PayloadTooLarge(f"A Lambda answer takes at most {MAX_PAYLOAD} bytes; this one has {len(answer)}.")
        return {"ok": msgspec.json.decode(answer)}

    async def _run_errand(self, event: Any, left: float) -> dict[str, Any]:
        server = await self._ready()
        method = server.contract.method(self._errand)
        asked = event.get(self._errand) if isinstance(event, dict) else None
        body = dict(asked) if isinstance(asked, dict) else {}
        # Half of a very short time is better than none.
        most = min(self._seconds, max(left - ERRAND_MARGIN, left / 2))
        body["seconds"] = min(float(body.get("seconds", most)), most)
        token = TokenSigner.of(load()).sign(
            server.contract.service, Caller(ANY_WORKSPACE, frozenset("*"), f"lambda:{self._name}")
        )
        async with self._vigil():
            reply = await server.handle(method.name, msgspec.convert(body, method.request), token)
        if self._measures and not getattr(reply, "rested", False):  # what is looked up may wake a database that pauses
            await _measured()
        done: dict[str, Any] = {"ok": msgspec.to_builtins(reply)}
        return done

    async def _ready(self) -> Server:
        if self._server is None:
            built = self._build(self._name)
            self._server = await built if inspect.isawaitable(built) else built
        return self._server


class HttpDoor:
    """A handler that serves an ASGI application behind an HTTP API."""

    def __init__(self, build: Callable[[], Any], *, awake: Awake | None = None) -> None:
        """`build` makes the application."""
        self._awake = awake
        from mangum import Mangum
        from mangum.adapter import DEFAULT_TEXT_MIME_TYPES

        self._log = InvocationLog("linkflow-api")
        loop = own_loop()
        # Inside the loop, since what is built may ask for the running one. Lifespan would run with every event.
        app = loop.run_until_complete(_inside(build))
        # What is no text is carried as base64; problems (RFC 9457) are text.
        text = [*DEFAULT_TEXT_MIME_TYPES, "application/problem+json", "image/svg+xml"]
        self._mangum = Mangum(app, lifespan="off", text_mime_types=text)

    def __call__(self, event: Any, context: Any) -> Any:
        """The Lambda handler."""
        with self._log.invocation(context):
            return self._serve(event, context)

    def _serve(self, event: Any, context: Any) -> Any:
        loop = own_loop()
        vigil = self._awake() if self._awake and works(event) else None
        if vigil is None or vigil.fresh:
            return self._mangum(event, context)
        loop.run_until_complete(vigil.begin())
        try:
            return self._mangum(event, context)
        finally:
            if not vigil.fresh:
                loop.run_until_complete(vigil.end())


def works(event: Any) -> bool:
    """May this call leave something for the clock to do? Not one for a page, nor those of strangers who try addresses:
    to look after them would wake a database that pauses."""
    return not isinstance(event, dict) or str(event.get("rawPath", WORK[0])).startswith(WORK)


def left(scope: Mapping[str, Any]) -> float:
    """Seconds that an HTTP call may take, by its ASGI scope as Mangum makes it."""
    return float(scope["aws.context"].get_remaining_time_in_millis()) / 1000 - MARGIN


async def _measured() -> None:
    """Numbers that cannot be had now keep what they were: a tick is not lost for them."""
    for measure in MEASURES:
        try:
            async with asyncio.timeout(MEASURING):
                await measure()
        except Exception as error:
            _log.warning("some metrics cannot be had now: %s", error)


async def _inside(build: Callable[[], T | Awaitable[T]]) -> T:
    built = build()
    return await built if inspect.isawaitable(built) else built


def _refusal(error: Exception) -> dict[str, Any]:
    failure = own(error, "", "")
    try:
        data = msgspec.to_builtins(failure.to_data())
        if len(msgspec.json.encode(data)) <= MAX_PAYLOAD - 64:
            return {"error": data}
    except (TypeError, ValueError, OverflowError):  # details that JSON cannot carry
        _log.warning("the details of %s are lost: JSON cannot carry them", failure.code)
    return {"error": {"code": failure.code, "message": failure.message[:1000]}}

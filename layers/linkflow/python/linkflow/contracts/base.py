"""How services are described: a Protocol a service, a request and a reply type a method.

Every method is ``async def name(self, request: Request) -> Reply`` over `msgspec.Struct` types, so a transport needs
one method (`Transport.call`), a client is made from the Protocol, and a server is made from the object behind it.
Who calls travels beside the request, as a signed token, and is read with `caller()`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar, cast, get_type_hints

import msgspec
from msgspec import Struct

from linkflow import tracing
from linkflow.domain.errors import Forbidden, InvalidInput, NotFound, Unauthenticated
from linkflow.metrics import RPC_ERRORS, RPC_SECONDS

ANY_WORKSPACE = "*"


class Caller(Struct, frozen=True, omit_defaults=True):
    """Who makes an internal call: a workspace (``*`` for services), what it may do, and on whose behalf."""

    workspace_id: str
    permissions: frozenset[str] = frozenset()
    actor: str = ""

    def require(self, permission: str, workspace_id: str | None = None) -> None:
        """Raises `Forbidden` without the permission, `NotFound` for another tenant's workspace."""
        if permission not in self.permissions and "*" not in self.permissions:
            raise Forbidden(f"This call needs the permission {permission}.")
        if workspace_id is not None and self.workspace_id not in (workspace_id, ANY_WORKSPACE):
            raise NotFound("There is no such workspace.")


_caller: ContextVar[Caller | None] = ContextVar("linkflow_caller", default=None)


def caller() -> Caller:
    """The caller of the request being served. Raises `Unauthenticated` outside of one."""
    found = _caller.get()
    if found is None:
        raise Unauthenticated("An internal call needs a token.")
    return found


@contextmanager
def acting_as(who: Caller) -> Iterator[None]:
    """Calls made inside go out in this caller's name (a door that authenticated somebody uses it)."""
    reset = _caller.set(who)
    try:
        yield
    finally:
        _caller.reset(reset)


class Transport(Protocol):
    """The one-method seam between services. Raises the error tree of `linkflow.domain.errors` and nothing else."""

    async def call(self, service: str, method: str, request: Struct, reply: type[Any], token: str) -> Any: ...


class Signer(Protocol):
    """Makes and checks the short-lived tokens of internal calls."""

    def sign(self, service: str, caller: Caller) -> str: ...

    def verify(self, service: str, token: str) -> Caller:
        """Raises `Unauthenticated` for a token that is forged, expired or meant for another service."""
        ...


class Method(Struct, frozen=True):
    name: str
    request: type[Struct]
    reply: type[Struct]


class Contract(Struct, frozen=True):
    """A service's name and its methods."""

    service: str
    methods: dict[str, Method]

    def method(self, name: str) -> Method:
        """Raises `NotFound` for a method that the service has not."""
        try:
            return self.methods[name]
        except KeyError:
            raise NotFound(f"The {self.service} service has no method {name}.") from None


_contracts: dict[str, Contract] = {}


def contract(protocol: type[Any]) -> Contract:
    """Read a service's contract off its Protocol; ``HistoryApi`` is the service ``history``."""
    key = f"{protocol.__module__}.{protocol.__qualname__}"
    if key not in _contracts:
        methods = {}
        for name, function in vars(protocol).items():
            if name.startswith("_") or not callable(function):
                continue
            hints = get_type_hints(function)
            methods[name] = Method(name, hints["request"], hints["return"])
        _contracts[key] = Contract(protocol.__name__.removesuffix("Api").lower(), methods)
    return _contracts[key]


T = TypeVar("T")


class _Client:
    def __init__(self, spec: Contract, transport: Transport, identity: Callable[[], str]) -> None:
        for method in spec.methods.values():
            setattr(self, method.name, self._bind(spec.service, method, transport, identity))

    @staticmethod
    def _bind(
        service: str, method: Method, transport: Transport, identity: Callable[[], str]
    ) -> Callable[[Struct], Awaitable[Struct]]:
        call, name, reply = transport.call, method.name, method.reply

        async def send(request: Struct) -> Struct:
            answer: Struct = await call(service, name, request, reply, identity())
            return answer

        return send


def client(protocol: type[T], transport: Transport, signer: Signer, default: Caller) -> T:
    """A client of a service over any transport.

    Calls made while serving a request go out as that request's caller; others as `default`.
    """
    spec = contract(protocol)

    def identity() -> str:
        return signer.sign(spec.service, _caller.get() or default)

    return cast(T, _Client(spec, transport, identity))


class Server:
    """Serves one object: checks the token, finds the method, sets the caller. Transports end here."""

    def __init__(self, protocol: type[Any], target: object, signer: Signer) -> None:
        self.contract = contract(protocol)
        self._target = target
        self._signer = signer
        self._encoder = msgspec.json.Encoder()
        self._decoders = {name: msgspec.json.Decoder(m.request) for name, m in self.contract.methods.items()}

    async def handle(self, method: str, request: Struct, token: str) -> Struct:
        """Serve one call with the request as an object."""
        who = self._signer.verify(self.contract.service, token)
        self.contract.method(method)
        reset, began, failed = _caller.set(who), time.perf_counter(), ""
        answer: Struct | None = None
        try:
            answer = await getattr(self._target, method)(request)
            return cast(Struct, answer)
        except Exception as error:
            failed = str(getattr(error, "code", "internal"))
            RPC_ERRORS.add(self.contract.service, method, failed)
            raise
        finally:
            _caller.reset(reset)
            took = time.perf_counter() - began
            RPC_SECONDS.observe(took, self.contract.service, method)
            if tracing.on():
                tracing.served(request, answer, self.contract.service, method, time.time_ns() - int(took * 1e9), failed)

    async def handle_bytes(self, method: str, request: bytes, token: str) -> bytes:
        """Serve one call with the request and the reply as JSON. Raises `InvalidInput` naming the field."""
        self._signer.verify(self.contract.service, token)  # before the body is looked at
        self.contract.method(method)
        try:
            decoded = self._decoders[method].decode(request)
        except msgspec.MsgspecError as error:
            raise InvalidInput(f"Not a valid {self.contract.service}.{method} request: {error}") from None
        return self._encoder.encode(await self.handle(method, decoded, token))

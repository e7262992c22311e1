"""The echo service behind each transport, for one suite over all of them."""

from __future__ import annotations

import asyncio
import socket
import tempfile
from pathlib import Path
from typing import Any

from linkflow.contracts.base import Caller, Server, client
from linkflow.local import certificates
from linkflow.transports.aws_lambda import AwsLambda
from linkflow.transports.grpc import Grpc
from linkflow.transports.grpc_server import GrpcServer
from linkflow.transports.grpc_tls import Identity
from linkflow.transports.in_process import InProcess
from linkflow.transports.tokens import TokenSigner
from tests.contract.echo import SECRET, Echo, EchoApi
from tests.lambda_environment import ROOT
from tests.lambda_pool import Function, LambdaPool

CALLER = Caller("w1", frozenset({"read", "write"}), "anna")


class Stand:
    """One transport with a server at its end that can be stopped and started again."""

    max_payload: int | None = None

    def __init__(self) -> None:
        self.signer = TokenSigner(SECRET)
        self._open: list[Any] = []

    def echo(self, deadline: float = 30.0, signer: TokenSigner | None = None, caller: Caller = CALLER) -> Any:
        """A client."""
        return client(EchoApi, self.transport(deadline), signer or self.signer, caller)

    def transport(self, deadline: float = 30.0) -> Any:
        transport = self._connect(deadline)
        self._open.append(transport)
        return transport

    async def close(self) -> None:
        for transport in self._open:
            await transport.close()
        await self.stop()

    async def start(self) -> None:
        raise NotImplementedError

    async def stop(self) -> None:
        raise NotImplementedError

    def _connect(self, deadline: float) -> Any:
        raise NotImplementedError


class InProcessStand(Stand):
    def __init__(self) -> None:
        super().__init__()
        self._server = Server(EchoApi, Echo(), self.signer)
        self._running = False

    async def start(self) -> None:
        self._running = True
        for transport in self._open:
            transport.add(self._server)

    async def stop(self) -> None:
        self._running = False
        for transport in self._open:
            transport.remove("echo")

    def _connect(self, deadline: float) -> InProcess:
        return InProcess([self._server] if self._running else [], deadline)


class GrpcStand(Stand):
    max_payload = 16 * 1024 * 1024

    def __init__(self) -> None:
        super().__init__()
        self.target = Echo()
        self._port = 0
        self._server: GrpcServer | None = None

    async def start(self) -> None:
        self._server = GrpcServer([Server(EchoApi, self.target, self.signer)], f"127.0.0.1:{self._port}")
        self._port = await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(0)
            self._server = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._port}"

    def _connect(self, deadline: float) -> Grpc:
        return Grpc(self.address, deadline)


class TlsStand(GrpcStand):
    """gRPC between two services with certificates of one authority."""

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.folder = Path(self._folder.name)
        certificates.make(self.folder, ("history", "worker"), {}, 1)

    async def start(self) -> None:
        server = Server(EchoApi, self.target, self.signer)
        self._server = GrpcServer([server], f"127.0.0.1:{self._port}", Identity(str(self.folder / "history")))
        self._port = await self._server.start()

    async def close(self) -> None:
        await super().close()
        self._folder.cleanup()

    def _connect(self, deadline: float) -> Grpc:
        return Grpc(self.address, deadline, Identity(str(self.folder / "worker")))


def echo_function(**changes: Any) -> Function:
    """The echo service as a Lambda function."""
    env = {"PYTHONPATH": str(ROOT), "LINKFLOW_SECRET": SECRET}
    return Function(Path(__file__).parent / "echo_function", env=env, **changes)


class LambdaStand(Stand):
    max_payload = 6 * 1024 * 1024

    def __init__(self) -> None:
        super().__init__()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.pool: LambdaPool | None = None

    async def start(self) -> None:
        self.pool = await asyncio.to_thread(LambdaPool, {"echo": echo_function()}, port=self._port)

    async def stop(self) -> None:
        pool, self.pool = self.pool, None
        if pool is not None:
            print(pool.report())
            await asyncio.to_thread(pool.close)

    def _connect(self, deadline: float) -> AwsLambda:
        return AwsLambda("echo", deadline, endpoint=f"http://127.0.0.1:{self._port}")


STANDS: dict[str, type[Stand]] = {
    "in-process": InProcessStand,
    "grpc": GrpcStand,
    "grpc-tls": TlsStand,
    "lambda": LambdaStand,
}

"""What only gRPC has: proto files, status codes, health, draining."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from importlib import import_module
from typing import Any

import grpc
import pytest

from linkflow.contracts.base import Caller, Server, client, contract
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import HistoryApi
from linkflow.contracts.matching import MatchingApi
from linkflow.contracts.timer import TimerApi
from linkflow.contracts.worker import WorkerApi
from linkflow.domain import errors
from linkflow.domain.errors import ErrorData, Problem, Unavailable
from linkflow.transports.grpc import Grpc, path
from linkflow.transports.grpc_errors import METADATA_LIMIT, TRAILER
from linkflow.transports.grpc_server import GrpcServer
from linkflow.transports.tokens import TokenSigner
from linkflow.transports.wire.call_pb2 import Answer, Call
from linkflow.transports.wire.health_pb2 import HealthCheckRequest, HealthCheckResponse
from tests.contract.echo import SECRET, Echo, EchoApi, Pause, Value
from tests.contract.stands import CALLER, GrpcStand
from tests.lambda_environment import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*")


@pytest.mark.parametrize("protocol", [HistoryApi, MatchingApi, FrontendApi, WorkerApi, TimerApi])
def test_every_contract_has_its_proto_service(protocol: type[Any]) -> None:
    spec = contract(protocol)
    module = import_module(f"linkflow.transports.wire.{spec.service}_pb2")
    (service,) = module.DESCRIPTOR.services_by_name.values()
    assert [f"/{service.full_name}/{rpc.name}" for rpc in service.methods] == [
        path(spec.service, method) for method in spec.methods
    ]
    for rpc in service.methods:
        assert (rpc.input_type.full_name, rpc.output_type.full_name) == ("linkflow.wire.Call", "linkflow.wire.Answer")


def test_the_generated_code_is_current() -> None:
    done = subprocess.run([sys.executable, "scripts/proto.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
async def stand() -> AsyncIterator[GrpcStand]:
    made = GrpcStand()
    await made.start()
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (errors.InvalidDefinition, "INVALID_ARGUMENT"),
        (errors.Unauthenticated, "UNAUTHENTICATED"),
        (errors.Forbidden, "PERMISSION_DENIED"),
        (errors.NotFound, "NOT_FOUND"),
        (errors.VersionConflict, "ABORTED"),
        (errors.RateLimited, "RESOURCE_EXHAUSTED"),
        (errors.DeadlineExceeded, "DEADLINE_EXCEEDED"),
        (errors.Unavailable, "UNAVAILABLE"),
        (errors.Internal, "INTERNAL"),
    ],
)
async def test_any_grpc_client_understands_our_errors(stand: GrpcStand, kind: Any, status: str) -> None:
    metadata = (("authorization", f"Bearer {stand.signer.sign('echo', CALLER)}"),)
    async with grpc.aio.insecure_channel(stand.address) as channel:
        rpc: Any = channel.unary_unary(path("echo", "fail"), Call.SerializeToString, Answer.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await rpc(Call(body=b'{"code":"%s","message":"why"}' % kind.code.encode()), metadata=metadata)
    assert caught.value.code().name == status
    assert caught.value.details() == "why"
    assert TRAILER in dict(caught.value.trailing_metadata())


async def test_more_problems_than_metadata_carries_are_cut_not_lost(stand: GrpcStand) -> None:
    problems = tuple(Problem(f"/nodes/{n}", "bad", "x" * 100) for n in range(METADATA_LIMIT // 100))
    with pytest.raises(errors.InvalidInput) as caught:
        await stand.echo().fail(ErrorData("invalid_input", "Much is wrong.", problems))
    assert 0 < len(caught.value.problems) < len(problems)
    assert caught.value.problems == problems[: len(caught.value.problems)]


async def test_the_server_stops_work_that_nobody_waits_for(stand: GrpcStand) -> None:
    with pytest.raises(errors.DeadlineExceeded):
        await stand.echo(deadline=0.2).pause(Pause(5.0))
    await asyncio.wait_for(stand.target.cancelled.wait(), 2)


async def test_a_server_without_the_service_says_not_found(stand: GrpcStand) -> None:
    token = stand.signer.sign("history", CALLER)
    with pytest.raises(errors.NotFound):
        await stand.transport().call("history", "start", Value(1), Value, token)


async def test_a_taken_port_is_an_error(stand: GrpcStand) -> None:
    with pytest.raises(Unavailable, match="Cannot listen"):
        await GrpcServer([], stand.address).start()


async def test_health_and_a_graceful_end() -> None:
    stop = asyncio.Event()
    server = GrpcServer([Server(EchoApi, Echo(), TokenSigner(SECRET))])
    port = await server.start()
    running = asyncio.create_task(server.run(grace=5.0, stop=stop))
    transport = Grpc(f"127.0.0.1:{port}")
    echo: Any = client(EchoApi, transport, TokenSigner(SECRET), Caller("w1"))
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        read: Any = HealthCheckResponse.FromString
        write = HealthCheckRequest.SerializeToString
        check: Any = channel.unary_unary("/grpc.health.v1.Health/Check", write, read)
        watch: Any = channel.unary_stream("/grpc.health.v1.Health/Watch", write, read)
        for name in ("", "linkflow.wire.Echo"):
            assert (await check(HealthCheckRequest(service=name))).status == HealthCheckResponse.SERVING
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await check(HealthCheckRequest(service="nothing"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        unknown = watch(HealthCheckRequest(service="nothing"))
        assert (await unknown.read()).status == HealthCheckResponse.SERVICE_UNKNOWN
        watched = watch(HealthCheckRequest())
        assert (await watched.read()).status == HealthCheckResponse.SERVING

        slow = asyncio.create_task(echo.pause(Pause(0.5)))
        await asyncio.sleep(0.2)
        stop.set()
        assert (await watched.read()).status == HealthCheckResponse.NOT_SERVING
        assert (await slow).value == 0.5
    await running
    with pytest.raises(Unavailable):
        await echo.echo(Value(1))
    await transport.close()


SERVE = """
import asyncio
from linkflow.contracts.base import Server
from linkflow.transports.grpc_server import GrpcServer
from linkflow.transports.tokens import TokenSigner
from tests.contract.echo import SECRET, Echo, EchoApi

async def main():
    server = GrpcServer([Server(EchoApi, Echo(), TokenSigner(SECRET))])
    port = await server.start()
    running = asyncio.ensure_future(server.run(grace=5.0))
    await asyncio.sleep(0)
    print(port, flush=True)
    await running

asyncio.run(main())
"""


async def test_sigterm_lets_calls_finish() -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVE, cwd=ROOT, stdout=asyncio.subprocess.PIPE, env={"PYTHONPATH": str(ROOT)}
    )
    assert process.stdout is not None
    transport = Grpc(f"127.0.0.1:{int(await process.stdout.readline())}")
    echo: Any = client(EchoApi, transport, TokenSigner(SECRET), Caller("w1"))
    slow = asyncio.create_task(echo.pause(Pause(0.6)))
    await asyncio.sleep(0.3)
    process.send_signal(signal.SIGTERM)
    assert (await slow).value == 0.6
    assert await asyncio.wait_for(process.wait(), 5) == 0
    await transport.close()

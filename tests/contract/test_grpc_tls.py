"""Mutual TLS: who is let in, whom a caller believes, and certificates that change while services run."""

from __future__ import annotations

import os
import re
import socket
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from linkflow.config import BadConfig
from linkflow.contracts.base import Server, client
from linkflow.domain.errors import Unavailable
from linkflow.local import certificates
from linkflow.transports.grpc import Grpc, path
from linkflow.transports.grpc_server import GrpcServer
from linkflow.transports.grpc_tls import Identity
from linkflow.transports.wire.call_pb2 import Answer, Call
from tests.contract.echo import EchoApi, Value
from tests.contract.stands import CALLER, TlsStand


@pytest.fixture
async def stand() -> AsyncIterator[TlsStand]:
    made = TlsStand()
    await made.start()
    yield made
    await made.close()


def calling(stand: TlsStand, transport: Grpc) -> Any:
    stand._open.append(transport)
    return client(EchoApi, transport, stand.signer, CALLER)


async def test_a_caller_without_a_certificate_is_not_let_in(stand: TlsStand) -> None:
    trusting = grpc.ssl_channel_credentials((stand.folder / "ca.crt").read_bytes())
    async with grpc.aio.secure_channel(stand.address, trusting) as channel:
        call: Any = channel.unary_unary(path("echo", "echo"), Call.SerializeToString, Answer.FromString)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call(Call(body=b"{}"), timeout=5)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_a_caller_in_plain_text_is_not_let_in(stand: TlsStand) -> None:
    with pytest.raises(Unavailable):
        await calling(stand, Grpc(stand.address, 5.0)).echo(Value(1))


async def test_a_caller_of_another_authority_is_not_let_in(stand: TlsStand, tmp_path: Path) -> None:
    certificates.make(tmp_path, ("worker",), {}, 1)
    (tmp_path / "worker" / "ca.crt").write_bytes((stand.folder / "ca.crt").read_bytes())  # it believes ours
    with pytest.raises(Unavailable):
        await calling(stand, Grpc(stand.address, 5.0, Identity(str(tmp_path / "worker")))).echo(Value(1))


async def test_a_server_of_another_authority_is_not_believed(stand: TlsStand, tmp_path: Path) -> None:
    certificates.make(tmp_path, ("worker",), {}, 1)
    with pytest.raises(Unavailable):
        await calling(stand, Grpc(stand.address, 5.0, Identity(str(tmp_path / "worker")))).echo(Value(1))


async def test_a_server_is_believed_under_its_own_names_alone(stand: TlsStand) -> None:
    for names, good in (((), False), (("127.0.0.2",), True)):
        certificates.make(stand.folder, ("history",), {"history": names}, 1)
        history, worker = (Identity(str(stand.folder / name)) for name in ("history", "worker"))
        server = GrpcServer([Server(EchoApi, stand.target, stand.signer)], "127.0.0.2:0", history)
        port = await server.start()
        try:
            echo = calling(stand, Grpc(f"127.0.0.2:{port}", 5.0, worker))
            if good:
                assert (await echo.echo(Value(1))).value == 1
            else:
                with pytest.raises(Unavailable):
                    await echo.echo(Value(1))
        finally:
            await server.stop(0)


async def test_renewed_certificates_are_taken_up_by_both_ends_without_a_restart(
    stand: TlsStand, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("linkflow.transports.grpc_stream.LIFETIME", 0.0)  # every call opens a stream
    echo = stand.echo()
    await echo.echo(Value(1))
    before = shown(stand)
    certificates.make(stand.folder, ("history", "worker"), {}, 1, renew=True)
    assert (await echo.echo(Value(2))).value == 2
    assert shown(stand) != before


async def test_a_new_authority_needs_no_restart_either(stand: TlsStand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("linkflow.transports.grpc_stream.LIFETIME", 0.0)
    echo = stand.echo()
    await echo.echo(Value(1))
    for name in ("ca.crt", "ca.key"):
        (stand.folder / name).unlink()
    certificates.make(stand.folder, ("history", "worker"), {}, 1)
    assert (await echo.echo(Value(2))).value == 2


async def test_half_of_a_renewal_is_not_shown(stand: TlsStand) -> None:
    identity = Identity(str(stand.folder / "history"))
    before = identity.now()
    (stand.folder / "history" / "tls.key").write_bytes((stand.folder / "worker" / "tls.key").read_bytes())
    assert identity.now() == before
    (stand.folder / "history" / "tls.key").unlink()
    assert identity.now() == before
    assert (await stand.echo().echo(Value(3))).value == 3


def shown(stand: TlsStand) -> bytes:
    """What the server presents to somebody who connects now."""
    host, _, port = stand.address.rpartition(":")
    context = ssl.create_default_context(cafile=str(stand.folder / "ca.crt"))
    context.load_cert_chain(stand.folder / "worker" / "tls.crt", stand.folder / "worker" / "tls.key")
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, int(port)), 5) as raw, context.wrap_socket(raw, server_hostname=host) as tls:
        found = tls.getpeercert(binary_form=True)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda own: (own / "tls.key").unlink(), "tls.key: No such file"),
        (lambda own: (own / "tls.crt").write_text("nonsense"), "tls.crt is not PEM"),
        (lambda own: (own / "tls.crt").write_text("-----BEGIN X-----"), "cannot be read"),
        (lambda own: os.replace(own.parent / "worker" / "tls.key", own / "tls.key"), "not the key of"),
    ],
)
def test_a_folder_that_is_not_complete_is_refused_at_the_start(tmp_path: Path, spoil: Any, says: str) -> None:
    certificates.make(tmp_path, ("history", "worker"), {}, 1)
    spoil(tmp_path / "history")
    with pytest.raises(BadConfig, match=re.escape(says)):
        Identity(str(tmp_path / "history"))

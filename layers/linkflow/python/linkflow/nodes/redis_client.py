"""Commands to one Redis or Valkey server, over a connection to the address that was checked.

A general client looks addresses up by itself, and lets a server send it elsewhere. Parsing is hiredis'.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from linkflow.nodes.base import Egress, NodeFailure

MOST_BYTES = 10 * 1024 * 1024
"""Of all answers together."""
Command = Sequence[str | bytes | int | float]

_BUSY = ("LOADING", "BUSY", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY", "OOM")


@dataclass(frozen=True, slots=True)
class Server:
    """Where a server is, and who asks. `authorities` are PEM; `verify` false takes any certificate."""

    host: str
    port: int
    tls: bool = False
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0
    authorities: str = ""
    verify: bool = True


def read(url: str, authorities: str = "") -> Server:
    """A server from ``redis://user:password@host:port/database``. Raises `NodeFailure` ``bad_credential``."""
    try:
        parts = urlsplit(url)
        port = parts.port or 6379
        database = int(parts.path.strip("/") or 0)
        if parts.scheme not in ("redis", "rediss", "valkey", "valkeys") or not parts.hostname or database < 0:
            raise ValueError
    except ValueError:
        text = "The address is not one like redis://user:password@host:6379/0, or rediss:// with TLS."
        raise NodeFailure("bad_credential", text, retryable=False) from None
    return Server(
        host=parts.hostname,
        port=port,
        tls=parts.scheme in ("rediss", "valkeys"),
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        authorities=authorities,
        verify=parse_qs(parts.query).get("verify") != ["false"],
    )


async def ask(server: Server, commands: Sequence[Command], egress: Egress, timeout: float) -> list[Any]:
    """The answers to `commands`, sent together; text is bytes. An error is an answer: `hiredis.ReplyError`.

    Raises `NodeFailure`: ``egress_refused``, ``redis_connect``, ``redis_timeout``, ``redis_too_large``,
    ``bad_credential``.
    """
    try:
        async with asyncio.timeout(timeout):
            return await _ask(server, commands, egress)
    except TimeoutError:
        raise NodeFailure("redis_timeout", f"{server.host} did not answer within {timeout:g} s.") from None
    except ssl.SSLCertVerificationError as error:
        text = f"The certificate of {server.host} does not verify: {error.verify_message}."
        raise NodeFailure("redis_connect", text, retryable=False) from None
    except (OSError, EOFError) as error:
        text = f"The connection to {server.host} failed: {error or type(error).__name__}."
        raise NodeFailure("redis_connect", text) from None
    except hiredis.ProtocolError:
        raise NodeFailure("redis_connect", f"{server.host} does not speak Redis.", retryable=False) from None


async def _ask(server: Server, commands: Sequence[Command], egress: Egress) -> list[Any]:
    address, port = await egress.open_address(server.host, server.port)
    name = server.host if server.tls else None  # what is dialled is the address, what TLS verifies is the name
    reader, writer = await asyncio.open_connection(address, port, ssl=_tls(server), server_hostname=name)
    try:
        hello = _hello(server)
        packed = [hiredis.pack_command(tuple(one)) for one in (*hello, *commands)]  # type: ignore[arg-type]
        writer.writelines(packed)  # the stub knows only commands of one word
        answers = await _answers(reader, len(hello) + len(commands), server.host)
    finally:
        writer.close()
    for one in answers[: len(hello)]:
        if isinstance(one, hiredis.ReplyError):
            raise refused(one)
    return answers[len(hello) :]


def _hello(server: Server) -> list[Command]:
    said: list[Command] = []
    if server.password:
        said.append(("AUTH", *([server.username] if server.username else []), server.password))
    if server.database:
        said.append(("SELECT", server.database))
    return said


async def _answers(reader: asyncio.StreamReader, wanted: int, host: str) -> list[Any]:
    parser = hiredis.Reader(protocolError=hiredis.ProtocolError, replyError=hiredis.ReplyError)
    answers: list[Any] = []
    size = 0
    while True:
        while len(answers) < wanted and (found := parser.gets()) is not False:
            answers.append(found)
        if len(answers) == wanted:
            return answers
        data = await reader.read(65_536)
        if not data:
            raise EOFError("the server closed it")
        size += len(data)
        if size > MOST_BYTES:
            text = f"{host} answers with more than {MOST_BYTES:,} bytes; ask for less at once."
            raise NodeFailure("redis_too_large", text, retryable=False)
        parser.feed(data)


def _tls(server: Server) -> ssl.SSLContext | None:
    if not server.tls:
        return None
    try:
        context = ssl.create_default_context(cadata=server.authorities or None)
    except (ssl.SSLError, ValueError):
        text = "The certificates of `ca` cannot be read: they are given in PEM."
        raise NodeFailure("bad_credential", text, retryable=False) from None
    if not server.verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def refused(error: Exception) -> NodeFailure:
    """What an error of the server comes to."""
    text = str(error)
    code = text.partition(" ")[0] if text[:1].isupper() else ""
    if code in ("WRONGPASS", "NOAUTH") or (code == "ERR" and "AUTH" in text[:40]):
        return NodeFailure("redis_auth", "The server turned the user away.", retryable=False, details={"code": code})
    if code in ("MOVED", "ASK"):
        text = "The key is on another server of a cluster: give the address of a proxy, or of one that has the key."
    return NodeFailure("redis_error", text[:500], retryable=code in _BUSY, details={"code": code})

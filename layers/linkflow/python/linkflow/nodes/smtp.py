"""One mail to one SMTP server, through a checked address."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import TYPE_CHECKING, Any

from linkflow.nodes.base import Egress, NodeFailure

if TYPE_CHECKING:
    from aiosmtplib import SMTP


@dataclass(frozen=True, slots=True)
class Server:
    """A mail server. `tls` is ``none``, ``starttls`` or ``tls``; `timeout` is seconds for the whole delivery; `token`
    is one of OAuth 2, in place of the password."""

    host: str
    port: int
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    tls: str = "none"
    ca_file: str = ""
    timeout: float = 30.0


async def send(
    server: Server, message: EmailMessage, sender: str, recipients: list[str], egress: Egress
) -> dict[str, Any]:
    """Deliver `message`; the answer is who was refused, and why, while others were accepted.

    Raises `NodeFailure`: ``egress_refused``, ``smtp_connect``, ``smtp_auth``, ``smtp_refused``, ``smtp_timeout``.
    """
    from aiosmtplib import SMTPException

    try:
        async with asyncio.timeout(server.timeout):
            sock = await _connect(server, egress)
            return await _deliver(server, sock, message, sender, recipients)
    except TimeoutError:
        raise NodeFailure("smtp_timeout", f"{server.host} did not take the mail within {server.timeout:g} s.") from None
    except SMTPException as error:
        raise _failure(server.host, error) from None
    except ssl.SSLCertVerificationError as error:
        text = f"The certificate of {server.host} does not verify: {error.verify_message}."
        raise NodeFailure("smtp_connect", text, retryable=False) from None
    except OSError as error:
        raise NodeFailure("smtp_connect", f"The connection to {server.host} failed: {error}.") from None


async def _connect(server: Server, egress: Egress) -> socket.socket:
    address, port = await egress.open_address(server.host, server.port)
    sock = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, (address, port))
    except BaseException:
        sock.close()
        raise
    return sock


async def _deliver(
    server: Server, sock: socket.socket, message: EmailMessage, sender: str, recipients: list[str]
) -> dict[str, Any]:
    from aiosmtplib import SMTP

    context = ssl.create_default_context(cafile=server.ca_file or None) if server.tls != "none" else None
    # The name is for TLS alone. The socket is the client's from here on: to close it here would free its number for
    # another connection while the event loop still watches it.
    client = SMTP(
        hostname=server.host,
        sock=sock,
        use_tls=server.tls == "tls",
        start_tls=server.tls == "starttls",
        tls_context=context,
        local_hostname=sender.rpartition("@")[2],
        timeout=server.timeout,
    )
    try:
        await client.connect()
        if server.token:
            await client.auth_xoauth2(server.username, server.token)
        elif server.username:
            await client.login(server.username, server.password)
        refused, _ = await client.send_message(message, sender=sender, recipients=recipients)
        await _goodbye(client)
    finally:
        client.close()
    return {address: f"{reply.code} {reply.message}" for address, reply in refused.items()}


async def greet(server: Server, egress: Egress) -> None:
    """Sign in and leave again. Raises `NodeFailure` as `send` does."""
    from aiosmtplib import SMTP, SMTPException

    try:
        async with asyncio.timeout(server.timeout):
            context = ssl.create_default_context() if server.tls != "none" else None
            client = SMTP(
                hostname=server.host, sock=await _connect(server, egress), use_tls=server.tls == "tls",
                start_tls=server.tls == "starttls", tls_context=context, timeout=server.timeout,
            )  # fmt: skip
            try:
                await client.connect()
                if server.username:
                    await client.login(server.username, server.password)
                await _goodbye(client)
            finally:
                client.close()
    except TimeoutError:
        raise NodeFailure("smtp_timeout", f"{server.host} did not answer within {server.timeout:g} s.") from None
    except SMTPException as error:
        raise _failure(server.host, error) from None
    except OSError as error:
        raise NodeFailure("smtp_connect", f"The connection to {server.host} failed: {error}.") from None


async def _goodbye(client: SMTP) -> None:
    from aiosmtplib import SMTPException

    # The mail is accepted; a failure now must not send it again.
    with contextlib.suppress(SMTPException, OSError):
        await client.quit(timeout=2)


def _failure(host: str, error: Exception) -> NodeFailure:
    from aiosmtplib import (
        SMTPAuthenticationError,
        SMTPRecipientsRefused,
        SMTPResponseException,
        SMTPTimeoutError,
    )

    if isinstance(error, SMTPRecipientsRefused):
        refused = {one.recipient: f"{one.code} {one.message}" for one in error.recipients}
        again = all(one.code < 500 for one in error.recipients)
        text = f"{host} refused every recipient."
        return NodeFailure("smtp_refused", text, retryable=again, details={"refused": refused})
    if isinstance(error, SMTPTimeoutError):
        return NodeFailure("smtp_timeout", f"{host} did not answer in time.")
    if isinstance(error, SMTPResponseException):
        code = "smtp_auth" if isinstance(error, SMTPAuthenticationError) else "smtp_refused"
        details = {"code": error.code, "message": str(error.message)}
        return NodeFailure(code, f"{host} answered {error.code}.", retryable=error.code < 500, details=details)
    # Without a reply code: the connection could not be made or broke, unless the server lacks what we insist on.
    lacking = "not supported" in str(error)
    return NodeFailure("smtp_connect", f"The connection to {host} failed: {error}", retryable=not lacking)

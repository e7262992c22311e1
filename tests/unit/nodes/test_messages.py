from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import codes, failing, http_peer, reply, run


class TestSlack:
    ANSWER = {"ok": True, "channel": "C1", "ts": "1.2", "message": {"text": "hi"}, "extra": 1}

    async def test_chat_post_message(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, self.ANSWER)) as peer:
            secrets = {"slack": {"token": "xoxb-1", "base_url": f"{peer.url}/api/"}}
            config = {"channel": "#general", "message": "hi", "thread_ts": "1.0"}
            outcome = await run("slack", config, egress=egress, connections=secrets)
        assert outcome.output == {"ok": True, "channel": "C1", "ts": "1.2", "message": {"text": "hi"}}
        [request] = peer.requests
        assert (request.path, request.headers["authorization"]) == ("/api/chat.postMessage", "Bearer xoxb-1")
        assert request.json() == {"channel": "#general", "text": "hi", "thread_ts": "1.0"}

    async def test_the_credential_comes_before_the_connection(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, self.ANSWER)) as peer:
            for slot in ("slack", "default"):
                mine = {slot: {"token": "mine", "base_url": peer.url}}
                await run(
                    "slack", {"channel": "c", "text": "x"}, egress=egress, credentials=mine,
                    connections={"slack": {"token": "other", "base_url": "http://127.0.0.1:1"}},
                )  # fmt: skip
        assert {request.headers["authorization"] for request in peer.requests} == {"Bearer mine"}

    async def test_webhook(self, egress: EgressClient):
        async with http_peer(lambda _: reply(200, b"ok")) as peer:
            secrets = {"slack": {"webhook_url": f"{peer.url}/services/x"}}
            outcome = await run("slack", {"text": "hi"}, egress=egress, credentials=secrets)
        assert outcome.output == {"ok": True}
        assert "authorization" not in peer.requests[0].headers

    @pytest.mark.parametrize(
        ("answer", "code", "retryable", "wait"),
        [
            (reply(200, {"ok": False, "error": "channel_not_found"}), "slack_error", False, 0),
            (reply(200, {"ok": False, "error": "ratelimited"}), "slack_rate_limited", True, 0),
            (reply(429, {"ok": False}, {"Retry-After": "30"}), "slack_rate_limited", True, 30_000),
            (reply(503, b""), "slack_error", True, 0),
            (reply(200, b"<html>"), "slack_error", True, 0),
            (reply(302, b"", {"Location": "http://127.0.0.1/"}), "slack_error", False, 0),
        ],
    )
    async def test_refusals(self, egress: EgressClient, answer: bytes, code: str, retryable: bool, wait: int):
        async with http_peer(lambda _: answer) as peer:
            secrets = {"slack": {"token": "t", "base_url": peer.url}}
            call = run("slack", {"channel": "c", "text": "x"}, egress=egress, credentials=secrets)
            failure = await failing(call)
        assert (failure.error.code, failure.error.retryable, failure.retry_after) == (code, retryable, wait)
        assert "Bearer" not in str(failure.error)

    async def test_what_is_missing(self, egress: EgressClient):
        assert codes("slack", {"channel": "c"}) == [("", "invalid_value")]
        assert (await failing(run("slack", {"text": "x"}, egress=egress))).error.code == "no_credential"
        secrets = {"slack": {"token": "t"}}
        failure = await failing(run("slack", {"text": "x"}, egress=egress, credentials=secrets))
        assert failure.error.code == "slack_no_channel"


class Mailbox:
    """An SMTP server's handler that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[tuple[str, list[str], Message]] = []
        self.raw: list[bytes] = []
        self.refuse: dict[str, str] = {}
        self.reply = "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.reply.startswith("250"):
            mail = message_from_bytes(envelope.content, policy=default)
            self.raw.append(envelope.content)
            self.mails.append((envelope.mail_from, envelope.rcpt_tos, mail))
        return self.reply


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"user", b"pass")
    return AuthResult(success=good, handled=good)


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[dict[str, Any]]:
    """A connection to a plain server."""
    controller = Controller(mailbox, hostname="127.0.0.1", port=0, authenticator=authenticate, auth_require_tls=False)
    yield from serve(controller, {"host": "127.0.0.1", "from": "LinkFlow <flow@example.com>"})


@pytest.fixture
def authority(tmp_path: Path) -> tuple[str, ssl.SSLContext]:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("mail.example").configure_cert(context)
    return str(tmp_path / "ca.pem"), context


def serve(controller: Controller, connection: dict[str, Any]) -> Iterator[dict[str, Any]]:
    # The controller checks itself on its configured port, so that port cannot be 0.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        controller.port = probe.getsockname()[1]
    controller.start()
    try:
        yield {**connection, "port": controller.port}
    finally:
        controller.stop()


MAIL = {"to": "a@example.com", "subject": "Hi", "body": "Hello\n"}


class TestEmail:
    async def test_the_example(self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
        config = {"to": "admin@example.com", "subject": "Alert", "body": "Something happened."}
        outcome = await run("email", config, egress=egress, connections={"smtp": smtp})
        [(sender, recipients, mail)] = mailbox.mails
        assert (sender, recipients) == ("flow@example.com", ["admin@example.com"])
        assert (mail["From"], mail["To"], mail["Subject"]) == (
            "LinkFlow <flow@example.com>",
            "admin@example.com",
            "Alert",
        )
        assert mail.get_content().strip() == "Something happened."
        assert outcome.output == {
            "success": True, "message_id": mail["Message-ID"], "recipients": ["admin@example.com"], "refused": {},
        }  # fmt: skip

    async def test_all_fields(self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
        config = {
            "to": ["a@example.com", "Bé <b@example.com>"],
            "cc": "c@example.com, d@example.com",
            "bcc": "secret@example.com",
            "subject": "Grüße\r\nBcc: evil@example.com",
            "body": "text ü",
            "html": "<b>html</b>",
            "reply_to": "r@example.com",
            "from": "me@example.com",
        }
        outcome = await run("email", config, egress=egress, credentials={"smtp": smtp})
        [(sender, recipients, mail)] = mailbox.mails
        assert sender == "me@example.com"
        everyone = ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "secret@example.com"]
        assert recipients == everyone == outcome.output["recipients"]
        assert mail["Subject"] == "Grüße Bcc: evil@example.com"
        assert (mail["Bcc"], mail["Reply-To"]) == (None, "r@example.com")
        assert [part.get_content_type() for part in mail.walk()] == ["multipart/alternative", "text/plain", "text/html"]
        assert mail.get_body(("plain",)).get_content().strip() == "text ü"

    async def test_a_retry_has_the_same_id(self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
        for key in ("one", "one", "two"):
            await run("email", MAIL, egress=egress, connections={"smtp": smtp}, idempotency_key=key)
        first, second, third = (mail["Message-ID"] for _, _, mail in mailbox.mails)
        assert first == second != third

    @pytest.mark.parametrize(
        "fields",
        [
            {"to": "a@example.com\r\nBcc: evil@example.com"}, {"to": "not an address"}, {"to": "a@b@c"}, {"to": " , "},
            {"from": "x@example.com\nX-Evil: 1"}, {"reply_to": "r@example.com\r\n\r\nbody"}, {"cc": "\0@example.com"},
            {"from": "a@example.com, b@example.com"}, {"to": "\"x\r\nEvil: 1\" <a@example.com>"},
        ],
    )  # fmt: skip
    async def test_nothing_forges_a_header(
        self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any], fields: dict[str, str]
    ):
        from pydantic import ValidationError

        with pytest.raises((NodeFailure, ValidationError)):
            await run("email", {**MAIL, **fields}, egress=egress, connections={"smtp": smtp})
        assert mailbox.mails == []

    async def test_login(self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
        good = {**smtp, "username": "user", "password": "pass"}
        await run("email", MAIL, egress=egress, credentials={"default": good})
        assert len(mailbox.mails) == 1
        failure = await failing(run("email", MAIL, egress=egress, credentials={"smtp": {**good, "password": "wrong"}}))
        assert (failure.error.code, failure.error.retryable) == ("smtp_auth", False)
        assert "wrong" not in str(failure.error)

    @pytest.mark.parametrize(
        ("mode", "host"), [("starttls", "mail.example"), ("tls", "mail.example"), ("tls", "other.example")]
    )
    async def test_tls_verifies_the_name(
        self, mailbox: Mailbox, authority: tuple[str, ssl.SSLContext], mode: str, host: str
    ):
        ca_file, context = authority
        settings = {"ssl_context": context} if mode == "tls" else {"tls_context": context, "require_starttls": True}
        controller = Controller(mailbox, hostname="127.0.0.1", port=0, server_hostname="mail.example", **settings)
        for smtp in serve(
            TlsProbe.of(controller) if mode == "tls" else controller, {"from": "f@example.com", "tls": mode}
        ):
            pinned = Egress(resolve={f"{host}:{smtp['port']}": f"127.0.0.1:{smtp['port']}"})
            egress = EgressClient(pinned)
            call = run("email", MAIL, egress=egress, connections={"smtp": {**smtp, "host": host, "ca_file": ca_file}})
            if host == "mail.example":
                await call
                assert len(mailbox.mails) == 1
            else:
                failure = await failing(call)
                assert (failure.error.code, mailbox.mails) == ("smtp_connect", [])
            # A credential is its author's, and must not make the worker open files.
            mine = {"smtp": {**smtp, "host": host, "ca_file": ca_file}}
            assert (await failing(run("email", MAIL, egress=egress, credentials=mine))).error.code == "smtp_connect"

    async def test_refusals(self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
        async def send(**fields: Any) -> Any:
            return await run("email", {**MAIL, **fields}, egress=egress, connections={"smtp": smtp})

        mailbox.refuse = {"no@example.com": "550 no such user"}
        output = (await send(to="a@example.com,no@example.com")).output
        assert output["recipients"] == ["a@example.com"]
        assert output["refused"] == {"no@example.com": "550 no such user"}
        failure = await failing(send(to="no@example.com"))
        assert (failure.error.code, failure.error.retryable) == ("smtp_refused", False)
        mailbox.refuse = {"a@example.com": "450 try later"}
        assert (await failing(send())).error.retryable
        mailbox.refuse, mailbox.reply = {}, "451 try later"
        assert (await failing(send())).error.retryable
        mailbox.reply = "554 spam"
        failure = await failing(send())
        assert (failure.error.code, failure.error.retryable) == ("smtp_refused", False)

    async def test_the_address_is_checked(self, mailbox: Mailbox, smtp: dict[str, Any]):
        closed = EgressClient()
        for where in ({"connections": {"smtp": smtp}}, {"credentials": {"smtp": smtp}}):
            assert (await failing(run("email", MAIL, egress=closed, **where))).error.code == "egress_refused"
        config = {**MAIL, "host": "127.0.0.1", "port": smtp["port"]}
        assert (
            await failing(run("email", {**config, "from": "a@example.com"}, egress=closed))
        ).error.code == "egress_refused"

    async def test_a_server_in_the_config_gets_no_other_servers_secrets(
        self, egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]
    ):
        other = {"host": "mail.example", "username": "user", "password": "pass", "from": "x@example.com"}
        config = {**MAIL, "host": smtp["host"], "port": smtp["port"], "from": "me@example.com"}
        await run("email", config, egress=egress, connections={"smtp": other})
        assert mailbox.mails[0][0] == "me@example.com"
        assert (await failing(run("email", MAIL, egress=egress))).error.code == "no_credential"

    async def test_nobody_there(self, egress: EgressClient):
        nobody = {"host": "127.0.0.1", "port": 1, "from": "a@example.com"}
        failure = await failing(run("email", MAIL, egress=egress, connections={"smtp": nobody}))
        assert (failure.error.code, failure.error.retryable) == ("smtp_connect", True)


class TlsProbe:
    """aiosmtpd's controller calls its own port to see whether it is up, and would verify our certificate."""

    @staticmethod
    def of(controller: Controller) -> Controller:
        def knock() -> None:
            socket.create_connection((controller.hostname, controller.port)).close()

        controller._trigger_server = knock
        return controller

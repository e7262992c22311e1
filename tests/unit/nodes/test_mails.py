"""Mails beyond plain ones: names, files, pictures, headers."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from email.message import Message
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.drawers import Room
from linkflow.local.drawer import MemoryFiles
from linkflow.local.trying import FixedClock
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.mails import addresses
from linkflow.services.worker.filing import WorkspaceFiles
from tests.unit.nodes.peers import codes, failing, http_peer, reply, run
from tests.unit.nodes.test_messages import Mailbox, serve

GIF = base64.b64encode(b"GIF89a\x01\x00").decode()


@pytest.fixture(scope="module")
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture(scope="module")
def smtp(mailbox: Mailbox) -> Iterator[dict[str, Any]]:
    controller = Controller(mailbox, hostname="127.0.0.1", port=0)
    yield from serve(controller, {"host": "127.0.0.1", "from": "LinkFlow <flow@example.com>"})


async def sent(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any], **config: Any) -> tuple[Any, Message]:
    """The output, and the mail as it came."""
    mailbox.mails.clear()
    config = {"to": "a@example.com", "subject": "Hi", "body": "Hello", **config}
    outcome = await run("email", config, egress=egress, connections={"smtp": smtp})
    [(_, recipients, mail)] = mailbox.mails
    assert recipients == outcome.output["recipients"]
    return outcome.output, mail


def shape(mail: Message) -> Any:
    """Content types, as they stand within one another."""
    parts = mail.get_payload()
    return {mail.get_content_type(): list(map(shape, parts))} if isinstance(parts, list) else mail.get_content_type()


async def test_names(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    to = [
        '"Doe, Jane" <jane@example.com>, Bob (Sales) <bob@example.com>',
        {"name": 'A "B" C', "email": "c@example.com"},
    ]
    output, mail = await sent(
        egress, mailbox, smtp, to=to, cc="Jörg Müller <jm@example.com>; x@bücher.example", reply_to=["r1@example.com", "R <r2@example.com>"]
    )  # fmt: skip
    assert output["recipients"] == [
        "jane@example.com", "bob@example.com", "c@example.com", "jm@example.com", "x@xn--bcher-kva.example",
    ]  # fmt: skip
    assert [(one.display_name, one.addr_spec) for one in mail["To"].addresses] == [
        ("Doe, Jane", "jane@example.com"), ("Bob (Sales)", "bob@example.com"), ('A "B" C', "c@example.com"),
    ]  # fmt: skip
    assert mail["Cc"].addresses[0].display_name == "Jörg Müller"
    assert [one.addr_spec for one in mail["Reply-To"].addresses] == ["r1@example.com", "r2@example.com"]


async def test_copies_alone(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    output, mail = await sent(
        egress, mailbox, smtp, to="{{ none }}".replace("{{ none }}", "b@example.com"), bcc="c@example.com"
    )
    assert (output["recipients"], mail["Bcc"]) == (["b@example.com", "c@example.com"], None)


async def test_files_and_pictures(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    files = [
        {"filename": "logo.gif", "base64": GIF, "cid": "logo"},
        {"filename": "C:\\tmp\\Bericht ü.csv", "text": "a;ü\n", "size": 5},
        {"filename": "old.eml", "text": "Subject: x\n\ny", "content_type": "message/rfc822"},
    ]
    _, mail = await sent(egress, mailbox, smtp, body_html="<img src='cid:logo'>", attachments=files)
    assert shape(mail) == {"multipart/mixed": [
        {"multipart/alternative": ["text/plain", {"multipart/related": ["text/html", "image/gif"]}]},
        "text/csv", "application/octet-stream",
    ]}  # fmt: skip
    picture = next(part for part in mail.walk() if part.get_content_type() == "image/gif")
    assert (picture["Content-ID"], picture.get_content_disposition()) == ("<logo>", "inline")
    table, other = list(mail.iter_attachments())
    assert (table.get_filename(), table.get_payload(decode=True)) == ("Bericht ü.csv", "a;ü\n".encode())
    assert other.get_payload(decode=True) == b"Subject: x\n\ny"
    _, mail = await sent(egress, mailbox, smtp, body_html="<b>x</b>", attachments=files[0])
    _, alone = await sent(egress, mailbox, smtp, attachments=files[0])  # nobody shows it: it is a file
    assert shape(alone) == {"multipart/mixed": ["text/plain", "image/gif"]}


async def test_a_file_of_an_http_answer(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    handed_on = {"base64": GIF, "content_type": "image/gif", "size": 8, "filename": "a.gif"}
    _, mail = await sent(egress, mailbox, smtp, attachments=handed_on)
    [file] = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type()) == ("a.gif", "image/gif")
    stored = [
        {"filename": "a.txt", "content": "ü"}, {"filename": "b.json", "content": {"a": 1}},
        {"filename": "c", "content": {"base64": GIF, "content_type": "image/gif", "size": 8}},
    ]  # fmt: skip
    _, mail = await sent(egress, mailbox, smtp, attachments=stored)
    assert [(one.get_content_type(), one.get_payload(decode=True)) for one in mail.iter_attachments()] == [
        ("text/plain", "ü".encode()), ("application/json", b'{"a":1}'), ("image/gif", base64.b64decode(GIF)),
    ]  # fmt: skip


async def test_headers(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    link = f"<https://example.com/{'x' * 120}>"
    _, mail = await sent(
        egress, mailbox, smtp, headers={"List-Unsubscribe": link, "X-Order": 7}, in_reply_to="<a@x.example> <b@x.example>",
        priority="high",
    )  # fmt: skip
    assert (mail["List-Unsubscribe"], mail["X-Order"], mail["In-Reply-To"]) == (link, "7", "<b@x.example>")
    assert f"List-Unsubscribe: {link}\r\n".encode() in mailbox.raw[-1], "as it is, not in encoded words"
    assert (mail["References"], mail["X-Priority"]) == ("<a@x.example> <b@x.example>", "1")


@pytest.mark.parametrize(
    ("config", "code"),
    [
        ({"headers": {"Bcc": "evil@example.com"}}, "email_invalid"),
        ({"headers": {"content-type": "text/html"}}, "email_invalid"),
        ({"in_reply_to": "no id"}, "email_invalid"),
        ({"to": "Ada <ada@example.com> <evil@example.com>, x"}, "email_invalid"),
        ({"to": "a@example.com <"}, "email_invalid"),
        ({"attachments": {"filename": "a", "base64": "%%%"}}, "bad_file"),
        ({"attachments": {"filename": "a", "text": "x", "content_type": "text/html\r\nX-Evil: 1"}}, "bad_file"),
        ({"attachments": {"filename": "a", "text": "x", "cid": "a\r\nX-Evil: 1"}, "body_html": "x"}, "email_invalid"),
    ],
)
async def test_what_no_mail_can_have(
    egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any], config: dict[str, Any], code: str
):
    mailbox.mails.clear()
    config = {"to": "a@example.com", "body": "x", **config}
    failure = await failing(run("email", config, egress=egress, connections={"smtp": smtp}))
    assert (failure.error.code, failure.error.retryable, mailbox.mails) == (code, False, [])


def test_bad_configs():
    assert codes("email", {"to": "a@example.com", "body": "x", "attachments": [{"filename": "a"}]}) == [
        ("/attachments/0", "invalid_value")
    ]
    assert codes("email", {"to": "a@example.com", "body": "x", "attachments": "{{ call.body }}"}) == []


@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=("Cs",)), max_size=30))
def test_a_quoted_name_is_a_name_whatever_it_holds(name: str):
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    text = f'"{quoted}" <a@example.com>, b@example.com'
    [(found, address), second] = addresses([text], "to")
    assert (found, address, second) == (name, "a@example.com", ("", "b@example.com"))


@given(st.text(st.sampled_from('abc@.<>",; \\'), max_size=30))
def test_no_text_becomes_more_than_addresses(text: str):
    with contextlib.suppress(NodeFailure):
        found = addresses([text], "to")
        assert all(address.count("@") == 1 and not set(address) & set('<>",; \\') for _, address in found)


class Consents(Mailbox):
    """Takes XOAUTH2 with the tokens that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[bytes] = set()

    async def auth_XOAUTH2(self, server: Any, args: list[str]) -> AuthResult:
        user, token, *_ = base64.b64decode(args[1]).split(b"\x01")
        return AuthResult(success=user == b"user=ada@example.com" and token[12:] in self.known, handled=False)


async def test_a_token_in_place_of_a_password(egress: EgressClient):
    server, tokens = Consents(), iter(("token-number-one", "token-number-two"))
    controller = Controller(server, hostname="127.0.0.1", port=0, auth_require_tls=False)
    async with http_peer(lambda _: reply(200, {"access_token": next(tokens), "expires_in": 3600})) as peer:
        consent = {"token_url": peer.url, "client_id": "c", "client_secret": "s", "refresh_token": "r"}
        for smtp in serve(controller, {"host": "127.0.0.1", "username": "ada@example.com"}):
            given = {"smtp": smtp, "oauth": consent}
            config = {"to": "a@example.com", "body": "x"}
            server.known = {b"token-number-one"}
            for _ in range(2):
                await run("email", config, egress=egress, credentials=given)
            server.known = {b"token-number-two"}
            failure = await failing(run("email", config, egress=egress, credentials=given))
            assert (failure.error.code, failure.error.retryable) == ("smtp_auth", True), "the next attempt asks anew"
            await run("email", config, egress=egress, credentials=given)
    assert (len(server.mails), len(peer.requests)) == (3, 2)


async def test_a_file_of_the_workspace(egress: EgressClient, mailbox: Mailbox, smtp: dict[str, Any]):
    files = WorkspaceFiles(MemoryFiles(), Room(100, 150, 3), FixedClock(), "ws")
    await files.put("out/r.csv", b"a;b", "text/csv")
    mailbox.mails.clear()
    config = {"to": "a@example.com", "subject": "Hi", "stored_files": ["out/r.csv"]}
    await run("email", config, egress=egress, connections={"smtp": smtp}, files=files)
    [(_, _, mail)] = mailbox.mails
    [file] = mail.iter_attachments()
    assert (file.get_filename(), file.get_content_type(), file.get_payload(decode=True)) == (
        "r.csv",
        "text/csv",
        b"a;b",
    )
    data = {**config, "stored_files": [], "attachments": {"filename": "x", "text": "y", "file": "out/r.csv"}}
    await run("email", data, egress=egress, connections={"smtp": smtp}, files=files)
    assert b"a;b" not in bytes(mailbox.mails[-1][2])

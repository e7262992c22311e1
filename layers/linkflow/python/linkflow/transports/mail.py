"""The installation's own mails: over SMTP, or into a folder where nobody has set a server (`ports.Mailer`)."""

from __future__ import annotations

import asyncio
import logging
import os
import time
import uuid
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from pathlib import Path

from linkflow.config import Egress, Smtp
from linkflow.domain.errors import InvalidInput, Unavailable
from linkflow.ports import Mail

KEPT = 200
"""Mails that the folder keeps; older ones go."""

_log = logging.getLogger("linkflow.mail")


class SmtpMailer:
    """Through the server that is configured, at an address that the rules of egress allow."""

    delivers = True

    def __init__(self, settings: Smtp, egress: Egress) -> None:
        self._settings = settings
        self._egress = egress

    async def send(self, mail: Mail) -> None:
        from linkflow.nodes.base import NodeFailure
        from linkflow.nodes.egress import EgressClient
        from linkflow.nodes.smtp import Server, send

        of = self._settings
        sender = of.sender or of.username
        server = Server(of.host, of.port, username=of.username, password=of.password, tls=of.tls, ca_file=of.ca_file)
        try:
            # The operator names this server himself: it may be a private one.
            rules = Egress(allow=(*self._egress.allow, f"{of.host}:{of.port}"), resolve=self._egress.resolve)
            refused = await send(server, _message(mail, sender), sender, [mail.to], EgressClient(rules))
        except NodeFailure as error:
            if error.error.retryable:
                raise Unavailable(error.error.message, details={"code": error.error.code}) from None
            raise InvalidInput(error.error.message, details={"code": error.error.code}) from None
        if refused:
            raise InvalidInput("The server refused the recipient.")


class Outbox:
    """Writes each mail into a file, readable by its owner alone, and its place into the log."""

    delivers = False

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def send(self, mail: Mail) -> None:
        await asyncio.to_thread(self._write, mail)

    def _write(self, mail: Mail) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path = self._folder / f"{time.time_ns()}-{uuid.uuid4().hex[:6]}.eml"
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(bytes(_message(mail, "linkflow@localhost", "8bit")))  # its links are copied from it
            for old in sorted(self._folder.glob("*.eml"))[:-KEPT]:
                old.unlink(missing_ok=True)
        except OSError as error:
            raise InvalidInput(f"The mail could not be kept in {self._folder}: {error}") from None
        _log.info("A mail to %s is in %s: %s", mail.to, path, mail.subject)


def _message(mail: Mail, sender: str, encoding: str = "") -> EmailMessage:
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, mail.to, mail.subject
    made["Date"], made["Message-ID"] = formatdate(), make_msgid(domain=sender.rpartition("@")[2] or "localhost")
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(mail.text, cte=encoding or ("7bit" if mail.text.isascii() else "quoted-printable"))
    return made

"""Send mail by SMTP. The output is ``{success, message_id, recipients, refused}``.

The message id is made from the node run's idempotency key, so a mail that a retry sends twice is one to most readers.
"""

from __future__ import annotations

import builtins
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, formataddr, getaddresses
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import GOING_OUT, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text, TextList
from linkflow.nodes.slots import Slot

if TYPE_CHECKING:
    from linkflow.nodes.smtp import Server

FAMILY = "smtp"
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[^\s@<>()\[\],;:\"\\]+")
Tls = Literal["", "none", "starttls", "tls"]


class EmailParams(Params):
    to: Annotated[TextList, Field(min_length=1)]
    cc: TextList = Field(default_factory=list)
    bcc: TextList = Field(default_factory=list)
    subject: Text = ""
    body: Text = Field("", validation_alias=AliasChoices("body", "text"))
    body_html: Text = Field("", validation_alias=AliasChoices("body_html", "html"))
    reply_to: Text = ""
    sender: Text = Field("", validation_alias=AliasChoices("from", "from_email", "sender"), title="From")
    host: Text = Field("", description="A server of the node's own; a credential is the better place.")
    port: int = Field(0, ge=0, le=65535)
    username: Text = ""
    password: Secret = ""
    use_tls: bool | None = None
    tls: Tls = ""
    timeout: float = Field(30, gt=0, le=300)
    template_vars: dict[str, Any] = Field(default_factory=dict, deprecated="Not used: write expressions into the text.")

    @model_validator(mode="after")
    def _has_a_body(self) -> EmailParams:
        if not {"subject", "body", "body_html"} & self.model_fields_set:
            raise ValueError("there is nothing to send: `subject`, `body` or `body_html`")
        return self


@dataclass(frozen=True, slots=True)
class _Mail:
    message: EmailMessage
    sender: str
    recipients: list[str]


class Email(Base):
    type: ClassVar[str] = "action_email"
    aliases: ClassVar[tuple[str, ...]] = ("action_send_email", "email")
    name: ClassVar[str] = "Email"
    description: ClassVar[str] = "Send mail by SMTP."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = EmailParams
    slots = (Slot(FAMILY, ("smtp",), "The server that takes mail."),)
    help = """
    Without `tls`, port 465 means tls and 587 starttls; a connection may name a `ca_file`. A node may name `host`,
    `port`, `username`, `password` of its own and then gets no other server's. Retries keep the Message-ID. Recipients
    that were refused while others were accepted are in `refused`.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "success": {"const": True},
                "message_id": {"type": "string"},
                "recipients": {"type": "array", "items": {"type": "string"}},
                "refused": {"type": "object", "description": "Why, by address."},
            },
            "required": ["success", "message_id", "recipients", "refused"],
        }
    }
    faults = (
        Fault("email_invalid", "An address, or a line, that no mail can have."),
        Fault("smtp_connect", "The server cannot be reached.", True),
        Fault("smtp_timeout", "The server did not answer in time.", True),
        Fault("smtp_auth", "The server turned the user away."),
        Fault("smtp_refused", "The server refused the mail, or every recipient."),
        Fault("no_credential", "There is no server."),
        Fault("bad_credential", "The credential's port is no port."),
        *GOING_OUT[:3],
    )
    examples = (
        Example(
            name="An alert",
            config={"to": "admin@example.com", "subject": "Alert", "body": "{{ input.what }} happened."},
            input={"what": "Something"},
            needs="smtp",
            output={"success": True, "recipients": ["admin@example.com"], "refused": {}},
            varies=("message_id",),
        ),
    )
    refuses = (Refusal({"subject": "Hi"}, "/to", "missing_field"),)

    async def run(self, params: EmailParams, context: Context) -> Outcome:
        from linkflow.nodes.smtp import send  # ssl and aiosmtplib are for those who send mail

        server, default_sender = _server(params, context)
        mail = _mail(params, params.sender or default_sender, context)
        refused = await send(server, mail.message, mail.sender, mail.recipients, context.http())
        accepted = [address for address in mail.recipients if address not in refused]
        sent = {"success": True, "message_id": str(mail.message["Message-ID"])}
        return Completed(output={**sent, "recipients": accepted, "refused": refused})


def _server(params: EmailParams, context: Context) -> tuple[Server, str]:
    """Whom to hand the mail to, and its default sender. A node that names a server gets no other server's secrets."""
    if params.host:
        own = {"host": params.host, "port": params.port, "username": params.username, "password": params.password}
        return _read({**own, "tls": params.tls, "use_tls": params.use_tls}, params.timeout, ""), params.username
    secrets = connection(context, FAMILY)
    if not secrets.get("host"):
        text = "Mail is not set up: give the node a credential with `host`, `port`, `username`, `password` and `from`."
        raise NodeFailure("no_credential", text, retryable=False)
    # A file's name is the operator's to give: a credential must not make the worker read files.
    trusted = secrets is context.connections.get(FAMILY)
    ca_file = str(secrets.get("ca_file") or "") if trusted else ""
    return _read(secrets, params.timeout, ca_file), str(secrets.get("from") or secrets.get("username") or "")


def _read(data: Mapping[str, Any], timeout: float, ca_file: str) -> Server:
    try:
        port = int(data.get("port") or 0)
    except (TypeError, ValueError):
        raise NodeFailure("bad_credential", "The mail server's port is not a number.", retryable=False) from None
    from linkflow.nodes.smtp import Server

    tls, wanted = str(data.get("tls") or ""), data.get("use_tls")
    if tls not in ("none", "starttls", "tls"):
        tls = (
            {465: "tls", 587: "starttls"}.get(port, "starttls" if wanted else "none") if wanted is not False else "none"
        )
    port = port or {"tls": 465, "starttls": 587}.get(tls, 25)
    return Server(
        host=str(data["host"]),
        port=port,
        username=str(data.get("username") or ""),
        password=str(data.get("password") or ""),
        tls=tls,
        ca_file=ca_file,
        timeout=timeout,
    )


def _mail(params: EmailParams, sender: str, context: Context) -> _Mail:
    senders = _addresses([sender], "from")
    if len(senders) != 1:
        raise NodeFailure(
            "email_invalid", "Say whom the mail is from: `from` in the credential or the node.", retryable=False
        )
    to, cc, bcc = (_addresses(getattr(params, field), field) for field in ("to", "cc", "bcc"))
    if not to:
        raise NodeFailure("email_invalid", "There is nobody to send the mail to: `to` is empty.", retryable=False)
    message = EmailMessage()
    message["From"] = formataddr(senders[0])
    message["To"] = ", ".join(map(formataddr, to))
    if cc:
        message["Cc"] = ", ".join(map(formataddr, cc))
    if reply := _addresses([params.reply_to], "reply_to"):
        message["Reply-To"] = ", ".join(map(formataddr, reply))
    message["Subject"] = " ".join(params.subject.split())  # one line: a line break would begin another header
    message["Date"] = format_datetime(datetime.fromtimestamp(context.now_ms // 1000, UTC))
    digest = hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{digest}@{senders[0][1].rpartition('@')[2]}>"
    if params.body or not params.body_html:
        message.set_content(params.body)
    if params.body_html and params.body:
        message.add_alternative(params.body_html, subtype="html")
    elif params.body_html:
        message.set_content(params.body_html, subtype="html")
    everyone = list(dict.fromkeys(address for _, address in (*to, *cc, *bcc)))
    return _Mail(message, senders[0][1], everyone)


def _addresses(values: list[str], field: str) -> list[tuple[str, str]]:
    """Names and addresses. Raises `NodeFailure` ``email_invalid`` for anything that is not plainly an address."""
    found: list[tuple[str, str]] = []
    if any(ch in value for value in values for ch in "\r\n\0"):
        raise NodeFailure("email_invalid", f"`{field}` must be on one line.", retryable=False)
    for name, address in getaddresses([value for value in values if value.strip()]):
        if not _ADDRESS.fullmatch(address):
            raise NodeFailure(
                "email_invalid", f"`{field}` has something that is no address: {address or name!r}.", retryable=False
            )
        found.append((name, address))
    return found


node = Email()

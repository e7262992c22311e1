"""Send mail by SMTP. The output is ``{success, message_id, recipients, refused}``.

The message id is made from the node run's idempotency key, so a mail that a retry sends twice is one to most readers.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from msgspec import structs
from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import GOING_OUT, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Headers, Secret, Text, TextList, ui
from linkflow.nodes.given_files import File, one_or_many, stored
from linkflow.nodes.hiding import Hiding
from linkflow.nodes.slots import Slot
from linkflow.nodes.storage import FAULTS as STORAGE_FAULTS

if TYPE_CHECKING:
    from linkflow.nodes.smtp import Server

FAMILY, CONSENT = "smtp", "oauth"
Tls = Literal["", "none", "starttls", "tls"]


def _people(value: Any) -> Any:
    """Text with one address or more, a list of them, or objects with name and address."""
    found = one_or_many(value)
    return [_person(one) for one in found] if isinstance(found, list) else found


def _person(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    name, address = str(value.get("name") or ""), str(value.get("address") or value.get("email") or "")
    quoted = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}" <{address}>' if name else address


People = Annotated[list[Text], BeforeValidator(_people)]


class Attachment(File):
    """A file that goes along. One with a `cid` is a picture of the HTML: `<img src="cid:…">`."""

    cid: Text = Field("", validation_alias=AliasChoices("cid", "content_id"))


class EmailParams(Params):
    to: Annotated[People, Field(min_length=1)] = Field(
        description="Addresses, also as `Name <address>`; several with commas or as a list."
    )
    cc: People = Field(default_factory=list)
    bcc: People = Field(default_factory=list)
    subject: Text = ""
    body: Text = Field("", validation_alias=AliasChoices("body", "text"), json_schema_extra=ui("textarea"))
    body_html: Text = Field(
        "",
        validation_alias=AliasChoices("body_html", "html"),
        description="With a body as well, that is the alternative for readers without HTML.",
        json_schema_extra=ui("textarea"),
    )
    attachments: Annotated[list[Attachment], BeforeValidator(one_or_many)] = Field(
        default_factory=list,
        description="`{filename, base64 | text | content, content_type, cid}`, one or a list.",
    )
    stored_files: TextList = Field(
        default_factory=list,
        description="Files of the workspace to attach, by their paths.",
        json_schema_extra=ui("list"),
    )
    reply_to: People = Field(default_factory=list)
    sender: Text = Field("", validation_alias=AliasChoices("from", "from_email", "sender"), title="From")
    in_reply_to: Text = Field("", description="Message-IDs of the mails that this one answers, the latest last.")
    priority: Literal["", "low", "normal", "high"] = ""
    headers: Headers = Field(default_factory=dict, description="Others, such as List-Unsubscribe.")
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


class Email(Base):
    type: ClassVar[str] = "action_email"
    aliases: ClassVar[tuple[str, ...]] = ("action_send_email", "email")
    name: ClassVar[str] = "Email"
    description: ClassVar[str] = "Send mail by SMTP."
    category: ClassVar[str] = "message"
    params: ClassVar[builtins.type[Params]] = EmailParams
    slots = (
        Slot(FAMILY, ("smtp",), "The server that takes mail."),
        Slot(
            CONSENT,
            ("oauth2", "oauth2_refresh", "oauth2_client"),
            "OAuth 2 in place of a password, as Gmail and Microsoft want.",
        ),
    )
    help = """
    A file is what another node hands on, for example `attachments: "{{ download.body }}"` of an HTTP request with
    `response_type: binary`. A picture in the HTML has a `cid`.

    With a credential in the slot `oauth` the node signs in by XOAUTH2, as the `username` of the server's.

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
        *STORAGE_FAULTS,
        Fault("email_invalid", "An address, or a line, that no mail can have."),
        Fault("bad_file", "An attachment is no base64, or its media type is none."),
        Fault("smtp_connect", "The server cannot be reached.", True),
        Fault("smtp_timeout", "The server did not answer in time.", True),
        Fault("smtp_auth", "The server turned the user away."),
        Fault("oauth_refused", "The server that gives out tokens gave none."),
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
        Example(
            name="A report with a picture and a file",
            config={
                "to": ["Ada Lovelace <ada@example.com>", {"name": "Doe, Bob", "address": "bob@example.com"}],
                "subject": "Report",
                "body": "See the attachment.",
                "body_html": "<p>See the attachment. <img src='cid:logo'></p>",
                "attachments": [
                    {"filename": "logo.gif", "base64": "R0lGODlhAQABAAAAACw=", "cid": "logo"},
                    {"filename": "report.csv", "text": "{{ input.csv }}"},
                ],
            },
            input={"csv": "id,total\n7,12.5\n"},
            needs="smtp",
            output={"success": True, "recipients": ["ada@example.com", "bob@example.com"], "refused": {}},
            varies=("message_id",),
        ),
    )
    refuses = (Refusal({"subject": "Hi"}, "/to", "missing_field"),)

    async def run(self, params: EmailParams, context: Context) -> Outcome:
        from linkflow.nodes.mails import mail
        from linkflow.nodes.smtp import send  # ssl and aiosmtplib are for those who send mail

        server, default_sender = _server(params, context)
        kept = map(Attachment.model_validate, await stored(params.stored_files, context))
        params.attachments = [*params.attachments, *kept]
        made = mail(params, params.sender or default_sender, context)
        if consent := context.credentials.get(CONSENT):
            server = await _with_token(server, consent, context)
        hiding = Hiding([server.password, server.token])
        try:
            refused = await send(server, made.message, made.sender, made.recipients, context.http())
        except NodeFailure as failure:
            if failure.error.code == "smtp_auth" and consent:
                failure.error = structs.replace(failure.error, retryable=_forget(consent, context))
            raise hiding.failure(failure) from None
        accepted = [address for address in made.recipients if address not in refused]
        sent = {"success": True, "message_id": str(made.message["Message-ID"])}
        return Completed(output={**sent, "recipients": accepted, "refused": hiding.value(refused)})


async def _with_token(server: Server, consent: Mapping[str, Any], context: Context) -> Server:
    from linkflow.nodes.http_auth import TOKENS, kind_of

    return replace(server, token=await TOKENS.token(consent, kind_of(consent), context), password="")


def _forget(consent: Mapping[str, Any], context: Context) -> bool:
    """A token from before may have been called back: then the next attempt gets another."""
    from linkflow.nodes.http_auth import TOKENS

    return TOKENS.forget(consent, context)


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


def server_of(credential: Mapping[str, Any], timeout: float) -> Server:
    """The server that a credential of the kind ``smtp`` names."""
    return _read(credential, timeout, "")


node = Email()

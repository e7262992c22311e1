"""From the parameters of a mail to the mail: addresses, texts, pictures, attachments, headers."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.headerregistry import HeaderRegistry, UnstructuredHeader
from email.message import EmailMessage
from email.policy import EmailPolicy, Policy, default
from email.utils import format_datetime, formataddr, getaddresses

from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.email import Attachment, EmailParams

_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"\\]+@[^\s@<>()\[\],;:\"\\]+")
_OWN = frozenset({
    "from", "to", "cc", "bcc", "sender", "reply-to", "subject", "date", "message-id", "mime-version", "return-path",
    "received", "dkim-signature",
})  # fmt: skip
"""Headers that have a field of their own, or are not the author's to write."""
_PRIORITIES = {"high": ("1", "high"), "low": ("5", "low")}


LONGEST_LINE = 990
"""Characters of a line that any server takes (RFC 5321, 4.5.3.1.6)."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail with its envelope."""

    message: EmailMessage
    sender: str
    recipients: list[str]


def mail(params: EmailParams, sender: str, context: Context) -> Mail:
    """The mail. Raises `NodeFailure` ``email_invalid`` and ``bad_file``."""
    senders = addresses([sender], "from")
    if len(senders) != 1:
        raise _invalid("Say whom the mail is from: `from` in the credential or the node.")
    to, cc, bcc = (addresses(getattr(params, field), field) for field in ("to", "cc", "bcc"))
    if not to and not cc and not bcc:
        raise _invalid("There is nobody to send the mail to: `to` is empty.")
    message = EmailMessage(_policy(tuple(params.headers)))
    message["From"] = formataddr(senders[0])
    for name, found in (("To", to), ("Cc", cc), ("Reply-To", addresses(params.reply_to, "reply_to"))):
        if found:
            message[name] = ", ".join(map(formataddr, found))
    message["Subject"] = " ".join(params.subject.split())  # one line: a line break would begin another header
    message["Date"] = format_datetime(datetime.fromtimestamp(context.now_ms // 1000, UTC))
    digest = hashlib.sha256(context.idempotency_key.encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{digest}@{senders[0][1].rpartition('@')[2]}>"
    _headers(message, params)
    _content(message, params)
    everyone = list(dict.fromkeys(address for _, address in (*to, *cc, *bcc)))
    return Mail(message, senders[0][1], everyone)


class _Whole(UnstructuredHeader):
    """An author's header. A link in it that is longer than a line stays a link: readers look for it as it is, not in
    encoded words (RFC 2369)."""

    def fold(self, *, policy: Policy) -> str:
        name, text = str(self.name), str(self)  # type: ignore[attr-defined]
        if text.isascii() and len(name) + len(text) <= LONGEST_LINE:
            return f"{name}: {text}{policy.linesep}"
        found: str = super().fold(policy=policy)  # type: ignore[misc]
        return found


def _policy(names: tuple[str, ...]) -> EmailPolicy:
    registry = HeaderRegistry()
    for name in names:
        registry.map_to_type(name, _Whole)  # type: ignore[arg-type]
    found: EmailPolicy = default.clone(header_factory=registry)  # type: ignore[assignment]
    return found


def _headers(message: EmailMessage, params: EmailParams) -> None:
    if params.in_reply_to:
        for id in params.in_reply_to.split():
            if not re.fullmatch(r"<[^<>\s]+>", id):
                raise _invalid("`in_reply_to` is a Message-ID such as <a@example.com>.")
        message["In-Reply-To"] = params.in_reply_to.split()[-1]
        message["References"] = " ".join(params.in_reply_to.split())
    if params.priority in _PRIORITIES:
        message["X-Priority"], message["Importance"] = _PRIORITIES[params.priority]
    for name, value in params.headers.items():
        if name.lower() in _OWN or name.lower().startswith("content-") or name in message:
            raise _invalid(f"The header {name} is not for `headers`.")
        message[name] = value


def _content(message: EmailMessage, params: EmailParams) -> None:
    """Text, HTML with its pictures, attachments: as mixed(alternative(text, related(html, …)), …)."""
    pictures = [file for file in params.attachments if file.cid and params.body_html]
    if params.body or not params.body_html:
        message.set_content(params.body)
    html = message
    if params.body_html and params.body:
        message.add_alternative(params.body_html, subtype="html")
        html = message.get_payload()[-1]  # type: ignore[index, assignment]
    elif params.body_html:
        message.set_content(params.body_html, subtype="html")
    for file in pictures:
        main, sub = _kind(file)
        cid = f"<{file.cid.strip('<> ')}>"
        html.add_related(file.data(), main, sub, cid=cid, filename=file.name, disposition="inline")
    for file in params.attachments:
        if file not in pictures:
            message.add_attachment(file.data(), *_kind(file), filename=file.name)


def _kind(file: Attachment) -> tuple[str, str]:
    if any(ch in file.cid for ch in "\r\n\0"):
        raise _invalid("`cid` must be one word.")
    main, _, sub = file.kind.partition(";")[0].strip().lower().partition("/")
    # Mails and parts inside of a mail have rules of their own: as an attachment they are bytes.
    return ("application", "octet-stream") if main in ("message", "multipart") else (main, sub)


def addresses(values: Sequence[str], field: str) -> list[tuple[str, str]]:
    """Names and addresses of texts such as ``Ada <ada@example.com>, "Doe, Bob" <bob@example.com>``.

    Raises `NodeFailure` ``email_invalid`` for anything that is not plainly an address.
    """
    if any(ch in value for value in values for ch in "\r\n\0"):
        raise _invalid(f"`{field}` must be on one line.")
    return [_address(text, field) for value in values for part in _parts(value) if (text := part.strip())]


def _address(text: str, field: str) -> tuple[str, str]:
    if text.endswith(">") and "<" in text:
        # A name may hold what would mean something else to the grammar, such as brackets: what is in <> counts.
        name, _, address = text[:-1].rpartition("<")
        name = name.strip()
        if len(name) > 1 and name[0] == name[-1] == '"':
            name = re.sub(r"\\(.)", r"\1", name[1:-1])
    else:
        pairs = getaddresses([text])
        name, address = pairs[0] if len(pairs) == 1 else ("", text)
    address = address.strip()
    if not _ADDRESS.fullmatch(address):
        raise _invalid(f"`{field}` has something that is no address: {(address or text)[:200]!r}.")
    local, _, domain = address.rpartition("@")
    if not domain.isascii():
        try:
            domain = domain.encode("idna").decode()
        except UnicodeError:
            raise _invalid(f"`{field}` has something that is no address: {address[:200]!r}.") from None
    return name, f"{local}@{domain}"


def _parts(text: str) -> list[str]:
    """`text` split at commas and semicolons that are not within quotes or <>."""
    parts, start, is_quoted, is_angled, at = list[str](), 0, False, False, 0
    while at < len(text):
        letter = text[at]
        if letter == "\\" and is_quoted:
            at += 1
        elif letter == '"':
            is_quoted = not is_quoted
        elif not is_quoted and letter in "<>":
            is_angled = letter == "<"
        elif letter in ",;" and not is_quoted and not is_angled:
            parts.append(text[start:at])
            start = at + 1
        at += 1
    return [*parts, text[start:]]


def _invalid(text: str) -> NodeFailure:
    return NodeFailure("email_invalid", text, retryable=False)

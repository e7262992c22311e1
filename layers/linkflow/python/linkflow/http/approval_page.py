"""The page that a link to an approval opens: plain HTML, no script, nothing from elsewhere."""

from __future__ import annotations

import html
import json
from typing import Any

from starlette.responses import Response

from linkflow.domain.errors import LinkFlowError
from linkflow.domain.passing import APPROVED, REJECTED
from linkflow.services.world import PENDING, ApprovalView

from .payloads import shown as shown_payload
from .problems import status_of
from .shapes import at

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
}
LONGEST = 20_000
"""Characters of a payload that are shown."""

_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body{{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em;color:#1c1c28}}
pre{{white-space:pre-wrap;overflow-wrap:anywhere;background:#f4f4f7;padding:1em;border-radius:8px;
max-height:30em;overflow:auto}}
label{{display:block;margin:1em 0 .3em}}input,textarea{{font:inherit;width:100%;box-sizing:border-box;padding:.5em;
border:1px solid #c8c8d0;border-radius:6px}}button{{font:inherit;padding:.6em 1.6em;margin:1.2em .6em 0 0;
border-radius:6px;border:1px solid #c8c8d0;background:#fff;cursor:pointer}}
button.chosen{{background:#1d5fd1;border-color:#1d5fd1;color:#fff}}
p.note{{color:#5c5c6b}}</style><h1>{title}</h1>{body}</html>"""

_FORM = """<form method="post"><button disabled hidden></button><label for="comment">Comment</label>
<textarea id="comment" name="comment" rows="3" maxlength="2000"></textarea>
<label for="name">Your name</label><input id="name" name="name" maxlength="100" autocomplete="name">
{buttons}</form><p class="note">Nothing is decided before you press a button. The first decision counts.</p>"""

# The button that is disabled is the form's first: so the Enter key in the name presses none.

_WORDS = {
    APPROVED: "This was approved.",
    REJECTED: "This was rejected.",
    "expired": "Nobody decided in time: this is over.",
    "cancelled": "This is asked no more: the run has gone on, or ended, without it.",
}


def question(found: ApprovalView, decision: str = "", done: bool = False) -> Response:
    """What is asked and, while it is open, a form. `decision` is what the link proposes."""
    parts = [f"<p>{_lines(found.description)}</p>"] if found.description else []
    payload = shown_payload(found.payload, "")
    if payload is not None:
        parts.append(f"<pre>{html.escape(_readable(payload))}</pre>")
    if found.status == PENDING:
        if found.due_at:
            parts.append(f'<p class="note">To be decided by {html.escape(str(at(found.due_at)))}.</p>')
        parts.append(_FORM.format(buttons="".join(_button(*one, decision) for one in _BUTTONS)))
    else:
        thanks = "Thank you. " if done else ""
        parts.append(f"<p><strong>{thanks}{html.escape(_WORDS.get(found.status, found.status))}</strong></p>")
        if found.comment:
            parts.append(f"<p>{_lines(found.comment)}</p>")
    return _page(found.title, "".join(parts), 200)


def fault(error: LinkFlowError) -> Response:
    return _page("This cannot be decided here", f"<p>{html.escape(error.message)}</p>", status_of(error))


def plain(name: str) -> str:
    """A name as somebody wrote it, in one line."""
    return " ".join("".join(sign if sign.isprintable() else " " for sign in name).split())[:100]


_BUTTONS = ((APPROVED, "Approve"), (REJECTED, "Reject"))


def _button(value: str, label: str, chosen: str) -> str:
    mark = ' class="chosen"' if value == chosen else ""
    return f'<button name="decision" value="{value}"{mark}>{label}</button>'


def _readable(payload: Any) -> str:
    text = payload if isinstance(payload, str) else json.dumps(payload, indent=2, ensure_ascii=False)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"


def _lines(text: str) -> str:
    return html.escape(text).replace("\n", "<br>")


def _page(title: str, body: str, status: int) -> Response:
    page = _PAGE.format(title=html.escape(title), body=body)
    return Response(page, status, HEADERS, "text/html; charset=utf-8")

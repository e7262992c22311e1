"""Commands about approvals: what waits for somebody, and deciding it."""

from __future__ import annotations

import click

from .options import HOME, JSON, URL


@click.group("approval")
def approval() -> None:
    """Approvals: what waits for somebody, and deciding it."""


@approval.command("list")
@click.option("--mine", is_flag=True, help="Those that ask you.")
@click.option("--assignee", default="", help="Those that ask somebody: an address, a user id, role:NAME.")
@click.option("--workflow", default="", help="Those of this workflow (id).")
@click.option("--search", default="", help="Those with these words in their title.")
@JSON
@HOME
@URL
def show_all(mine: bool, assignee: str, workflow: str, search: str, as_json: bool, home: str, url: str) -> None:
    """Open approvals, the newest runs first."""
    from .approvals_work import list_approvals

    wanted = {"assignee": assignee, "workflow_id": workflow, "q": search, "mine": "true" if mine else ""}
    raise SystemExit(list_approvals(home, url, wanted, as_json))


@approval.command("show")
@click.argument("approval_id")
@JSON
@HOME
@URL
def show(approval_id: str, as_json: bool, home: str, url: str) -> None:
    """One approval, and what became of it."""
    from .approvals_work import show as look

    raise SystemExit(look(home, url, approval_id, as_json))


def _decide(decision: str, approval_id: str, payload: str, comment: str, as_json: bool, home: str, url: str) -> None:
    from .approvals_work import decide

    raise SystemExit(decide(home, url, approval_id, decision, payload, comment, as_json))


PAYLOAD = click.option("--payload", default="", help="What goes on with it: JSON, or @FILE.")
COMMENT = click.option("--comment", default="", help="Why.")


@approval.command("approve")
@click.argument("approval_id")
@PAYLOAD
@COMMENT
@JSON
@HOME
@URL
def approve(approval_id: str, payload: str, comment: str, as_json: bool, home: str, url: str) -> None:
    """Approve. The first decision counts."""
    _decide("approved", approval_id, payload, comment, as_json, home, url)


@approval.command("reject")
@click.argument("approval_id")
@PAYLOAD
@COMMENT
@JSON
@HOME
@URL
def reject(approval_id: str, payload: str, comment: str, as_json: bool, home: str, url: str) -> None:
    """Reject. The first decision counts."""
    _decide("rejected", approval_id, payload, comment, as_json, home, url)


@approval.command("link")
@click.argument("approval_id")
@click.option("--note", default="", help="Whom it is for.")
@JSON
@HOME
@URL
def link(approval_id: str, note: str, as_json: bool, home: str, url: str) -> None:
    """A link for somebody who cannot sign in. Whoever has it may decide."""
    from .approvals_work import link as make

    raise SystemExit(make(home, url, approval_id, note, as_json))


@approval.command("links")
@click.argument("approval_id")
@JSON
@HOME
@URL
def links(approval_id: str, as_json: bool, home: str, url: str) -> None:
    """Its links; `messages` are all those in messages."""
    from .approvals_work import links as work

    raise SystemExit(work(home, url, approval_id, as_json))


@approval.command("unlink")
@click.argument("approval_id")
@click.argument("link_id")
@JSON
@HOME
@URL
def unlink(approval_id: str, link_id: str, as_json: bool, home: str, url: str) -> None:
    """Revoke a link, or all in `messages`: nobody decides by it any more."""
    from .approvals_work import unlink as work

    raise SystemExit(work(home, url, approval_id, link_id, as_json))

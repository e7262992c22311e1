"""Commands about members, invitations, roles, API keys, sessions and the audit log, over the API."""

from __future__ import annotations

from typing import Any

import click

from .options import HOME, JSON, URL

ROLE = click.option("--role", default="member", show_default=True, help="owner, admin, member, viewer, or one's own.")
PERMISSION = click.option("--permission", "-p", "permissions", multiple=True, help="May be repeated.")
SERVICE = click.option("--service", is_flag=True, help="A key of the workspace's own, which stands for no person.")


def _ended(code: int) -> None:
    raise SystemExit(code)


@click.group("member")
def member() -> None:
    """Who is in the workspace."""


@member.command("list")
@JSON
@HOME
@URL
def list_members(as_json: bool, home: str, url: str) -> None:
    """All members."""
    from .people_work import members as work

    _ended(work(home, url, as_json))


@member.command("add")
@click.argument("email")
@ROLE
@JSON
@HOME
@URL
def add_member(email: str, role: str, as_json: bool, home: str, url: str) -> None:
    """Take in somebody who has an account. `linkflow invite send` is for everybody."""
    from .people_work import add_member as work

    _ended(work(home, url, email, role, as_json))


@member.command("set")
@click.argument("who")
@click.argument("role")
@JSON
@HOME
@URL
def set_role(who: str, role: str, as_json: bool, home: str, url: str) -> None:
    """Give a member (e-mail address or id) another role."""
    from .people_work import set_role as work

    _ended(work(home, url, who, role, as_json))


@member.command("remove")
@click.argument("who")
@JSON
@HOME
@URL
def remove_member(who: str, as_json: bool, home: str, url: str) -> None:
    """Remove a member (e-mail address or id)."""
    from .people_work import remove_member as work

    _ended(work(home, url, who, as_json))


@member.command("leave")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@HOME
@URL
def leave(yes: bool, as_json: bool, home: str, url: str) -> None:
    """Leave the workspace. The last owner cannot."""
    from .people_work import leave as work

    _ended(work(home, url, yes, as_json))


@member.command("transfer")
@click.argument("who")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@HOME
@URL
def transfer(who: str, yes: bool, as_json: bool, home: str, url: str) -> None:
    """Make another member the owner, and oneself an admin."""
    from .people_work import transfer as work

    _ended(work(home, url, who, yes, as_json))


@click.group("invite")
def invite() -> None:
    """Invitations."""


@invite.command("send")
@click.argument("email")
@ROLE
@JSON
@HOME
@URL
def send(email: str, role: str, as_json: bool, home: str, url: str) -> None:
    """Invite an address. Where mails are only kept in a file, the link is shown: hand it over."""
    from .people_work import invite as work

    _ended(work(home, url, email, role, as_json))


@invite.command("list")
@JSON
@HOME
@URL
def list_invitations(as_json: bool, home: str, url: str) -> None:
    """Open invitations."""
    from .people_work import invitations as work

    _ended(work(home, url, as_json))


@invite.command("withdraw")
@click.argument("which")
@JSON
@HOME
@URL
def withdraw(which: str, as_json: bool, home: str, url: str) -> None:
    """Withdraw one, by address or id."""
    from .people_work import withdraw as work

    _ended(work(home, url, which, as_json))


@invite.command("accept")
@click.argument("link")
@JSON
@HOME
@URL
def accept(link: str, as_json: bool, home: str, url: str) -> None:
    """Accept one, by its link or what is behind its #."""
    from .people_work import answer as work

    _ended(work(home, url, link, "accept", as_json))


@invite.command("decline")
@click.argument("link")
@JSON
@HOME
@URL
def decline(link: str, as_json: bool, home: str, url: str) -> None:
    """Do without."""
    from .people_work import answer as work

    _ended(work(home, url, link, "decline", as_json))


@click.group("role")
def role() -> None:
    """Roles and what they may do."""


@role.command("list")
@JSON
@HOME
@URL
def list_roles(as_json: bool, home: str, url: str) -> None:
    """Built-in roles and the workspace's own."""
    from .people_work import roles as work

    _ended(work(home, url, as_json))


@role.command("permissions")
@JSON
@HOME
@URL
def permissions(as_json: bool, home: str, url: str) -> None:
    """Every permission, and which built-in roles have it."""
    from .people_work import permissions as work

    _ended(work(home, url, as_json))


@role.command("add")
@click.argument("name")
@PERMISSION
@JSON
@HOME
@URL
def add_role(name: str, permissions: tuple[str, ...], as_json: bool, home: str, url: str) -> None:
    """Make a role with just these permissions."""
    from .people_work import add_role as work

    _ended(work(home, url, name, permissions, as_json))


@role.command("set")
@click.argument("name")
@PERMISSION
@click.option("--rename", default="", help="Another name.")
@JSON
@HOME
@URL
def change_role(name: str, permissions: tuple[str, ...], rename: str, as_json: bool, home: str, url: str) -> None:
    """Give a role just these permissions (none named: those it has), or another name."""
    from .people_work import set_role_permissions as work

    _ended(work(home, url, name, permissions, rename, as_json))


@role.command("delete")
@click.argument("name")
@JSON
@HOME
@URL
def delete_role(name: str, as_json: bool, home: str, url: str) -> None:
    """Delete a role that nobody has."""
    from .people_work import delete_role as work

    _ended(work(home, url, name, as_json))


@click.group("key")
def key() -> None:
    """API keys. (`linkflow keys` is about the master keys of an installation.)"""


@key.command("list")
@SERVICE
@JSON
@HOME
@URL
def list_keys(service: bool, as_json: bool, home: str, url: str) -> None:
    """One's own keys, or the workspace's."""
    from .people_work import keys as work

    _ended(work(home, url, service, as_json))


@key.command("add")
@click.argument("name")
@PERMISSION
@SERVICE
@click.option("--anywhere", is_flag=True, help="A personal key for all of one's workspaces.")
@click.option("--expires", default="", help="When it ends: 2027-01-31T00:00:00Z.")
@JSON
@HOME
@URL
def add_key(
    name: str, permissions: tuple[str, ...], service: bool, anywhere: bool, expires: str, as_json: bool, home: str,
    url: str,
) -> None:  # fmt: skip
    """Make a key, which is shown this once. Without --permission a personal one may what one may oneself."""
    from .people_work import add_key as work

    form: dict[str, Any] = {"name": name, "permissions": permissions, **({"expires_at": expires} if expires else {})}
    _ended(work(home, url, form, service, anywhere, as_json))


@key.command("delete")
@click.argument("which")
@SERVICE
@JSON
@HOME
@URL
def delete_key(which: str, service: bool, as_json: bool, home: str, url: str) -> None:
    """Revoke a key, by name, id or its first characters."""
    from .people_work import delete_key as work

    _ended(work(home, url, which, service, as_json))


@click.group("session")
def session() -> None:
    """Where one is signed in."""


@session.command("list")
@JSON
@HOME
@URL
def list_sessions(as_json: bool, home: str, url: str) -> None:
    """All sessions, the one used last first."""
    from .people_work import sessions as work

    _ended(work(home, url, as_json))


@session.command("end")
@click.argument("session_id", default="")
@click.option("--others", is_flag=True, help="All but this one.")
@JSON
@HOME
@URL
def end_session(session_id: str, others: bool, as_json: bool, home: str, url: str) -> None:
    """End a session."""
    from .people_work import end_session as work

    _ended(work(home, url, session_id, others, as_json))


FILTERS = (
    click.option("--actor", default="", help="By whom: user:ID or key:ID."),
    click.option("--action", default="", help="What: workflows.update, teams.invite, ..."),
    click.option("--target", default="", help="To what (id)."),
    click.option("--after", default="", help="From then on: 2026-11-01T00:00:00Z."),
    click.option("--before", default="", help="Until then."),
)


def _filtered(command: Any) -> Any:
    for option in reversed(FILTERS):
        command = option(command)
    return command


@click.group("audit")
def audit() -> None:
    """Who changed what, from where."""


@audit.command("list")
@_filtered
@click.option("--mine", is_flag=True, help="What was done to one's account, in place of the workspace.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1), help="At most so many lines.")
@JSON
@HOME
@URL
def list_audit(
    actor: str, action: str, target: str, after: str, before: str, mine: bool, limit: int, as_json: bool, home: str,
    url: str,
) -> None:  # fmt: skip
    """Changes, newest first."""
    from .people_work import audit as work

    asked = {"actor": actor, "action": action, "target_id": target, "after": after, "before": before}
    _ended(work(home, url, asked, mine, limit, as_json))


@audit.command("export")
@_filtered
@click.option("--output", "-o", default="-", type=click.Path(dir_okay=False, allow_dash=True), help="A file.")
@HOME
@URL
def export_audit(
    actor: str, action: str, target: str, after: str, before: str, output: str, home: str, url: str
) -> None:  # fmt: skip
    """All of it as JSON Lines."""
    from .people_work import export_audit as work

    asked = {"actor": actor, "action": action, "target_id": target, "after": after, "before": before}
    _ended(work(home, url, asked, output))


GROUPS = (member, invite, role, key, session, audit)

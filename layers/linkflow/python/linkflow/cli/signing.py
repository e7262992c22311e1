"""Signing in and out, and which workspace is meant."""

from __future__ import annotations

import click

from .options import HOME, JSON, URL


@click.command("login")
@click.option("--email", default="", help="Whose account (default: asked for).")
@click.option("--provider", default="", help="Sign in by this provider, in a browser.")
@click.option("--key", "with_key", is_flag=True, help="By an API key, which is asked for or read from the input.")
@click.option("--insecure", is_flag=True, help="Also over plain HTTP to another machine.")
@JSON
@HOME
@URL
def login(email: str, provider: str, with_key: bool, insecure: bool, as_json: bool, home: str, url: str) -> None:
    """Sign in, and stay so until `linkflow logout`.

    The session is kept in the config folder (LINKFLOW_CONFIG), readable by you alone. Where nobody is there to sign in,
    set LINKFLOW_API_KEY in place of it.
    """
    from .signing_in import login as work

    raise SystemExit(work(home, url, email, provider, with_key, insecure, as_json))


@click.command("logout")
@click.option("--everywhere", is_flag=True, help="End all of one's sessions.")
@HOME
@URL
def logout(everywhere: bool, home: str, url: str) -> None:
    """End the session."""
    from .signing_in import logout as work

    raise SystemExit(work(home, url, everywhere))


@click.command("whoami")
@JSON
@HOME
@URL
def whoami(as_json: bool, home: str, url: str) -> None:
    """By whose right the command line calls."""
    from .signing_in import whoami as work

    raise SystemExit(work(home, url, as_json))


@click.group("workspace")
def workspace() -> None:
    """Workspaces, and which one commands are about."""


@workspace.command("list")
@click.option("--deleted", is_flag=True, help="Those that were deleted, and can be restored.")
@JSON
@HOME
@URL
def list_workspaces(deleted: bool, as_json: bool, home: str, url: str) -> None:
    """Those that one is in; the one in use has a *."""
    if deleted:
        from .workspaces_work import deleted as work
    else:
        from .signing_in import workspaces as work

    raise SystemExit(work(home, url, as_json))


@workspace.command("add")
@click.argument("name")
@JSON
@HOME
@URL
def add(name: str, as_json: bool, home: str, url: str) -> None:
    """Make one, and own it."""
    from .signing_in import add_workspace as work

    raise SystemExit(work(home, url, name, as_json))


@workspace.command("use")
@click.argument("name")
@HOME
@URL
def use(name: str, home: str, url: str) -> None:
    """Commands are about this one from now on, by name or id. LINKFLOW_WORKSPACE goes first."""
    from .signing_in import use_workspace as work

    raise SystemExit(work(home, url, name))


@workspace.command("delete")
@click.argument("name")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@HOME
@URL
def delete(name: str, yes: bool, as_json: bool, home: str, url: str) -> None:
    """Delete one, by name or id, with everything in it. For some time an owner can restore it."""
    from .workspaces_work import delete as work

    raise SystemExit(work(home, url, name, yes, as_json))


@workspace.command("restore")
@click.argument("name")
@JSON
@HOME
@URL
def restore(name: str, as_json: bool, home: str, url: str) -> None:
    """Bring back one that was deleted, by name or id. Its workflows are switched off."""
    from .workspaces_work import restore as work

    raise SystemExit(work(home, url, name, as_json))

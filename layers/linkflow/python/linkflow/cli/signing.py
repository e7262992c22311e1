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
@JSON
@HOME
@URL
def list_workspaces(as_json: bool, home: str, url: str) -> None:
    """Those that one is in; the one in use has a *."""
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

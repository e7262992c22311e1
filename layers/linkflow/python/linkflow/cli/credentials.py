"""Commands about credentials and variables, over the API."""

from __future__ import annotations

import click

from .options import HOME, JSON, URL

SET = click.option(
    "--set", "fields", multiple=True, metavar="FIELD=VALUE", help="A field; @FILE reads its value, - asks for it."
)
HOST = click.option("--host", "hosts", multiple=True, help="Where it may go; may be repeated (default: anywhere).")
ROLE = click.option("--role", "roles", multiple=True, help="Who may use it; may be repeated (default: everybody).")
EXPIRES = click.option("--expires", default="", help="When it ends: 2027-01-31T00:00:00Z.")
YES = click.option("--yes", is_flag=True, help="Do not ask.")
ENVIRONMENT = click.option("--environment", default="", help="Where it holds (default: everywhere).")


@click.group("credential")
def credential() -> None:
    """Secrets that workflows name. No value is shown again."""


@credential.command("types")
@click.argument("type", default="")
@JSON
@HOME
@URL
def types(type: str, as_json: bool, home: str, url: str) -> None:
    """The types there are, or one with its fields."""
    from .credentials_work import types as work

    raise SystemExit(work(home, url, type, as_json))


@credential.command("list")
@click.option("--type", default="", help="Only of this type.")
@JSON
@HOME
@URL
def list_credentials(type: str, as_json: bool, home: str, url: str) -> None:
    """All credentials of the workspace."""
    from .credentials_work import list_credentials as work

    raise SystemExit(work(home, url, type, as_json))


@credential.command("show")
@click.argument("name")
@JSON
@HOME
@URL
def show(name: str, as_json: bool, home: str, url: str) -> None:
    """One credential, by name or id, with the workflows that refer to it."""
    from .credentials_work import show as work

    raise SystemExit(work(home, url, name, as_json))


@credential.command("add")
@click.argument("name")
@click.argument("type")
@SET
@HOST
@ROLE
@EXPIRES
@click.option("--description", default="")
@JSON
@HOME
@URL
def add(
    name: str, type: str, fields: tuple[str, ...], hosts: tuple[str, ...], roles: tuple[str, ...], expires: str,
    description: str, as_json: bool, home: str, url: str,
) -> None:  # fmt: skip
    """Keep a credential. Secret fields that are not --set are asked for."""
    from .credentials_work import add as work

    form = {"name": name, "type": type, "hosts": hosts, "roles": roles, "description": description}
    raise SystemExit(work(home, url, {**form, **({"expires_at": expires} if expires else {})}, fields, as_json))


@credential.command("set")
@click.argument("name")
@SET
@HOST
@ROLE
@EXPIRES
@click.option("--anywhere", is_flag=True, help="Lift the hosts.")
@click.option("--everybody", is_flag=True, help="Lift the roles.")
@click.option("--rename", default="", help="Another name.")
@JSON
@HOME
@URL
def change(
    name: str, fields: tuple[str, ...], hosts: tuple[str, ...], roles: tuple[str, ...], expires: str, anywhere: bool,
    everybody: bool, rename: str, as_json: bool, home: str, url: str,
) -> None:  # fmt: skip
    """Change a credential; what is not named stays."""
    from .credentials_work import change as work

    form: dict[str, object] = {}
    if hosts or anywhere:
        form["hosts"] = list(hosts)
    if roles or everybody:
        form["roles"] = list(roles)
    form |= {key: value for key, value in (("expires_at", expires), ("name", rename)) if value}
    raise SystemExit(work(home, url, name, form, fields, as_json))


@credential.command("duplicate")
@click.argument("name")
@click.option("--as", "title", default="", help="The copy's name.")
@JSON
@HOME
@URL
def duplicate(name: str, title: str, as_json: bool, home: str, url: str) -> None:
    """Copy a credential with its secrets."""
    from .credentials_work import duplicate as work

    raise SystemExit(work(home, url, name, title, as_json))


@credential.command("delete")
@click.argument("name")
@YES
@HOME
@URL
def delete(name: str, yes: bool, home: str, url: str) -> None:
    """Delete a credential for good."""
    from .credentials_work import delete as work

    raise SystemExit(work(home, url, name, yes))


@credential.command("test")
@click.argument("name")
@click.option("--at", "target", default="", help="Where to try one for HTTP, by a GET.")
@JSON
@HOME
@URL
def test(name: str, target: str, as_json: bool, home: str, url: str) -> None:
    """Try a credential with a light call. The exit code is 1 where the other side does not take it."""
    from .credentials_work import test as work

    raise SystemExit(work(home, url, name, target, as_json))


@credential.command("connect")
@click.argument("name")
@click.option("--ticket", default="", help="The ticket that the browser shows; asked for where it is left out.")
@HOME
@URL
def connect(name: str, ticket: str, home: str, url: str) -> None:
    """Ask for consent (OAuth 2): opens an address, and takes the ticket that is shown at the end."""
    from .credentials_work import connect as work

    raise SystemExit(work(home, url, name, ticket))


@click.group("variable")
def variable() -> None:
    """Texts that workflows name, plain or secret."""


@variable.command("list")
@click.option("--environment", default=None, help="Only of this one; '' are those that hold everywhere.")
@JSON
@HOME
@URL
def list_variables(environment: str | None, as_json: bool, home: str, url: str) -> None:
    """All variables of the workspace."""
    from .credentials_work import list_variables as work

    raise SystemExit(work(home, url, environment, as_json))


@variable.command("get")
@click.argument("key")
@ENVIRONMENT
@JSON
@HOME
@URL
def get(key: str, environment: str, as_json: bool, home: str, url: str) -> None:
    """Print a plain variable's value."""
    from .credentials_work import get_variable as work

    raise SystemExit(work(home, url, key, environment, as_json))


@variable.command("set")
@click.argument("key")
@click.argument("value")
@ENVIRONMENT
@click.option("--secret/--plain", default=None, help="Whether it is shown again (a new one is).")
@click.option("--description", default=None)
@JSON
@HOME
@URL
def set_variable(
    key: str, value: str, environment: str, secret: bool | None, description: str | None, as_json: bool, home: str,
    url: str,
) -> None:  # fmt: skip
    """Make or change a variable. @FILE reads the value, - asks for it."""
    from .credentials_work import set_variable as work

    form = {"key": key, "environment": environment, "secret": secret, "description": description}
    raise SystemExit(work(home, url, {k: v for k, v in form.items() if v is not None}, value, as_json))


@variable.command("delete")
@click.argument("key")
@ENVIRONMENT
@YES
@HOME
@URL
def delete_variable(key: str, environment: str, yes: bool, home: str, url: str) -> None:
    """Delete a variable."""
    from .credentials_work import delete_variable as work

    raise SystemExit(work(home, url, key, environment, yes))

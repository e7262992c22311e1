"""Commands that keep workflows: finding, ordering, files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import HOME, JSON, URL

YES = click.option("--yes", is_flag=True, help="Do not ask.")
ENVIRONMENT = click.option("--environment", default="production", show_default=True, help="Where.")
FILES = click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, allow_dash=True))


def over_api(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options of a command that asks the API."""
    return JSON(HOME(URL(command)))


@click.group("workflow")
def workflow() -> None:
    """Workflows, by name or id."""


@workflow.command("list")
@click.argument("text", default="")
@click.option("--tag", "tags", multiple=True, help="That have it; may be repeated.")
@click.option("--folder", default="", help="In this folder and below (a path such as Shop/Orders), or none.")
@click.option("--node-type", "types", multiple=True, help="That have such a node; may be repeated.")
@click.option("--active/--inactive", default=None, help="Switched on, or off.")
@click.option("--locked/--unlocked", default=None)
@click.option("--sort", default="", help="name, updated_at or created_at; with - in front, the other way round.")
@over_api
def list_workflows(text: str, as_json: bool, home: str, url: str, **filters: Any) -> None:
    """Workflows, newest first. TEXT: beginnings of words in name and description."""
    from .workflows_work import list_workflows as work

    raise SystemExit(work(home, url, text, filters, as_json))


@workflow.command("show")
@click.argument("name")
@click.option("--version", default=0, help="An earlier one (default: what runs in production).")
@over_api
def show(name: str, version: int, as_json: bool, home: str, url: str) -> None:
    """A workflow; with --json all of it."""
    from .workflows_work import show as work

    raise SystemExit(work(home, url, name, version, as_json))


@workflow.command("validate")
@FILES
@click.option("--server", is_flag=True, help="Ask the API: credentials, error workflow and policy count as well.")
@over_api
def validate(files: tuple[str, ...], server: bool, as_json: bool, home: str, url: str) -> None:
    """Say all that is wrong with workflow files (- is stdin), with pointers. The exit code is 1 where something is.

    Without --server nothing has to run: node types, settings, expressions and edges are checked here.
    """
    from .validating import validate as work

    raise SystemExit(work(home, url, files, server, as_json))


@workflow.command("import")
@FILES
@click.option("--on-conflict", type=click.Choice(["new", "skip", "replace"]), default="replace", show_default=True,
              help="What to do about a name that is there.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Only say what would happen.")
@click.option("--folder", default="", help="Where new ones go: a path such as Shop/Orders.")
@over_api
def import_(
    files: tuple[str, ...], on_conflict: str, dry_run: bool, folder: str, as_json: bool, home: str, url: str
) -> None:
    """Import files: JSON with one or many workflows, or zip. The exit code is 1 where some did not come in."""
    from .workflows_work import import_files as work

    raise SystemExit(work(home, url, files, on_conflict, dry_run, folder, as_json))


@workflow.command("export")
@click.argument("names", nargs=-1)
@click.option("--tag", "tags", multiple=True, help="All that have it; may be repeated.")
@click.option("--folder", default="", help="All in this folder and below.")
@click.option("--all", "every", is_flag=True, help="All of the workspace.")
@click.option("--version", default=0, help="An earlier version, of one workflow.")
@click.option("--output", "-o", default="-", type=click.Path(dir_okay=False, allow_dash=True),
              help="A file; .zip makes a file each.")  # fmt: skip
@HOME
@URL
def export(
    names: tuple[str, ...], tags: tuple[str, ...], folder: str, every: bool, version: int, output: str, home: str,
    url: str,
) -> None:  # fmt: skip
    """Write workflows to a file, credentials by name."""
    from .workflows_work import export as work

    raise SystemExit(work(home, url, names, tags, folder, every, version, output))


@workflow.command("delete")
@click.argument("name")
@YES
@HOME
@URL
def delete(name: str, yes: bool, home: str, url: str) -> None:
    """Delete a workflow; runs under way end by themselves."""
    from .workflows_work import delete as work

    raise SystemExit(work(home, url, name, yes))


@workflow.command("activate")
@click.argument("name")
@ENVIRONMENT
@over_api
def activate(name: str, environment: str, as_json: bool, home: str, url: str) -> None:
    """Switch webhooks and schedules on."""
    from .workflows_work import switch as work

    raise SystemExit(work(home, url, name, environment, True, as_json))


@workflow.command("deactivate")
@click.argument("name")
@ENVIRONMENT
@over_api
def deactivate(name: str, environment: str, as_json: bool, home: str, url: str) -> None:
    """Switch webhooks and schedules off."""
    from .workflows_work import switch as work

    raise SystemExit(work(home, url, name, environment, False, as_json))


@workflow.command("duplicate")
@click.argument("name")
@click.option("--as", "title", default="", help="The copy's name.")
@over_api
def duplicate(name: str, title: str, as_json: bool, home: str, url: str) -> None:
    """Copy a workflow; the copy is switched off."""
    from .workflows_work import change as work

    raise SystemExit(work(home, url, name, "POST", "duplicate", {"name": title} if title else {}, as_json))


@workflow.command("lock")
@click.argument("name")
@click.option("--reason", default="")
@over_api
def lock(name: str, reason: str, as_json: bool, home: str, url: str) -> None:
    """Let nobody change a workflow, or what of it runs where. It goes on running."""
    from .workflows_work import change as work

    raise SystemExit(work(home, url, name, "POST", "lock", {"reason": reason}, as_json))


@workflow.command("unlock")
@click.argument("name")
@over_api
def unlock(name: str, as_json: bool, home: str, url: str) -> None:
    """Let a workflow be changed again."""
    from .workflows_work import change as work

    raise SystemExit(work(home, url, name, "POST", "unlock", {}, as_json))


@workflow.command("tag")
@click.argument("name")
@click.argument("tags", nargs=-1, required=True)
@click.option("--remove", is_flag=True, help="Take them off.")
@over_api
def tag(name: str, tags: tuple[str, ...], remove: bool, as_json: bool, home: str, url: str) -> None:
    """Hang tags on a workflow; new names become tags."""
    from .workflows_work import tag as work

    raise SystemExit(work(home, url, name, tags, remove, as_json))


@workflow.command("tags")
@over_api
def tags(as_json: bool, home: str, url: str) -> None:
    """The workspace's tags."""
    from .workflows_work import tags as work

    raise SystemExit(work(home, url, as_json))


@workflow.command("move")
@click.argument("name")
@click.argument("folder")
@over_api
def move(name: str, folder: str, as_json: bool, home: str, url: str) -> None:
    """Put a workflow into FOLDER, a path such as Shop/Orders, which is made where it is not there; / is no folder."""
    from .workflows_work import move as work

    raise SystemExit(work(home, url, name, folder, as_json))


@workflow.command("folders")
@over_api
def folders(as_json: bool, home: str, url: str) -> None:
    """The workspace's folders."""
    from .workflows_work import folders as work

    raise SystemExit(work(home, url, as_json))

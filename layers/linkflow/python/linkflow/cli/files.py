"""``linkflow files``: files of the workspace, as the node action_storage has them."""

from __future__ import annotations

import click

from .options import HOME, JSON, URL


@click.group()
def files() -> None:
    """Files that workflows keep in the workspace."""


@files.command("list")
@click.argument("prefix", default="")
@JSON
@HOME
@URL
def list_files(prefix: str, as_json: bool, home: str, url: str) -> None:
    """Files whose paths begin with PREFIX."""
    from .files_work import show

    raise SystemExit(show(home, url, prefix, as_json))


@files.command("get")
@click.argument("path")
@click.option("-o", "--output", type=click.Path(dir_okay=False), help="Where to write it (default: stdout).")
@HOME
@URL
def get(path: str, output: str | None, home: str, url: str) -> None:
    """A file's content."""
    from .files_work import fetch

    raise SystemExit(fetch(home, url, path, output))


@files.command("put")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@click.argument("path")
@click.option("--type", "content_type", default="", help="Left out: told from the name.")
@HOME
@URL
def put(file: str, path: str, content_type: str, home: str, url: str) -> None:
    """Keep FILE under PATH."""
    from .files_work import send

    raise SystemExit(send(home, url, file, path, content_type))


@files.command("delete")
@click.argument("paths", nargs=-1, required=True)
@HOME
@URL
def delete(paths: tuple[str, ...], home: str, url: str) -> None:
    """Delete files, for good."""
    from .files_work import remove

    raise SystemExit(remove(home, url, paths))

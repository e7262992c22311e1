"""Commands about node types: what there is, trying one, beginning one."""

from __future__ import annotations

import click

from .options import JSON


@click.group("node")
def nodes() -> None:
    """Node types: look at them, try them, begin one of your own."""


@nodes.command("list")
@JSON
def list_types(as_json: bool) -> None:
    """Every node type, built in or added by a package."""
    from .node_work import list_types as listing

    raise SystemExit(listing(as_json))


@nodes.command("show")
@click.argument("type")
@click.option("--version", default=0, help="A version (default: the newest).")
@JSON
def show(type: str, version: int, as_json: bool) -> None:
    """One node type: config, outputs, errors, examples."""
    from .node_work import show as about

    raise SystemExit(about(type, version, as_json))


@nodes.command("test")
@click.argument("what")
@click.option("--config", help="Config as JSON, or @FILE: run the node once with it.")
@click.option("--input", "data", help="Input as JSON, or @FILE: run the node once with it.")
def test(what: str, config: str | None, data: str | None) -> None:
    """Run the examples of WHAT, a type or a file; or one input.

    Examples run against a stand-in on loopback. With --config or --input the node runs once, and may go out for real.
    """
    from .node_work import test as try_out

    raise SystemExit(try_out(what, config, data))


@nodes.command("new")
@click.argument("name")
@click.option("--dir", "folder", default=".", type=click.Path(file_okay=False), help="Where to write it.")
def new(name: str, folder: str) -> None:
    """Write a node type called NAME to begin with: the node, its test, and a pyproject.toml if there is none."""
    from .node_scaffold import new as begin

    raise SystemExit(begin(name, folder))


@nodes.command("docs")
@click.argument("folder", default="docs/nodes", type=click.Path(file_okay=False))
@click.option("--check", is_flag=True, help="Only say whether the pages are current.")
def docs(folder: str, check: bool) -> None:
    """Write the pages of the built-in node types to FOLDER."""
    from .node_pages import write

    raise SystemExit(write(folder, check))

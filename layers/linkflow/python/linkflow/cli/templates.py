"""Commands about templates."""

from __future__ import annotations

from typing import Any

import click

from .workflows import over_api


@click.group("template")
def template() -> None:
    """Workflows to begin with."""


@template.command("list")
@click.argument("text", default="")
@click.option("--category", default="", help="Only of this one.")
@over_api
def list_templates(text: str, category: str, as_json: bool, home: str, url: str) -> None:
    """All templates, or those with these words."""
    from .workflows_work import over, printed

    def act(api: Any) -> int:
        found = api.get("/api/v1/templates", q=text, category=category)["data"]
        return printed(found, as_json, *(f"{one['slug']:<20} {one['category']:<14} {one['name']}" for one in found))

    raise SystemExit(over(home, url, act))


@template.command("show")
@click.argument("slug")
@over_api
def show(slug: str, as_json: bool, home: str, url: str) -> None:
    """A template, and what it needs."""
    from .workflows_work import over, printed

    def act(api: Any) -> int:
        found = api.get(f"/api/v1/templates/{slug}")["template"]
        lines = [found["name"], f"  {found['description']}"]
        lines += [f"  variable {one['key']}: {one['description']}" for one in found["variables"]]
        lines += [f"  credential {one['name']!r} of the type {one['type']}" for one in found["needs"]]
        lines += [f"  {node['type']:<20} {node.get('name') or node['id']}" for node in found["workflow"]["nodes"]]
        return printed(found, as_json, *lines)

    raise SystemExit(over(home, url, act))


@template.command("use")
@click.argument("slug")
@click.option("--as", "title", default="", help="The workflow's name.")
@over_api
def use(slug: str, title: str, as_json: bool, home: str, url: str) -> None:
    """Make a workflow of a template, switched off."""
    from .client import say
    from .workflows_work import line_of, over, pages, printed

    def act(api: Any) -> int:
        made = api.post(f"{api.base}/templates/{slug}/use", {"name": title} if title else {})["workflow"]
        for warning in made["warnings"]:
            say(f"  {warning['path']}: {warning['message']}")
        there = {one["key"] for one in pages(api, f"{api.base}/variables")}
        for one in api.get(f"/api/v1/templates/{slug}")["template"]["variables"]:
            if one["key"] not in there:
                say(f"  There is no variable {one['key']}. {one['description']}")
        return printed(made, as_json, line_of(made))

    raise SystemExit(over(home, url, act))


@template.command("docs")
@click.argument("file", default="docs/templates.md", type=click.Path(dir_okay=False))
def docs(file: str) -> None:
    """Write the page about templates."""
    from pathlib import Path

    from .template_page import page

    Path(file).write_text(page(), encoding="utf-8")

"""``linkflow retention``: how long runs are kept."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import HOME, JSON, URL


@click.group()
def retention() -> None:
    """How long runs that have closed are kept."""


@retention.command()
@JSON
@HOME
@URL
def show(as_json: bool, home: str, url: str) -> None:
    """What the workspace has set, and what holds where it says nothing."""
    from .looking_work import ask, show_document

    raise SystemExit(ask(home, url, "/retention", as_json, show_document))


@retention.command("set")
@click.option("--days", type=click.IntRange(0, 3650), help="Of all workflows; 0: nothing of its own.")
@click.option("--workflow", "workflows", multiple=True, metavar="ID=DAYS", help="Of one; 0 days: nothing of its own.")
@HOME
@URL
def set_retention(days: int | None, workflows: tuple[str, ...], home: str, url: str) -> None:
    """Change it. What is not named stays as it is."""
    from .work import connected, guarded

    def work() -> int:
        with connected(home, url) as api:
            now = api.get(f"{api.base}/retention")["retention"]
            own: dict[str, int] = dict(now["workflows"])
            for text in workflows:
                id, _, number = text.partition("=")
                own[id] = int(number)
            body: dict[str, Any] = {
                "days": (now["days"] if days is None else days) or None,
                "workflows": {id: number for id, number in own.items() if number},
            }
            print(json.dumps(api.put(f"{api.base}/retention", body)["retention"], indent=2))
        return 0

    raise SystemExit(guarded(work))

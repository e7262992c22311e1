"""Commands about dead letters, over the API."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import HOME, JSON, URL


@click.group("dead-letters")
def dead_letters() -> None:
    """Tasks that no worker finished: look at them, let their runs go on, or forget them."""


@dead_letters.command("list")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100))
@JSON
@HOME
@URL
def list_letters(limit: int, as_json: bool, home: str, url: str) -> None:
    """The newest first."""

    def show(api: Any) -> None:
        found = api.get(f"{api.base}/dead-letters", per_page=limit)["data"]
        if as_json:
            print(json.dumps(found, indent=2))
            return
        for letter in found:
            print(f"{letter['id']}\n  {_about(letter)}")
        if not found:
            click.echo("No dead letters.", err=True)

    _over_api(home, url, show)


@dead_letters.command("show")
@click.argument("letter_id")
@HOME
@URL
def show_letter(letter_id: str, home: str, url: str) -> None:
    """One letter: which task, how often it was given out, why it is here, and where its run is."""
    _over_api(home, url, lambda api: _print(api.get(f"{api.base}/dead-letters/{letter_id}")["dead_letter"]))


@dead_letters.command("redrive")
@click.argument("letter_id")
@HOME
@URL
def redrive(letter_id: str, home: str, url: str) -> None:
    """Let its run go on: the failed nodes get another attempt."""
    _over_api(home, url, lambda api: _print(api.post(f"{api.base}/dead-letters/{letter_id}/redrive")))


@dead_letters.command("drop")
@click.argument("letter_id")
@HOME
@URL
def drop(letter_id: str, home: str, url: str) -> None:
    """Forget one. Its run stays failed."""
    _over_api(home, url, lambda api: _print(api.delete(f"{api.base}/dead-letters/{letter_id}")))


@dead_letters.command("purge")
@click.option("--yes", is_flag=True, help="Do not ask.")
@HOME
@URL
def purge(yes: bool, home: str, url: str) -> None:
    """Forget all of the workspace. Their runs stay failed."""
    if not yes:
        click.confirm("Forget all dead letters of the workspace?", abort=True)
    _over_api(home, url, lambda api: _print(api.post(f"{api.base}/dead-letters/purge")))


def _over_api(home: str, url: str, work: Any) -> None:
    from .work import connected, guarded

    def act() -> int:
        with connected(home, url) as api:
            work(api)
        return 0

    raise SystemExit(guarded(act))


def _about(letter: dict[str, Any]) -> str:
    return (
        f"{letter['died_at']}  run {letter['execution_id']}  node {letter['node']}, attempt {letter['attempt']}, "
        f"queue {letter['queue']}: {letter['reason']}"
    )


def _print(data: Any) -> None:
    print(json.dumps(data, indent=2))

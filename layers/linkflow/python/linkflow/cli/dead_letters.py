"""Commands about dead letters, over the API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import click

from .options import HOME, JSON, URL

LETTER = click.argument("letter_id")


def _narrow(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which letters."""
    for option in reversed(
        [
            click.option("--workflow", default="", help="Of this workflow (id)."),
            click.option("--execution", default="", help="Of this run (id)."),
            click.option("--queue", default="", help="Of this task queue."),
            click.option("--node", default="", help="Of this node."),
            click.option("--text", default="", help="With this in the reason."),
            click.option("--after", default="", help="Died from this time on (ISO 8601 with a zone)."),
            click.option("--before", default="", help="Died before it."),
        ]
    ):
        command = option(command)
    return command


@click.group("dead-letters")
def dead_letters() -> None:
    """Tasks that no worker finished: look at them, let their runs go on, or forget them."""


@dead_letters.command("list")
@_narrow
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@JSON
@HOME
@URL
def list_letters(limit: int, as_json: bool, home: str, url: str, **given: str) -> None:
    """The newest first."""

    def show(api: Any) -> int:
        found: list[Any] = []
        cursor = ""
        while len(found) < limit:
            per_page = min(100, limit - len(found))
            page = api.get(f"{api.base}/dead-letters", per_page=per_page, cursor=cursor, **_filter(given))
            found += page["data"]
            cursor = page["meta"]["next_cursor"]
            if not cursor:
                break
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for letter in found:
            print(f"{letter['id']}\n  {_about(letter)}")
        if not found:
            click.echo("No dead letters.", err=True)
        return 0

    _over_api(home, url, show)


@dead_letters.command("show")
@LETTER
@JSON
@HOME
@URL
def show_letter(letter_id: str, as_json: bool, home: str, url: str) -> None:
    """One letter: which task, how often it was given out, why it is here, and where its run is."""
    _over_api(home, url, lambda api: _print(api.get(f"{api.base}/dead-letters/{letter_id}")["dead_letter"]))


@dead_letters.command("redrive")
@click.argument("letter_id", default="")
@click.option("--all", "every", is_flag=True, help="The runs of all letters, or of those that fit.")
@_narrow
@click.option("--limit", default=10_000, show_default=True, help="With --all: so many runs at most.")
@click.option("--dry-run", is_flag=True, help="With --all: only count them.")
@click.option("--detach", is_flag=True, help="With --all: do not wait for the end.")
@JSON
@HOME
@URL
def redrive(
    letter_id: str, every: bool, limit: int, dry_run: bool, detach: bool, as_json: bool, home: str, url: str,
    **given: str,
) -> None:  # fmt: skip
    """Let its run go on: the failed nodes get another attempt. With --all many, with a bar of how far it is."""
    if bool(letter_id) == every:
        raise click.UsageError("Give a letter's id, or --all.")

    def work(api: Any) -> int:
        if letter_id:
            return _print(api.post(f"{api.base}/dead-letters/{letter_id}/redrive"))
        from .forking import begun

        form = {name: value for name, value in _filter(given).items() if value}
        answer = api.post(f"{api.base}/dead-letters/redrive", {**form, "limit": limit, "dry_run": dry_run})
        return begun(api, answer, as_json, detach)

    _over_api(home, url, work)


@dead_letters.command("drop")
@LETTER
@JSON
@HOME
@URL
def drop(letter_id: str, as_json: bool, home: str, url: str) -> None:
    """Forget one. Its run stays failed."""
    _over_api(home, url, lambda api: _print(api.delete(f"{api.base}/dead-letters/{letter_id}")))


@dead_letters.command("purge")
@_narrow
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@HOME
@URL
def purge(yes: bool, as_json: bool, home: str, url: str, **given: str) -> None:
    """Forget all of the workspace, or those that fit. Their runs stay failed."""
    form = {name: value for name, value in _filter(given).items() if value}
    if not yes:
        click.confirm(f"Forget {'these' if form else 'all'} dead letters of the workspace?", abort=True)
    _over_api(home, url, lambda api: _print(api.post(f"{api.base}/dead-letters/purge", form)))


def _filter(given: dict[str, str]) -> dict[str, str]:
    return {
        "workflow_id": given["workflow"], "execution_id": given["execution"], "queue": given["queue"],
        "node": given["node"], "text": given["text"], "died_after": given["after"], "died_before": given["before"],
    }  # fmt: skip


def _over_api(home: str, url: str, work: Callable[[Any], int]) -> None:
    from .work import connected, guarded

    def act() -> int:
        with connected(home, url) as api:
            return work(api)

    raise SystemExit(guarded(act))


def _about(letter: dict[str, Any]) -> str:
    return (
        f"{letter['died_at']}  run {letter['execution_id']}  node {letter['node']}, attempt {letter['attempt']}, "
        f"queue {letter['queue']}: {letter['reason']}"
    )


def _print(data: Any) -> int:
    print(json.dumps(data, indent=2))
    return 0

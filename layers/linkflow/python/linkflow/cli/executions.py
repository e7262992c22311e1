"""``linkflow executions``: list runs, make new ones from old ones, and verbs upon many."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .looking import add_to
from .options import HOME, JSON, URL
from .usage import stats

INPUT = click.option("--input", "data", default=None, help="Other input as JSON, or @FILE.")
VERSION = click.option("--version", default="", help="Workflow version: a number or `latest` (default: the run's own).")
DRY = click.option("--dry-run", is_flag=True, help="Only say what would be done.")
WHERE = (
    "A filter; may be given several times. NAME is status, workflow_id, mode, version, environment, error_code, text, "
    "started_after, started_before, min_duration, max_duration (seconds), source_id or attributes.SOMETHING."
)
REASON = click.option("--reason", default="", help="Why, for the history.")


@click.group(invoke_without_command=True)
@click.option("--status", default="", help="Only runs with this status.")
@click.option("--workflow", default="", help="Only runs of this workflow (id).")
@click.option("--source", default="", help="Only forks and reruns of this run (id).")
@click.option("--limit", default=20, show_default=True)
@JSON
@HOME
@URL
@click.pass_context
def executions(
    context: click.Context, status: str, workflow: str, source: str, limit: int, as_json: bool, home: str, url: str
) -> None:
    """List runs, newest first; or fork, reset, rerun, or handle many."""
    if context.invoked_subcommand is None:
        from .work import executions as listing

        raise SystemExit(listing(home, url, status, workflow, limit, as_json, source))


add_to(executions)
executions.add_command(stats)


@executions.command("list")
@click.option("--where", multiple=True, metavar="NAME=VALUE", help=WHERE)
@click.option("--limit", default=20, show_default=True)
@JSON
@HOME
@URL
def list_runs(where: tuple[str, ...], limit: int, as_json: bool, home: str, url: str) -> None:
    """List runs, newest first, that fit all of --where."""
    from .work import list_where

    raise SystemExit(list_where(home, url, where, limit, as_json))


def _from_node(verb: str, help: str) -> None:
    @executions.command(verb, help=help)
    @click.argument("execution_id")
    @click.option("--node", required=True, help="The node to go on from: `send`, or in a loop `send[3]`.")
    @INPUT
    @VERSION
    @DRY
    @REASON
    @JSON
    @HOME
    @URL
    def command(home: str, url: str, execution_id: str, as_json: bool, **given: Any) -> None:
        from .forking import make

        raise SystemExit(make(home, url, execution_id, verb, given, as_json))


_from_node("fork", "A new run that keeps what EXECUTION_ID had done, except for a node and all behind it.")
_from_node("reset", "Fork, and terminate EXECUTION_ID if it is open.")


@executions.command()
@click.argument("execution_id")
@INPUT
@VERSION
@DRY
@REASON
@JSON
@HOME
@URL
def rerun(home: str, url: str, execution_id: str, as_json: bool, **given: Any) -> None:
    """A new run with the trigger data of EXECUTION_ID, or with other."""
    from .forking import make

    raise SystemExit(make(home, url, execution_id, "rerun", given, as_json))


@executions.group()
def bulk() -> None:
    """Verbs upon many runs."""


def _filters(command: Callable[..., None]) -> Callable[..., None]:
    for option in reversed(
        (
            click.option("--workflow", default="", help="Runs of this workflow (id)."),
            click.option("--status", multiple=True, help="Runs with this status; may be given several times."),
            click.option("--mode", default="", help="Runs that were started so: webhook, schedule, ..."),
            click.option("--after", default="", help="Runs started at or after this time (ISO 8601 with a zone)."),
            click.option("--before", default="", help="Runs started before it."),
            click.option("--id", "ids", multiple=True, help="This run; may be given several times."),
            click.option("--limit", default=10_000, show_default=True, help="At most so many, the newest."),
        )
    ):
        command = option(command)
    return command


@bulk.command()
@click.argument(
    "verb",
    type=click.Choice(
        ["cancel", "terminate", "pause", "resume", "retry", "signal", "fork", "reset", "rerun", "delete"]
    ),
)  # fmt: skip
@_filters
@click.option("--node", default="", help="fork, reset: the node to go on from.")
@INPUT
@VERSION
@click.option("--name", default="", help="signal: the event's name.")
@click.option("--key", default="", help="signal: its key.")
@click.option("--payload", default=None, help="signal: its data as JSON, or @FILE.")
@REASON
@DRY
@click.option("--detach", is_flag=True, help="Do not wait for the end.")
@JSON
@HOME
@URL
def start(home: str, url: str, verb: str, as_json: bool, detach: bool, **given: Any) -> None:
    """Cancel, terminate, pause, resume, retry, signal, fork, reset, rerun or delete all runs that fit."""
    from .forking import begin

    raise SystemExit(begin(home, url, verb, given, as_json, detach))


@bulk.command("list")
@JSON
@HOME
@URL
def list_(home: str, url: str, as_json: bool) -> None:
    """Operations, newest first."""
    from .forking import operations

    raise SystemExit(operations(home, url, as_json))


@bulk.command()
@click.argument("bulk_id")
@JSON
@HOME
@URL
def watch(home: str, url: str, bulk_id: str, as_json: bool) -> None:
    """Follow an operation to its end."""
    from .forking import follow

    raise SystemExit(follow(home, url, bulk_id, as_json))


@bulk.command()
@click.argument("bulk_id")
@JSON
@HOME
@URL
def cancel(home: str, url: str, bulk_id: str, as_json: bool) -> None:
    """Stop an operation; runs that it has not come to stay as they are."""
    from .forking import stop

    raise SystemExit(stop(home, url, bulk_id, as_json))

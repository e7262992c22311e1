"""``linkflow execution``: look at one run, and the control verbs."""

from __future__ import annotations

from typing import Any

import click

from .options import HOME, JSON, URL

VERBS = {
    "cancel": "End EXECUTION_ID: what is under way is cancelled, clean-up branches run.",
    "terminate": "End EXECUTION_ID at once.",
    "retry": "Go on with EXECUTION_ID: its failed nodes get another attempt.",
    "pause": "Start nothing further in EXECUTION_ID until it is resumed.",
    "resume": "Go on with EXECUTION_ID.",
}


def add_to(group: click.Group) -> None:
    """Put the commands about single runs into a group."""
    for command in (show, nodes, node, logs, timeline, diff, state, signal, watch, delete):
        group.add_command(command)
    for verb, help in VERBS.items():
        group.add_command(_control(verb, help))


@click.command()
@click.argument("execution_id")
@JSON
@HOME
@URL
def show(execution_id: str, as_json: bool, home: str, url: str) -> None:
    """A run with its trigger data, result or error, and where its nodes stand."""
    from .looking_work import ask, show_document

    raise SystemExit(ask(home, url, f"/executions/{execution_id}", as_json, show_document))


@click.command()
@click.argument("execution_id")
@JSON
@HOME
@URL
def nodes(execution_id: str, as_json: bool, home: str, url: str) -> None:
    """The node runs of a run."""
    from .looking_work import ask, show_nodes

    raise SystemExit(ask(home, url, f"/executions/{execution_id}/nodes", as_json, show_nodes))


@click.command()
@click.argument("execution_id")
@click.argument("key")
@click.option("--part", type=click.Choice(["input", "output"]), help="Only this, a page of it.")
@click.option("--pointer", default="", help="With --part: a JSON pointer into it, as /rows/0.")
@click.option("--offset", default=0, type=click.IntRange(0), help="With --part: where the page begins.")
@click.option("--limit", default=100, type=click.IntRange(1, 100_000), show_default=True)
@JSON
@HOME
@URL
def node(execution_id: str, key: str, part: str | None, as_json: bool, home: str, url: str, **page: Any) -> None:
    """One node run: KEY is as `nodes` prints it, `send` or in a loop `send[3]`."""
    from urllib.parse import quote

    from .looking_work import ask, show_document

    encoded = quote(key, safe="").replace("~", "%7E").replace("%", "~")
    path = f"/executions/{execution_id}/nodes/{encoded}"
    if part:
        raise SystemExit(ask(home, url, f"{path}/{part}", as_json, show_document, **page))
    raise SystemExit(ask(home, url, path, as_json, show_document))


@click.command()
@click.argument("execution_id")
@click.option("--node", default="", help="Only lines of this node.")
@click.option("--level", default="", type=click.Choice(["", "debug", "info", "warning", "error"]), help="At least.")
@click.option("--follow", "-f", is_flag=True, help="Go on until the run is over.")
@JSON
@HOME
@URL
def logs(execution_id: str, node: str, level: str, follow: bool, as_json: bool, home: str, url: str) -> None:
    """What the nodes of a run have written, and which attempts failed. --json prints an object a line."""
    from .looking_work import logs as print_logs

    raise SystemExit(print_logs(home, url, execution_id, node, level, follow, as_json))


@click.command()
@click.argument("execution_id")
@JSON
@HOME
@URL
def timeline(execution_id: str, as_json: bool, home: str, url: str) -> None:
    """When each node was queued, ran and waited, drawn on one scale."""
    from .looking_work import ask, show_timeline

    raise SystemExit(ask(home, url, f"/executions/{execution_id}/timeline", as_json, show_timeline))


@click.command()
@click.argument("before")
@click.argument("after")
@JSON
@HOME
@URL
def diff(before: str, after: str, as_json: bool, home: str, url: str) -> None:
    """What the run AFTER did otherwise than BEFORE: nodes, outputs, way, result."""
    from .looking_work import ask, show_difference

    raise SystemExit(ask(home, url, f"/executions/{before}/diff", as_json, show_difference, **{"with": after}))


@click.command()
@click.argument("execution_id")
@click.option("--at", default=0, type=click.IntRange(0), help="Right after this event (default: now).")
@HOME
@URL
def state(execution_id: str, at: int, home: str, url: str) -> None:
    """The state of a run at any event, as JSON."""
    from .looking_work import ask, show_document

    raise SystemExit(ask(home, url, f"/executions/{execution_id}/state", False, show_document, at=at))


@click.command()
@click.argument("execution_id")
@click.argument("name")
@click.option("--key", default="", help="The correlation key.")
@click.option("--payload", default="null", help="JSON.")
@JSON
@HOME
@URL
def signal(execution_id: str, name: str, key: str, payload: str, as_json: bool, home: str, url: str) -> None:
    """Send a run the event NAME."""
    import json

    from .looking_work import tell

    try:
        body = {"name": name, "key": key, "payload": json.loads(payload)}
    except ValueError as error:
        raise click.BadParameter(f"this is no JSON: {error}", param_hint="--payload") from None
    raise SystemExit(tell(home, url, f"/executions/{execution_id}/signal", body, as_json))


@click.command()
@click.argument("execution_id", default="")
@JSON
@HOME
@URL
def watch(execution_id: str, as_json: bool, home: str, url: str) -> None:
    """Follow a run to its end; without EXECUTION_ID, all runs of the workspace as they change, until Ctrl-C."""
    from .looking_work import follow, follow_all

    if execution_id:
        raise SystemExit(follow(home, url, execution_id, as_json))
    raise SystemExit(follow_all(home, url, as_json))


@click.command()
@click.argument("execution_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@JSON
@HOME
@URL
def delete(execution_id: str, yes: bool, as_json: bool, home: str, url: str) -> None:
    """Delete a run that is over, for good."""
    from .looking_work import tell

    if not yes:
        click.confirm(f"Delete {execution_id} with its events and payloads?", abort=True)
    raise SystemExit(tell(home, url, f"/executions/{execution_id}", None, as_json, "delete"))


def _control(verb: str, help: str) -> click.Command:
    @click.command(verb, help=help)
    @click.argument("execution_id")
    @click.option("--reason", default="", help="Why, for the history.")
    @JSON
    @HOME
    @URL
    def command(execution_id: str, reason: str, as_json: bool, home: str, url: str) -> None:
        from .looking_work import tell

        raise SystemExit(tell(home, url, f"/executions/{execution_id}/{verb}", {"reason": reason}, as_json))

    return command

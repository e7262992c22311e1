"""``linkflow notification``: who is told when something happens to runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from .options import HOME, JSON, URL

ID = click.argument("rule_id")
EVENTS = ("failed", "timed_out", "dead_letter", "approval", "long_running")


@click.group()
def notifications() -> None:
    """Who is told when runs fail, take long, or wait for somebody."""


@notifications.command("list")
@JSON
@HOME
@URL
def list_rules(as_json: bool, home: str, url: str) -> None:
    """All rules of the workspace."""
    from .looking_work import ask

    raise SystemExit(ask(home, url, "/notifications", as_json, _lines))


@notifications.command()
@ID
@HOME
@URL
def show(rule_id: str, home: str, url: str) -> None:
    """One rule, as JSON."""
    from .looking_work import ask, show_document

    raise SystemExit(ask(home, url, f"/notifications/{rule_id}", False, show_document))


@notifications.command()
@click.argument("name")
@click.option(
    "--on", "events", multiple=True, required=True, type=click.Choice(EVENTS), help="Several times for several."
)
@click.option("--webhook", default="", help="Tell this address.")
@click.option("--email", multiple=True, help="Tell this address; several times for several.")
@click.option("--slack", is_flag=True, help="Tell Slack; needs a credential.")
@click.option("--channel", default="", help="Slack: the channel, where the credential is a token.")
@click.option("--credential", default="", help="Id or name: what signs a webhook, the mail server, or Slack's.")
@click.option(
    "--workflow", "workflows", multiple=True, help="Only runs of this workflow (id); several times for several."
)
@click.option(
    "--every", default=300, show_default=True, help="Tell of the same failure once in so many seconds; 0: always."
)
@click.option("--after", default=0, help="long_running: after so many seconds.")
@JSON
@HOME
@URL
def add(
    name: str, events: tuple[str, ...], webhook: str, email: tuple[str, ...], slack: bool, channel: str,
    credential: str, workflows: tuple[str, ...], every: int, after: int, as_json: bool, home: str, url: str,
) -> None:  # fmt: skip
    """Make a rule. `notification test` tries it."""
    from .looking_work import tell

    if [bool(webhook), bool(email), slack].count(True) != 1:
        raise click.UsageError("Give one of --webhook, --email and --slack.")
    to = [channel] if channel else list(email)
    body = {
        "name": name, "events": list(events), "workflow_ids": list(workflows), "every_seconds": every,
        "after_seconds": after,
        "channel": {
            "type": "webhook" if webhook else "slack" if slack else "email", "url": webhook, "to": to,
            "credential": credential,
        },
    }  # fmt: skip
    raise SystemExit(tell(home, url, "/notifications", body, as_json))


@notifications.command()
@ID
@HOME
@URL
def on(rule_id: str, home: str, url: str) -> None:
    """Switch a rule on."""
    _change(home, url, rule_id, is_enabled=True)


@notifications.command()
@ID
@HOME
@URL
def off(rule_id: str, home: str, url: str) -> None:
    """Switch a rule off."""
    _change(home, url, rule_id, is_enabled=False)


@notifications.command()
@ID
@JSON
@HOME
@URL
def remove(rule_id: str, as_json: bool, home: str, url: str) -> None:
    """Delete a rule. What is on its way arrives."""
    from .looking_work import tell

    raise SystemExit(tell(home, url, f"/notifications/{rule_id}", None, as_json, "delete"))


@notifications.command()
@ID
@JSON
@HOME
@URL
def test(rule_id: str, as_json: bool, home: str, url: str) -> None:
    """Tell now that it is a test. 1 where that did not arrive."""
    import json

    def work(api: Any) -> int:
        found = api.post(f"{api.base}/notifications/{rule_id}/test")
        run = found["execution"]
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            error = f" {run['error']['code']}: {run['error']['message']}" if run["error"] else ""
            print(f"{found['message']}{error}")
        return 0 if run["status"] == "completed" else 1

    _over_api(home, url, work)


def _change(home: str, url: str, rule_id: str, **change: Any) -> None:
    def work(api: Any) -> int:
        path = f"{api.base}/notifications/{rule_id}"
        rule = api.get(path)["notification"]
        rule["channel"] = {name: value for name, value in rule["channel"].items() if value is not None}
        print(api.put(path, {**rule, **change})["message"])
        return 0

    _over_api(home, url, work)


def _over_api(home: str, url: str, work: Callable[[Any], int]) -> None:
    from .work import connected, guarded

    def act() -> int:
        with connected(home, url) as api:
            return work(api)

    raise SystemExit(guarded(act))


def _lines(found: Any) -> None:
    for rule in found["data"]:
        channel = rule["channel"]
        to = channel["url"] or ", ".join(channel["to"])
        off = "" if rule["is_enabled"] else "  (off)"
        print(f"{rule['id']}  {rule['name']:<24} {', '.join(rule['events'])}  ->  {channel['type']} {to}{off}")
    if not found["data"]:
        click.echo("No rules.", err=True)

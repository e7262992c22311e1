"""Commands about webhooks: addresses, what came in, and the test address."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import HOME, URL

JSON = click.option("--json", "as_json", is_flag=True, help="Machine-readable.")


@click.group("webhook")
def webhook() -> None:
    """Addresses of webhooks, what came in, and trying them out."""


@webhook.command("list")
@click.option("--workflow", default="", help="Only those of this workflow.")
@JSON
@HOME
@URL
def show_all(workflow: str, as_json: bool, home: str, url: str) -> None:
    """Every webhook of the workspace with its address."""

    def work(api: Any) -> None:
        rows = api.get(f"{api.base}/webhooks?per_page=100&workflow_id={workflow}")["data"]
        if as_json:
            print(json.dumps(rows, indent=2))
            return
        for row in rows:
            state = "on " if row["is_active"] else "off"
            print(f"{state}  {','.join(row['methods']):<12} {row['auth']:<7} {row['url']}")

    _over_api(home, url, work)


@webhook.command("deliveries")
@click.argument("webhook_id")
@JSON
@HOME
@URL
def deliveries(webhook_id: str, as_json: bool, home: str, url: str) -> None:
    """What came in lately, and what became of it."""

    def work(api: Any) -> None:
        rows = api.get(f"{api.base}/webhooks/{webhook_id}/deliveries?per_page=50")["data"]
        if as_json:
            print(json.dumps(rows, indent=2))
            return
        for row in rows:
            run = row.get("execution") or {}
            what = f"{run['id']} {run['status']}" if row["accepted"] else f"{row['code']}: {row['detail']}"
            print(f"{row['at']}  {row['status']}  {what}")

    _over_api(home, url, work)


@webhook.command("redeliver")
@click.argument("webhook_id")
@click.argument("execution_id")
@HOME
@URL
def redeliver(webhook_id: str, execution_id: str, home: str, url: str) -> None:
    """Start another run with what a call brought."""
    path = f"/webhooks/{webhook_id}/deliveries/{execution_id}/redeliver"
    _over_api(home, url, lambda api: print(api.post(api.base + path)["execution"]["id"]))


@webhook.command("rotate")
@click.argument("webhook_id")
@HOME
@URL
def rotate(webhook_id: str, home: str, url: str) -> None:
    """Give it a new address; the old one is gone at once."""
    _over_api(home, url, lambda api: print(api.post(f"{api.base}/webhooks/{webhook_id}/rotate")["webhook"]["url"]))


@webhook.command("switch")
@click.argument("webhook_id")
@click.argument("state", type=click.Choice(["on", "off"]))
@HOME
@URL
def switch(webhook_id: str, state: str, home: str, url: str) -> None:
    """Hold calls back, or let them in again."""
    verb = "activate" if state == "on" else "deactivate"
    _over_api(home, url, lambda api: print(api.post(f"{api.base}/webhooks/{webhook_id}/{verb}")["message"]))


@webhook.command("listen")
@click.argument("webhook_id")
@HOME
@URL
def listen(webhook_id: str, home: str, url: str) -> None:
    """Print what comes to the test address, for ten minutes or until it is interrupted."""

    def work(api: Any) -> None:
        opened = api.post(f"{api.base}/webhooks/{webhook_id}/listen")
        click.echo(f"Send calls to {opened['url']}", err=True)
        seen: set[str] = set()
        while len(seen) < 10:
            wait = 0 if seen else 25
            for one in reversed(api.get(f"{api.base}/webhooks/{webhook_id}/captures?wait={wait}")["data"]):
                if one["id"] not in seen:
                    seen.add(one["id"])
                    print(json.dumps(one["trigger"], indent=2), flush=True)
            _pause()

    _over_api(home, url, work)


def _pause() -> None:
    import time

    time.sleep(0.5)


def _over_api(home: str, url: str, work: Any) -> None:
    from .work import connected, guarded

    def act() -> int:
        with connected(home, url) as api:
            work(api)
        return 0

    raise SystemExit(guarded(act))

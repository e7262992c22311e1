"""Commands about what a workspace's nodes may reach: its own rules over the API, any rules on the stores."""

from __future__ import annotations

import json
from typing import Any

import click

from .options import HOME, URL

ALLOW = click.option("--allow", multiple=True, help="A private host, address or network to reach; may be repeated.")
ONLY = click.option("--only", multiple=True, help="Reach nothing but such places; may be repeated.")


@click.group("egress")
def egress() -> None:
    """What the nodes of a workspace may reach."""


@egress.command("show")
@HOME
@URL
def show(home: str, url: str) -> None:
    """What the workspace has set."""
    _over_api(home, url, lambda api: api.get(f"{api.base}/egress")["egress"])


@egress.command("set")
@ALLOW
@ONLY
@HOME
@URL
def set_rules(allow: tuple[str, ...], only: tuple[str, ...], home: str, url: str) -> None:
    """Replace the workspace's rules; without options there are none."""
    form = {"allow": list(allow), "only": list(only)}
    _over_api(home, url, lambda api: api.put(f"{api.base}/egress", form)["egress"])


@egress.command("grant")
@click.argument("workspace_id")
@ALLOW
@ONLY
@HOME
def grant(workspace_id: str, allow: tuple[str, ...], only: tuple[str, ...], home: str) -> None:
    """For operators, on the stores of --home or the environment: replace a workspace's rules, with any places."""
    from .egress_work import grant as write

    raise SystemExit(write(home, workspace_id, allow, only))


def _over_api(home: str, url: str, work: Any) -> None:
    from .work import connected, guarded

    def act() -> int:
        with connected(home, url) as api:
            print(json.dumps(work(api), indent=2))
        return 0

    raise SystemExit(guarded(act))

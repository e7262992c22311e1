"""Commands about what of a workflow runs where: drafts, versions, environments; a workspace's policy."""

from __future__ import annotations

import click

from .options import HOME, URL
from .workflows import YES, over_api, workflow

ENVIRONMENT = click.option("--environment", default="production", show_default=True, help="Where.")
NOTE = click.option("--note", default="", help="Why, for the list of releases.")


@workflow.command("draft")
@click.argument("name")
@click.argument("file", default="", type=click.Path(dir_okay=False, allow_dash=True))
@click.option("--drop", is_flag=True, help="Drop it.")
@over_api
def draft(name: str, file: str, drop: bool, as_json: bool, home: str, url: str) -> None:
    """Show a workflow's draft, or keep FILE as one: it runs nowhere until it is published."""
    from .releasing_work import draft as work

    raise SystemExit(work(home, url, name, file, drop, as_json))


@workflow.command("publish")
@click.argument("name")
@click.option("--version", default=0, help="An earlier one (default: the draft, else the newest).")
@click.option("--summary", default="", help="What changed.")
@ENVIRONMENT
@over_api
def publish(name: str, version: int, summary: str, environment: str, as_json: bool, home: str, url: str) -> None:
    """Let the draft, or a version, run."""
    from .workflows_work import change as work

    body = {"summary": summary, "environment": environment, **({"version": version} if version else {})}
    raise SystemExit(work(home, url, name, "POST", "publish", body, as_json))


@workflow.command("restore")
@click.argument("name")
@click.argument("version", type=int)
@over_api
def restore(name: str, version: int, as_json: bool, home: str, url: str) -> None:
    """Bring an earlier version back into production, as a new one. A draft is kept as a version first."""
    from .workflows_work import change as work

    raise SystemExit(work(home, url, name, "POST", f"versions/{version}/restore", {}, as_json))


@workflow.command("versions")
@click.argument("name")
@over_api
def versions(name: str, as_json: bool, home: str, url: str) -> None:
    """A workflow's versions, newest first."""
    from .releasing_work import versions as work

    raise SystemExit(work(home, url, name, as_json))


@workflow.command("diff")
@click.argument("name")
@click.argument("before", default="current")
@click.argument("after", default="")
@over_api
def diff(name: str, before: str, after: str, as_json: bool, home: str, url: str) -> None:
    """What is different from BEFORE to AFTER: numbers, current, latest, draft, or environments.

    Without AFTER it is the draft, or where there is none the newest version.
    """
    from .releasing_work import diff as work

    raise SystemExit(work(home, url, name, before, after, as_json))


@workflow.command("promote")
@click.argument("name")
@click.argument("source")
@click.argument("target")
@click.option("--version", default=0, help="Another one that was released in SOURCE.")
@click.option(
    "--activate/--deactivate", default=None, help="Switch webhooks and schedules there (default: as they are)."
)
@NOTE
@over_api
def promote(
    name: str, source: str, target: str, version: int, activate: bool | None, note: str, as_json: bool, home: str,
    url: str,
) -> None:  # fmt: skip
    """Let what runs in the environment SOURCE run in TARGET."""
    from .releasing_work import switch as work

    body = {"from": source, "to": target, "note": note, "activate": activate, "version": version or None}
    raise SystemExit(work(home, url, name, "promote", body, as_json))


@workflow.command("rollback")
@click.argument("name")
@click.option("--release", default=0, help="To the release with this number (default: the one before).")
@ENVIRONMENT
@NOTE
@over_api
def rollback(name: str, release: int, environment: str, note: str, as_json: bool, home: str, url: str) -> None:
    """Let the version of the release before run again."""
    from .releasing_work import switch as work

    body = {"environment": environment, "note": note, "release": release or None}
    raise SystemExit(work(home, url, name, "rollback", body, as_json))


@workflow.command("releases")
@click.argument("name")
@click.option("--environment", default="", help="Only there.")
@over_api
def releases(name: str, environment: str, as_json: bool, home: str, url: str) -> None:
    """Every release of a workflow, newest first."""
    from .releasing_work import releases as work

    raise SystemExit(work(home, url, name, environment, as_json))


@workflow.command("environments")
@click.argument("name")
@over_api
def running(name: str, as_json: bool, home: str, url: str) -> None:
    """What of a workflow runs where."""
    from .releasing_work import running as work

    raise SystemExit(work(home, url, name, as_json))


@click.group("environment")
def environment() -> None:
    """Where workflows run: production, and others."""


@environment.command("list")
@over_api
def list_environments(as_json: bool, home: str, url: str) -> None:
    """The workspace's environments."""
    from .releasing_work import environments as work

    raise SystemExit(work(home, url, as_json))


@environment.command("add")
@click.argument("name")
@click.option("--description", default="")
@over_api
def add(name: str, description: str, as_json: bool, home: str, url: str) -> None:
    """Make an environment."""
    from .releasing_work import put_environment as work

    raise SystemExit(work(home, url, name, {"name": name, "description": description}, True, as_json))


@environment.command("set")
@click.argument("name")
@click.option("--description", default=None)
@click.option("--on/--off", "active", default=None, help="In one that is off nothing starts.")
@over_api
def change(name: str, description: str | None, active: bool | None, as_json: bool, home: str, url: str) -> None:
    """Describe an environment anew, or switch it on or off."""
    from .releasing_work import put_environment as work

    body = {"description": description, "is_active": active}
    given = {key: value for key, value in body.items() if value is not None}
    raise SystemExit(work(home, url, name, given, False, as_json))


@environment.command("delete")
@click.argument("name")
@YES
@HOME
@URL
def delete(name: str, yes: bool, home: str, url: str) -> None:
    """Delete an environment, with its webhooks and schedules."""
    from .releasing_work import drop_environment as work

    raise SystemExit(work(home, url, name, yes))


@click.group("policy")
def policy() -> None:
    """What the workspace's workflows may do."""


@policy.command("show")
@over_api
def show_policy(as_json: bool, home: str, url: str) -> None:
    """Show it."""
    from .releasing_work import show_policy as work

    raise SystemExit(work(home, url, as_json))


@policy.command("set")
@click.argument("rules", nargs=-1, required=True, metavar="NAME=VALUE…")
@over_api
def set_policy(rules: tuple[str, ...], as_json: bool, home: str, url: str) -> None:
    """Change some of it: lists with commas, nothing takes a rule away.

    linkflow policy set denied_nodes=action_code,action_database max_cost_per_run=0.5 allowed_hosts=
    """
    from .releasing_work import set_policy as work

    raise SystemExit(work(home, url, rules, as_json))

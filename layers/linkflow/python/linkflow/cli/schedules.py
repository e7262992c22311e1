"""Commands about schedules: looking at them, making and changing them, pausing, running for times that are past."""

from __future__ import annotations

from typing import Any

import click

from .options import HOME, JSON, URL

OVERLAPS = ("allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other")
NAMES = ("cron", "every", "at", "timezone", "start_date", "end_date", "jitter", "overlap", "catch_up")


@click.group("schedule")
def schedule() -> None:
    """Schedules: what starts by the clock, and when."""


@schedule.command("list")
@click.option("--workflow", default="", help="Only those of this workflow (id or name).")
@JSON
@HOME
@URL
def show_all(workflow: str, as_json: bool, home: str, url: str) -> None:
    """Every schedule with its next fire."""
    from .schedules_work import list_schedules

    raise SystemExit(list_schedules(home, url, workflow, as_json))


@schedule.command("show")
@click.argument("schedule_id")
@click.option("--count", default=5, show_default=True, help="How many of the next fires.")
@JSON
@HOME
@URL
def show(schedule_id: str, count: int, as_json: bool, home: str, url: str) -> None:
    """One schedule, its next fires and what became of the latest."""
    from .schedules_work import show as look

    raise SystemExit(look(home, url, schedule_id, count, as_json))


def _when(command: Any) -> Any:
    for option in reversed((
        click.option("--cron", help="Minute, hour, day of month, month, day of week."),
        click.option("--every", help="An interval: 15m, 1h30m."),
        click.option("--at", help="Once, at this time."),
        click.option("--timezone", help="IANA name (default: the workflow's)."),
        click.option("--from", "start_date", help="Not before this time."),
        click.option("--until", "end_date", help="Not after this time."),
        click.option("--jitter", help="Start up to so much later: 30s, 5m."),
        click.option("--overlap", type=click.Choice(OVERLAPS), help="When the run before has not ended."),
        click.option("--catch-up", type=click.Choice(["latest", "all"]), help="Which fires run after an outage."),
    )):  # fmt: skip
        command = option(command)
    return command


@schedule.command("add")
@click.argument("workflow")
@click.option("--name", default="", help="What the trigger is called.")
@_when
@JSON
@HOME
@URL
def add(workflow: str, name: str, as_json: bool, home: str, url: str, **config: str | None) -> None:
    """Start WORKFLOW (id or name) by the clock as well."""
    from .schedules_work import add as make

    raise SystemExit(make(home, url, workflow, name, _given(config), as_json))


@schedule.command("set")
@click.argument("schedule_id")
@_when
@JSON
@HOME
@URL
def change(schedule_id: str, as_json: bool, home: str, url: str, **config: str | None) -> None:
    """Change what is given; an empty text takes a setting away."""
    from .schedules_work import change as write

    raise SystemExit(write(home, url, schedule_id, _given(config), as_json))


@schedule.command("rm")
@click.argument("schedule_id")
@click.option("--yes", is_flag=True, help="Do not ask.")
@HOME
@URL
def remove(schedule_id: str, yes: bool, home: str, url: str) -> None:
    """Take it away. Runs that it has started go on."""
    from .schedules_work import remove as drop

    raise SystemExit(drop(home, url, schedule_id, yes))


@schedule.command("preview")
@click.option("--count", default=10, show_default=True)
@_when
@JSON
@HOME
@URL
def preview(count: int, as_json: bool, home: str, url: str, **config: str | None) -> None:
    """The next fires of a schedule that is not there yet."""
    from .schedules_work import preview as look

    raise SystemExit(look(home, url, _given(config), count, as_json))


@schedule.command("pause")
@click.argument("schedule_id")
@click.option("--note", default="", help="Why.")
@HOME
@URL
def pause(schedule_id: str, note: str, home: str, url: str) -> None:
    """No fires until it is resumed."""
    from .schedules_work import verb

    raise SystemExit(verb(home, url, schedule_id, "pause", {"note": note}, False))


@schedule.command("resume")
@click.argument("schedule_id")
@HOME
@URL
def resume(schedule_id: str, home: str, url: str) -> None:
    """Fire again, from now on."""
    from .schedules_work import verb

    raise SystemExit(verb(home, url, schedule_id, "resume", {}, False))


OVERLAP = click.option("--overlap", default="", type=click.Choice(["", *OVERLAPS]), help="In place of the schedule's.")


@schedule.command("run")
@click.argument("schedule_id")
@OVERLAP
@JSON
@HOME
@URL
def run(schedule_id: str, overlap: str, as_json: bool, home: str, url: str) -> None:
    """Run it now, paused or not."""
    from .schedules_work import verb

    raise SystemExit(verb(home, url, schedule_id, "trigger", {"overlap": overlap}, as_json))


@schedule.command("backfill")
@click.argument("schedule_id")
@click.option("--from", "first", required=True, help="As 2026-01-31T00:00:00Z; inside the range.")
@click.option("--to", "last", required=True, help="Inside the range, too.")
@OVERLAP
@JSON
@HOME
@URL
def backfill(schedule_id: str, first: str, last: str, overlap: str, as_json: bool, home: str, url: str) -> None:
    """Run it for every fire of a range of time, 1,000 at most."""
    from .schedules_work import verb

    form = {"from": first, "to": last, "overlap": overlap}
    raise SystemExit(verb(home, url, schedule_id, "backfill", form, as_json))


@schedule.command("firings")
@click.argument("schedule_id")
@click.option("--outcome", default="", type=click.Choice(["", "queued", "starting", "started", "skipped"]))
@click.option("--limit", default=20, show_default=True)
@JSON
@HOME
@URL
def firings(schedule_id: str, outcome: str, limit: int, as_json: bool, home: str, url: str) -> None:
    """What became of its fires, the latest first."""
    from .schedules_work import firings as look

    raise SystemExit(look(home, url, schedule_id, outcome, limit, as_json))


def _given(config: dict[str, str | None]) -> dict[str, Any]:
    """What was given; an empty text is null, which takes a setting away."""
    return {name: config[name] or None for name in NAMES if config.get(name) is not None}

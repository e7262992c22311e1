"""``linkflow usage`` and ``linkflow execution stats``: how runs went, and what they used."""

from __future__ import annotations

from typing import Any

import click

from .options import HOME, JSON, URL

FROM = click.option("--from", "first", default="", help="From this time on (ISO 8601 with a zone).")
TO = click.option("--to", "beyond", default="", help="Until this time (default: now).")
WORKFLOW = click.option("--workflow", default="", help="Only this workflow (id).")


@click.command()
@FROM
@TO
@WORKFLOW
@JSON
@HOME
@URL
def usage(first: str, beyond: str, workflow: str, as_json: bool, home: str, url: str) -> None:
    """What runs used by day: executions, node runs, compute, stored bytes, tokens of language models."""
    from .looking_work import ask

    given: Any = {"from": first, "to": beyond, "workflow_id": workflow}
    raise SystemExit(ask(home, url, "/usage", as_json, _show_usage, **given))


@click.command()
@click.option("--bucket", default="hour", type=click.Choice(["minute", "hour", "day"]), show_default=True)
@FROM
@TO
@WORKFLOW
@JSON
@HOME
@URL
def stats(bucket: str, first: str, beyond: str, workflow: str, as_json: bool, home: str, url: str) -> None:
    """How runs went over time: started, ended, failed, error rate, p50 and p95 of their durations."""
    from .looking_work import ask

    given: Any = {"bucket": bucket, "from": first, "to": beyond, "workflow_id": workflow}
    raise SystemExit(ask(home, url, "/executions/stats", as_json, _show_stats, **given))


def _show_stats(found: Any) -> None:
    told = found["stats"]
    print(f"{'':<25} {'started':>8} {'ended':>8} {'failed':>8} {'errors':>7} {'p50':>9} {'p95':>9}")
    for one in told["series"]:
        if one["started"] or one["ended"]:
            print(_row(one["at"], one))
    print(_row("total", told["total"]))
    if told["open"]:
        counts = (f"{status} {one['count']}{'+' if one['more'] else ''}" for status, one in told["open"].items())
        print(f"open now: {', '.join(counts)}")


def _row(name: str, one: dict[str, Any]) -> str:
    from .charts import took

    rate = f"{100 * one['error_rate']:.1f}%" if one["error_rate"] is not None else "-"
    lasted = [took(one[q]) if one[q] is not None else "-" for q in ("p50_ms", "p95_ms")]
    return (
        f"{name:<25} {one['started']:>8} {one['ended']:>8} {one['failed'] + one['timed_out']:>8} {rate:>7} "
        f"{lasted[0]:>9} {lasted[1]:>9}"
    )


def _show_usage(found: Any) -> None:
    told = found["usage"]
    print(f"{'':<12} {'runs':>10} {'node runs':>11} {'compute':>12} {'stored':>12} {'tokens':>12} {'cost':>10}")
    for day in told["days"]:
        if day["executions"] or day["node_runs"] or day["executions_ended"]:
            print(_used(day["date"], day))
    print(_used("total", told["total"]))


def _used(name: str, one: dict[str, Any]) -> str:
    tokens = one["ai"]["input_tokens"] + one["ai"]["output_tokens"]
    return (
        f"{name:<12} {one['executions']:>10,} {one['node_runs']:>11,} {one['compute_ms'] / 1000:>10,.1f} s "
        f"{one['payload_bytes'] / 1e6:>9,.1f} MB {tokens:>12,} {one['ai']['cost_usd']:>8,.2f} $"
    )

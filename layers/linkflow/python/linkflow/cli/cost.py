"""``linkflow cost``: what a month of runs would cost on AWS, beside others."""

from __future__ import annotations

import json

import click

from .options import JSON


@click.command()
@click.option("--executions", default=1e6, show_default=True, help="Executions a month; 1e6 is a million.")
@click.option("--nodes", default=10, show_default=True, help="Node runs of each.")
@click.option("--calls", default=0, show_default=True, help="How many of these have an effect outside (HTTP, mail, …).")
@click.option("--alone", is_flag=True, help="Executions come one by one: each has a worker for itself.")
@click.option("--kept", default=3.0, show_default=True, help="Months for which histories are kept.")
@click.option("--hours", type=float, help="Hours a month in which anything runs (default: spread over the month).")
@click.option("--x86", is_flag=True, help="Functions on x86_64, not arm64.")
@click.option("--no-idle", is_flag=True, help="Without what stores, key and secrets cost by themselves.")
@JSON
def cost(
    executions: float,
    nodes: int,
    calls: int,
    alone: bool,
    kept: float,
    hours: float | None,
    x86: bool,
    no_idle: bool,
    as_json: bool,
) -> None:
    """What a month would cost on AWS, in dollars, from measured figures (docs/cost.md)."""
    from linkflow.domain import estimating, prices

    wrong = {
        "--executions": executions < 0, "--nodes": nodes < 1, "--calls": not 0 <= calls <= nodes, "--kept": kept < 0,
        "--hours": hours is not None and not 0 <= hours <= 744,
    }  # fmt: skip
    if names := [name for name, is_wrong in wrong.items() if is_wrong]:
        raise click.UsageError(f"{', '.join(names)}: give a number that can be (--calls is at most --nodes).")
    month = estimating.Month(
        executions=executions, nodes=nodes, calls=calls, alone=alone, kept=kept, hours=hours, idle=not no_idle
    )  # fmt: skip
    parts = estimating.bill(month, architecture="x86_64" if x86 else "arm64")
    total = parts.pop("total")
    beside = estimating.others(month)
    if as_json:
        each = total / executions if executions else None
        found = {"parts": parts, "total": total, "per_execution": each, "others": beside}
        click.echo(json.dumps({**found, "region": prices.REGION, "prices_of": prices.CHECKED}, indent=2))
        return
    click.echo(f"{executions:,.0f} executions of {nodes} nodes a month, {calls} of them with effects; dollars a month")
    click.echo(f"({prices.REGION}, prices of {prices.CHECKED}, no free tier, without data transfer)\n")
    for name, dollars in parts.items():
        click.echo(f"  {name:<44} {dollars:>12,.2f}")
    click.echo(f"  {'all':<44} {total:>12,.2f}")
    if executions:
        click.echo(f"  {'a thousand executions':<44} {1000 * total / executions:>12,.4f}")
    click.echo("\nBeside it, for as many steps:")
    for name, dollars in beside.items():
        click.echo(f"  {name:<44} {dollars:>12,.2f}")

"""The command line. Each command imports what it needs itself, so that `linkflow --help` answers at once."""

from __future__ import annotations

import click

from linkflow import __version__

from .answers import answer_in_json
from .approvals import approval
from .certs import certs
from .cost import cost
from .credentials import credential, variable
from .dead_letters import dead_letters
from .egress import egress
from .executions import executions
from .files import files
from .keys import keys
from .nodes import nodes
from .notifications import notifications
from .options import HOME, JSON, URL
from .people import GROUPS
from .releasing import environment, policy
from .retention import retention
from .schedules import schedule
from .shards import shards
from .signing import login, logout, whoami, workspace
from .templates import template
from .testing import pin, tests, unpin
from .usage import usage
from .webhooks import webhook
from .workflows import workflow

QUEUE = click.option(
    "--queue", "queues", multiple=True, help="A queue that the worker serves; may be repeated (default: as configured)."
)

PROBES = click.option(
    "--probes", default="", envvar="LINKFLOW_PROBES", metavar="HOST:PORT",
    help="Answer /health/live, /health/ready and /metrics there.",
)  # fmt: skip


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="linkflow")
def main() -> None:
    """LinkFlow: durable workflow automation.

    Start with `linkflow up`, then `linkflow run WORKFLOW.json --watch`.
    """


@main.command()
@HOME
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8080, show_default=True, help="Port of the API.")
@click.option("--sample", is_flag=True, help="Load the sample workflow and run it on an order.")
@click.option("--once", is_flag=True, help="With --sample: stop after that run; the exit code says how it ended.")
@PROBES
def up(home: str, host: str, port: int, sample: bool, once: bool, probes: str) -> None:
    """Start everything on this machine."""
    from .up import up as start

    raise SystemExit(start(home, host, port, sample, once, probes))


@main.command()
@click.argument("workflow", type=click.Path(exists=True, dir_okay=False))
@click.option("--input", "data", default="{}", help="Input as JSON, or @FILE.")
@click.option("--trigger", default="", help="Node to start from (default: the manual trigger).")
@click.option("--watch", is_flag=True, help="Show the timeline as it happens.")
@JSON
@HOME
@URL
def run(workflow: str, data: str, trigger: str, watch: bool, as_json: bool, home: str, url: str) -> None:
    """Import WORKFLOW.json, run it and print its result."""
    from .work import run as start

    raise SystemExit(start(home, url, workflow, data, trigger, watch, as_json))


@main.command("import")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False))
@click.option("--activate", is_flag=True, help="Switch the workflows on.")
@HOME
@URL
def import_(files: tuple[str, ...], activate: bool, home: str, url: str) -> None:
    """Import workflow files."""
    from .work import import_files

    raise SystemExit(import_files(home, url, files, activate))


main.add_command(executions)
main.add_command(executions, "execution")
main.add_command(usage)
main.add_command(retention)
main.add_command(files)
main.add_command(notifications)
main.add_command(notifications, "notification")
main.add_command(dead_letters)
main.add_command(dead_letters, "dead-letter")
main.add_command(shards)
main.add_command(nodes)
main.add_command(egress)
main.add_command(credential)
main.add_command(variable)
main.add_command(keys)
main.add_command(certs)
main.add_command(cost)
main.add_command(webhook)
main.add_command(workflow)
main.add_command(template)
main.add_command(environment)
main.add_command(policy)
main.add_command(approval)
main.add_command(schedule)
for command in (login, logout, whoami, workspace, *GROUPS):
    main.add_command(command)
main.add_command(tests)
main.add_command(pin)
main.add_command(unpin)


@main.command()
@click.argument("execution_id")
@JSON
@click.option("--jsonl", "as_lines", is_flag=True, help="Print JSON Lines, an event a line.")
@HOME
@URL
def history(execution_id: str, as_json: bool, as_lines: bool, home: str, url: str) -> None:
    """Print the events of a run."""
    from .work import history as events

    raise SystemExit(events(home, url, execution_id, as_json, as_lines))


@main.command()
@click.option("--status", default="", help="Only runs with this status.")
@click.option("--workflow", default="", help="Only runs of this workflow (id).")
@click.option("--limit", default=0, help="At most so many runs (default: all).")
@click.option("--output", "-o", default="-", type=click.Path(dir_okay=False, allow_dash=True), help="A file.")
@HOME
@URL
def export(status: str, workflow: str, limit: int, output: str, home: str, url: str) -> None:
    """Write the events of many runs as JSON Lines, newest run first."""
    from .work import export as write

    raise SystemExit(write(home, url, status, workflow, limit, output))


@main.command()
@click.argument("execution_id", default="")
@click.option("--all", "every", is_flag=True, help="Replay every stored run.")
@HOME
def replay(execution_id: str, every: bool, home: str) -> None:
    """Fold the events of a run again and compare with the stored state, byte for byte."""
    from .admin import replay as check

    raise SystemExit(check(home, execution_id, every))


@main.command()
@click.argument("service", type=click.Choice(["api", "frontend", "history", "matching", "worker", "timer"]))
@click.option(
    "--grpc", default="127.0.0.1:0", envvar="LINKFLOW_GRPC", show_default=True, help="Address of the service."
)
@click.option("--http", default="127.0.0.1:8080", envvar="LINKFLOW_HTTP", show_default=True, help="Address of the API.")
@PROBES
@QUEUE
def serve(service: str, grpc: str, http: str, probes: str, queues: tuple[str, ...]) -> None:
    """Run one service of a deployment.

    DATABASE_URL, REDIS_URL and LINKFLOW_SECRET are required; LINKFLOW_<SERVICE>_URL says where the others are.
    """
    from .serve import serve as start

    raise SystemExit(start(service, grpc, http, probes, queues))


@main.command()
@QUEUE
@HOME
def worker(queues: tuple[str, ...], home: str) -> None:
    """Run one more worker on the stores of --home, beside `linkflow up`, or on those of the environment.

    A node with "queue": "gpu" runs in workers that serve it: linkflow worker --queue gpu.
    """
    from .serve import worker as start

    raise SystemExit(start(home, queues))


@main.command()
@HOME
def migrate(home: str) -> None:
    """Bring the database up to date."""
    from .admin import migrate as run_migrations

    raise SystemExit(run_migrations(home))


@main.command()
@HOME
@click.option("--dry-run", is_flag=True, help="Only show what would go.")
def upkeep(home: str, dry_run: bool) -> None:
    """Make the partitions of the coming months, and drop runs whose retention is over.

    The timer does this every hour by itself. LINKFLOW_RETENTION_DAYS (90) holds where a workflow's
    settings.retention_days says nothing; what still runs or waits stays, however old.
    """
    from .admin import upkeep as run_upkeep

    raise SystemExit(run_upkeep(home, dry_run))


@main.group()
def queues() -> None:
    """Look at task queues and change their settings."""


@queues.command("list")
@JSON
@HOME
def list_queues(as_json: bool, home: str) -> None:
    """All queues with what waits, and who serves them. The exit code is 1 where nobody serves one that has tasks."""
    from .queues import list_queues as listing

    raise SystemExit(listing(home, as_json))


@queues.command("workers")
@JSON
@HOME
def list_workers(as_json: bool, home: str) -> None:
    """Workers that have asked for work within the hour: when last, and for which queues."""
    from .queues import workers

    raise SystemExit(workers(home, as_json))


@queues.command("show")
@click.argument("queue")
@JSON
@HOME
def show_queue(queue: str, as_json: bool, home: str) -> None:
    """One queue with its settings."""
    from .queues import show

    raise SystemExit(show(home, queue, as_json))


@queues.command("set")
@click.argument("queue")
@click.option("--partitions", type=click.IntRange(1, 256), help="Their number; it may change with tasks in them.")
@click.option("--backlog", type=int, help="Tasks a partition above which new work is refused; 0: as configured.")
@click.option("--workspace", default="", help="Weight and rate of this workspace (id) in the queue.")
@click.option("--key", default="", help="... of this fairness key of the workspace.")
@click.option("--weight", type=float, help="Share beside the other workspaces, or the workspace's other keys.")
@click.option("--rate", type=float, help="Tasks handed out per second; 0: no limit.")
@click.option("--burst", type=int, help="How many at once after a pause; 0: as many as in one second.")
@HOME
def set_queue(
    queue: str,
    partitions: int | None,
    backlog: int | None,
    workspace: str,
    key: str,
    weight: float | None,
    rate: float | None,
    burst: int | None,
    home: str,
) -> None:
    """Change a queue's settings. They hold within a second, in every process.

    Without --workspace, --rate is the whole queue's.
    """
    from .queues import Change
    from .queues import set_queue as change_queue

    change = Change(
        partitions=partitions, backlog=backlog, workspace=workspace, key=key, weight=weight, rate=rate, burst=burst
    )
    raise SystemExit(change_queue(home, queue, change))


@main.command()
@click.option("--yaml", "as_yaml", is_flag=True, help="As YAML.")
def openapi(as_yaml: bool) -> None:
    """Print the OpenAPI document of the API."""
    from .admin import openapi as document

    raise SystemExit(document(as_yaml))


@main.command()
@HOME
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(home: str, yes: bool) -> None:
    """Stop what runs on --home and delete its data."""
    from .admin import reset as clear

    raise SystemExit(clear(home, yes))


answer_in_json(main)

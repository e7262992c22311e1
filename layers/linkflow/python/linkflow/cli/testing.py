"""``linkflow test``: test files of workflows; ``linkflow pin``: outputs that stand in for nodes."""

from __future__ import annotations

from typing import Any

import click

from .options import HOME, JSON, URL


class _Tests(click.Group):
    """What is no command of its own is a folder or file with tests."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            args = ["files", *args]
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help"):
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group("test", cls=_Tests)
def tests() -> None:
    """Test workflows: run test files, or make one of a run.

    `linkflow test DIR` runs all tests of a folder on the engine in this process, without a server and without the
    network. `linkflow test save EXECUTION --to FILE.yaml` makes a test of a run.
    """


@tests.command("files")
@click.argument("places", nargs=-1, required=True, type=click.Path(exists=True))
@click.option("--only", default="", help="Only tests with this text in their name or file.")
@click.option("--update", is_flag=True, help="Write what runs come to into the files, where they expect otherwise.")
@click.option("--server", is_flag=True, help="Run them on a LinkFlow server (--url, or the one of --home).")
@click.option("--jobs", default=0, help="How many at once (default: one a core).")
@click.option("--timeout", default=60.0, show_default=True, help="With --server: seconds that a run may take.")
@click.option("--junit", default="", type=click.Path(dir_okay=False), help="Write a JUnit file for CI.")
@JSON
@HOME
@URL
def files(
    places: tuple[str, ...],
    only: str,
    update: bool,
    server: bool,
    jobs: int,
    timeout: float,
    junit: str,
    as_json: bool,
    home: str,
    url: str,
) -> None:
    """Run the tests of files and folders.

    The exit code is 0 where all pass, 1 where some fail, 2 where files are at fault or there are none.
    """
    from .case_work import Options, test

    options = Options(jobs, only, update, server, junit, as_json, timeout, home, url)
    raise SystemExit(test(places, options))


@tests.command("save")
@click.argument("execution")
@click.option("--to", required=True, type=click.Path(dir_okay=False), help="The file: .yaml, .yml or .json.")
@click.option("--node", "nodes", multiple=True, help="Expect this node's output, too; may be repeated.")
@click.option("--ignore", multiple=True, help="A place that differs from run to run, as result.id or **.created_at.")
@click.option("--workflow", default="", type=click.Path(), help="Refer to this workflow file instead of copying it.")
@click.option("--by-id", is_flag=True, help="Refer to the workflow on the server instead of copying it.")
@click.option("--name", default="", help="What the test is called.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@HOME
@URL
def save(
    execution: str,
    to: str,
    nodes: tuple[str, ...],
    ignore: tuple[str, ...],
    workflow: str,
    by_id: bool,
    name: str,
    force: bool,
    home: str,
    url: str,
) -> None:
    """Make a test of a run: its input, mocks for the nodes that acted outside, and what it came to."""
    from .case_work import save as write

    raise SystemExit(write(home, url, execution, to, nodes, ignore, workflow, by_id, name, force))


@tests.command("run")
@click.argument("workflow")
@click.option("--input", "data", default=None, help="Trigger data, or with --node that node's input: JSON, or @FILE.")
@click.option("--node", default="", help="Run this node alone.")
@click.option("--up-to", default="", help="Run this node and what leads to it.")
@click.option("--from", "source", default="", help="Use results of this run again; `last` for the latest.")
@click.option("--mock", "mocks", multiple=True, help="NODE=MOCK as JSON, or NODE=@FILE; may be repeated.")
@click.option("--version", default=0, help="Of the workflow (default: the current one).")
@click.option("--trigger", default="", help="Node to start from (default: the manual trigger).")
@click.option("--skip-delays", is_flag=True, help="Wait for no delay and no backoff.")
@click.option("--strict", is_flag=True, help="Fail where a node that acts outside has no mock.")
@click.option("--allow", multiple=True, help="With --strict: a node or type that may act all the same; repeatable.")
@JSON
@HOME
@URL
def run(
    workflow: str,
    data: str | None,
    node: str,
    up_to: str,
    source: str,
    mocks: tuple[str, ...],
    version: int,
    trigger: str,
    skip_delays: bool,
    strict: bool,
    allow: tuple[str, ...],
    as_json: bool,
    home: str,
    url: str,
) -> None:
    """Try WORKFLOW, or a part of it.

    WORKFLOW is its id or name on the server, or a file, which the server gets first.
    """
    from .trying_work import run as try_out

    how: dict[str, Any] = {
        "node": node, "up_to": up_to, "from_execution": source, "version": version, "trigger_node": trigger,
        "skip_delays": skip_delays, "unmocked": "fail" if strict else "run", "allow": list(allow),
    }  # fmt: skip
    raise SystemExit(try_out(home, url, workflow, data, how, mocks, as_json))


@click.command("pin")
@click.argument("workflow")
@click.argument("node")
@click.option("--output", default=None, help="What the node hands on: JSON, or @FILE.")
@click.option("--error", default=None, help="What it fails with: a code, or JSON.")
@click.option("--from", "source", default="", help="What it came to in this run.")
@click.option("--key", default="", help="With --from: the node run, as send[3].")
@HOME
@URL
def pin(
    workflow: str, node: str, output: str | None, error: str | None, source: str, key: str, home: str, url: str
) -> None:
    """Pin an output or an error to NODE of WORKFLOW (its id or name). Manual and test runs use it, others never do."""
    from .trying_work import pin as set_pin

    raise SystemExit(set_pin(home, url, workflow, node, output, error, source, key))


@click.command("unpin")
@click.argument("workflow")
@click.argument("node")
@HOME
@URL
def unpin(workflow: str, node: str, home: str, url: str) -> None:
    """Take away what is pinned to NODE of WORKFLOW."""
    from .trying_work import unpin as take_away

    raise SystemExit(take_away(home, url, workflow, node))

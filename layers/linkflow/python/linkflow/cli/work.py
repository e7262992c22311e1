"""Commands about workflows and runs, over the API."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx

from .client import LOCAL, Api, ApiError, say


@contextmanager
def connected(home: str, url: str) -> Iterator[Api]:
    """A signed-in client; where nothing runs yet, LinkFlow is started for as long as the command takes."""
    api = Api(home, url)
    if api.alive():
        api.sign_in()
        yield api
        api.close()
        return
    if url or (not api.account.url and api.url != LOCAL):
        raise ApiError(f"Nothing answers at {api.url}.")
    from .up import Running

    say("Starting LinkFlow on this machine (`linkflow up` keeps it running) ...")
    with Running(home, "127.0.0.1", 0) as running:
        api = Api(home, running.url)
        api.sign_in()
        yield api
        api.close()


def guarded(work: Any) -> int:
    """The exit code of `work`; what the API or a file is at fault for is said."""
    try:
        code: int = work()
        return code
    except (ApiError, ValueError) as error:
        say(str(error))
        return 2
    except httpx.HTTPError as error:
        say(f"The call failed: {error}")
        return 2
    except KeyboardInterrupt:
        return 130


def read_document(path: str) -> Any:
    """A workflow file. Raises `ValueError` saying where the JSON breaks."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is not JSON: line {error.lineno}, column {error.colno}: {error.msg}") from None


def run(home: str, url: str, workflow: str, data: str, trigger: str, watch: bool, as_json: bool) -> int:
    def work() -> int:
        document = read_document(workflow)
        text = Path(data[1:]).read_text(encoding="utf-8") if data.startswith("@") else data
        try:
            value = json.loads(text)
        except json.JSONDecodeError as error:
            raise ValueError(f"--input is not JSON: {error}") from None
        with connected(home, url) as api:
            return _run(api, document, value, trigger, watch, as_json)

    return guarded(work)


def _run(api: Api, document: Any, value: Any, trigger: str, watch: bool, as_json: bool) -> int:
    saved = api.save_workflow(document)
    body = {"input": value, **({"trigger_node": trigger} if trigger else {})}
    execution = api.post(f"{api.base}/workflows/{saved['id']}/execute", body)["execution"]
    from .live import Timeline, show

    timeline = Timeline(names_of(saved), f"{saved['name']}  {execution['id']}")
    if watch:
        show(timeline, api.watch(execution["id"]))
    else:
        for batch in api.follow(execution["id"]):
            for event in batch:
                timeline.add(event)
    if as_json:
        print(json.dumps(api.get(f"{api.base}/executions/{execution['id']}"), indent=2))
    elif timeline.status == "completed":
        print(json.dumps(timeline.result, indent=2))
    else:
        say(f"The run {execution['id']} is {timeline.status}: {json.dumps(timeline.error)}")
    return 0 if timeline.status == "completed" else 1


def names_of(workflow: dict[str, Any]) -> dict[str, str]:
    """Labels by node id."""
    return {node["id"]: node.get("name") or node["id"] for node in workflow["nodes"]}


def import_files(home: str, url: str, files: tuple[str, ...], activate: bool) -> int:
    def work() -> int:
        failed = 0
        with connected(home, url) as api:
            for file in files:
                try:
                    saved = api.save_workflow(read_document(file))
                    if activate:
                        api.post(f"{api.base}/workflows/{saved['id']}/activate")
                except (ApiError, ValueError) as error:
                    failed += 1
                    say(f"{file}: {error}")
                    continue
                print(f"{saved['id']}  {saved['name']}  version {saved['version']}")
                for warning in saved.get("warnings", []):
                    say(f"  note {warning['path']}: {warning['message']}")
        return 1 if failed else 0

    return guarded(work)


def list_where(home: str, url: str, where: tuple[str, ...], limit: int, as_json: bool) -> int:
    """Runs that fit filters as ``name=value``, over as many pages as it takes."""

    def work() -> int:
        filters = _filters(where)
        found: list[dict[str, Any]] = []
        with connected(home, url) as api:
            cursor = ""
            while len(found) < limit:
                page = api.get(
                    f"{api.base}/executions", **filters, cursor=cursor, per_page=min(100, limit - len(found))
                )
                found += page["data"]
                cursor = page["meta"]["next_cursor"]
                if not cursor:
                    break
        _print_runs(found, as_json)
        return 0

    return guarded(work)


def _filters(where: tuple[str, ...]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in where:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise ValueError(f"--where {text}: write it as NAME=VALUE.")
        name = name.strip()
        for operator in (">", "<"):  # attributes.amount>=100
            if name.endswith(operator):
                name, value = name.removesuffix(operator), f"{operator}={value}"
        if name.startswith("attributes."):
            value = value if value[:1] in "<>" else f"={value}"
            name, value = "attribute", f"{name.removeprefix('attributes.')}{value}"
        found.setdefault(name, []).append(value.strip())
    return found


def executions(home: str, url: str, status: str, workflow: str, limit: int, as_json: bool, source: str = "") -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = api.get(
                f"{api.base}/executions", status=status, workflow_id=workflow, per_page=limit, source_id=source
            )["data"]
        _print_runs(found, as_json)
        return 0

    return guarded(work)


def _print_runs(found: list[dict[str, Any]], as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for item in found:
        took = f"{item['duration_ms']} ms" if item["duration_ms"] is not None else "-"
        print(f"{item['id']}  {item['status']:<10} {item['mode']:<12} {item['started_at'] or '-':<24}  {took}")
    if not found:
        say("No such runs. `linkflow run WORKFLOW.json` starts one.")


def export(home: str, url: str, status: str, workflow: str, limit: int, output: str) -> int:
    """The events of all runs that fit, newest run first, as JSON Lines."""

    def work() -> int:
        runs = events = 0
        with connected(home, url) as api, click.open_file(output, "w", encoding="utf-8") as file:
            for id in _ids(api, status, workflow, limit):
                runs += 1
                for line in api.lines(f"{api.base}/executions/{id}/events"):
                    events += 1
                    file.write(f"{line}\n")
        say(f"{runs} runs, {events} events")
        return 0

    return guarded(work)


def _ids(api: Api, status: str, workflow: str, limit: int) -> Iterator[str]:
    cursor, left = "", limit or sys.maxsize
    while left > 0:
        filters = {"status": status, "workflow_id": workflow, "cursor": cursor, "per_page": min(100, left)}
        page = api.get(f"{api.base}/executions", **filters)
        yield from (run["id"] for run in page["data"])
        left -= len(page["data"])
        cursor = page["meta"]["next_cursor"]
        if not cursor:
            return


def history(home: str, url: str, execution_id: str, as_json: bool, as_lines: bool = False) -> int:
    def work() -> int:
        with connected(home, url) as api:
            if as_lines:
                for line in api.lines(f"{api.base}/executions/{execution_id}/events"):
                    print(line)
                return 0
            events, after = [], 0
            while True:
                page = api.get(f"{api.base}/executions/{execution_id}/history", after=after, limit=1000)["data"]
                if not page:
                    break
                events += page
                after = page[-1]["event_id"]
        if as_json:
            json.dump(events, sys.stdout, indent=2)
            print()
            return 0
        for event in events:
            what = event["attributes"]
            about = {k: v for k, v in what.items() if k not in ("node", "attempt") and v not in (None, "", [], {})}
            text = json.dumps(about)
            print(f"{event['event_id']:>5}  {event['at']}  {event['type']:<20} {what.get('node', ''):<16} "
                  f"{text if len(text) < 120 else text[:117] + '...'}")  # fmt: skip
        return 0

    return guarded(work)

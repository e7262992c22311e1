"""What `linkflow execution` does with single runs, over the API."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any

from .client import Api, ApiError, say
from .work import connected, guarded

Shown = Callable[[Any], None]


def ask(home: str, url: str, path: str, as_json: bool, show: Shown, **params: Any) -> int:
    """Get what is at `path` below the workspace, and print it."""

    def work() -> int:
        with connected(home, url) as api:
            found = api.get(f"{api.base}{path}", **params)
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            show(found)
        return 0

    return guarded(work)


def tell(home: str, url: str, path: str, body: Any, as_json: bool, verb: str = "post") -> int:
    """Ask for a change; what came of it is printed."""

    def work() -> int:
        with connected(home, url) as api:
            target = f"{api.base}{path}"
            found = api.delete(target) if verb == "delete" else getattr(api, verb)(target, body)
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            say((found or {}).get("message", "Done."))
        return 0

    return guarded(work)


def logs(home: str, url: str, execution_id: str, node: str, level: str, follow: bool, as_json: bool) -> int:
    """Lines as they come; with `follow` until the run is over."""

    def work() -> int:
        with connected(home, url) as api:
            _logs(api, execution_id, {"node": node, "level": level, "limit": 1000}, follow, as_json)
        return 0

    return guarded(work)


def _logs(api: Api, execution_id: str, filters: dict[str, Any], follow: bool, as_json: bool) -> None:
    cursor = ""
    while True:
        wait = 10 if follow and cursor else 0
        page = api.get(f"{api.base}/executions/{execution_id}/logs", cursor=cursor, wait=wait, **filters)
        for line in page["data"]:
            if as_json:
                print(json.dumps(line), flush=True)
            else:
                print(f"{line['at'][11:23]}  {line['level']:<7}  {line['node']:<16}  {line['message']}", flush=True)
        cursor, over = page["meta"]["cursor"], page["meta"]["closed"] or not follow
        if not page["meta"]["more"] and over:
            return


def follow(home: str, url: str, execution_id: str, as_json: bool) -> int:
    """The timeline as it happens, or an event a line."""

    def work() -> int:
        from .live import Timeline, show
        from .work import names_of

        with connected(home, url) as api:
            run = api.get(f"{api.base}/executions/{execution_id}")["execution"]
            if as_json:
                for batch in api.follow(execution_id):
                    for event in batch:
                        print(json.dumps(event), flush=True)
                return 0
            try:
                workflow = api.get(f"{api.base}/workflows/{run['workflow_id']}")["workflow"]
            except ApiError:  # it was deleted, or is a rule's own: its nodes go by their ids
                workflow = {"name": run["mode"], "nodes": []}
            timeline = Timeline(names_of(workflow), f"{workflow['name']}  {execution_id}")
            show(timeline, api.watch(execution_id))
        return 0 if timeline.status == "completed" else 1

    return guarded(work)


def follow_all(home: str, url: str, as_json: bool) -> int:
    """Changes of runs, a line each."""

    def work() -> int:
        with connected(home, url) as api:
            cursor = ""
            while True:
                page = api.get(f"{api.base}/executions/changes", cursor=cursor, wait=15 if cursor else 0)
                cursor = page["meta"]["cursor"]
                if page["meta"]["reset"]:
                    say("Watching from now on.")
                for one in page["data"]:
                    line = f"{one['at'][11:23]}  {one['execution_id']}  {one['status']:<10} {one['mode']}"
                    print(json.dumps(one) if as_json else line, flush=True)

    return guarded(work)


def show_timeline(found: Any) -> None:
    from .charts import timeline

    print("\n".join(timeline(found["timeline"], shutil.get_terminal_size((100, 24)).columns)))


def show_difference(found: Any) -> None:
    from .charts import difference

    print("\n".join(difference(found["diff"])))


def show_document(found: Any) -> None:
    print(json.dumps(next(iter(found.values())), indent=2))


def show_nodes(found: Any) -> None:
    from .charts import took

    for node in found["data"]:
        lasted = took(node["duration_ms"]) if node["duration_ms"] is not None else "-"
        error = f"  {node['error']['code']}: {node['error']['message']}" if node["error"] else ""
        print(f"{node['key']:<24} {node['status']:<10} attempt {node['attempt']}  {lasted:>9}{error}")

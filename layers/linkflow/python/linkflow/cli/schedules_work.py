"""`linkflow schedule`: the work behind it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from .client import Api, say
from .workflows_work import over, printed, workflow_of

Json = dict[str, Any]


def list_schedules(home: str, url: str, workflow: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        wanted = f"workflow_id={workflow_of(api, workflow)['id']}&" if workflow else ""
        found = list(_pages(api, f"schedules?{wanted}"))
        if not found and not as_json:
            say("There are none. `linkflow schedule add WORKFLOW --cron '0 9 * * *'` makes one.")
        return printed(found, as_json, *map(_line, found)) if found or as_json else 0

    return over(home, url, act)


def show(home: str, url: str, id: str, count: int, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/schedules/{id}")["schedule"]
        found["next"] = api.get(f"{api.base}/schedules/{id}/preview?count={count}")["data"]
        found["firings"] = api.get(f"{api.base}/schedules/{id}/firings?per_page={count}")["data"]
        lines = [_line(found), *_fires(found["next"]), *(f"  was  {_firing(one)}" for one in found["firings"])]
        if pause := found["pause"]:
            lines.insert(1, f"  paused {pause['at']} by {pause['by']}: {pause['note']}")
        return printed(found, as_json, *lines)

    return over(home, url, act)


def add(home: str, url: str, workflow: str, name: str, config: Json, as_json: bool) -> int:
    def act(api: Api) -> int:
        form = {"workflow_id": workflow_of(api, workflow)["id"], "config": config, "name": name}
        made = api.post(f"{api.base}/schedules", form)["schedule"]
        if not made["is_active"]:
            say("The workflow is switched off: nothing starts until `linkflow workflow activate`.")
        return printed(made, as_json, _line(made))

    return over(home, url, act)


def change(home: str, url: str, id: str, config: Json, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.patch(f"{api.base}/schedules/{id}", {"config": config})["schedule"]
        return printed(found, as_json, _line(found))

    return over(home, url, act)


def remove(home: str, url: str, id: str, yes: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/schedules/{id}")["schedule"]
        say(_line(found))
        if not yes and not click.confirm("Take it out of the workflow?", err=True):
            return 1
        api.delete(f"{api.base}/schedules/{id}")
        return 0

    return over(home, url, act)


def preview(home: str, url: str, config: Json, count: int, as_json: bool) -> int:
    def act(api: Api) -> int:
        given = {name: value for name, value in config.items() if value is not None}
        found = api.post(f"{api.base}/schedules/preview", {"config": given, "count": count})["data"]
        return printed(found, as_json, *_fires(found))

    return over(home, url, act)


def verb(home: str, url: str, id: str, name: str, form: Json, as_json: bool) -> int:
    def act(api: Api) -> int:
        answer = api.post(f"{api.base}/schedules/{id}/{name}", form)
        more = f" {answer['backfill']['fires']} fires." if "backfill" in answer else ""
        return printed(answer, as_json, f"{answer['message']}{more}")

    return over(home, url, act)


def firings(home: str, url: str, id: str, outcome: str, limit: int, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = f"{api.base}/schedules/{id}/firings?per_page={max(1, min(limit, 100))}&outcome={outcome}"
        found = api.get(path)["data"]
        return printed(found, as_json, *map(_firing, found)) if found or as_json else 0

    return over(home, url, act)


def _line(found: Json) -> str:
    when = found["cron"] or (f"every {found['every_seconds']:g} s" if found["every_seconds"] else f"at {found['at']}")
    state = "paused" if found["is_paused"] else f"next {found['next_at'] or '-'}" if found["is_active"] else "off"
    return f"{found['id']}  {when:<16} {found['timezone']:<16} {state:<30} {found['workflow_name']}/{found['node_id']}"


def _fires(found: list[Json]) -> Iterator[str]:
    return (f"  next {fire['at']}  {fire['local']}" for fire in found)


def _firing(found: Json) -> str:
    what = found["execution_id"] or found["reason"] or ""
    many = f" (and {found['fires'] - 1} more)" if found["fires"] > 1 else ""
    return f"{found['due_at']}  {found['outcome']:<9} {what}{many}"


def _pages(api: Api, path: str) -> Iterator[Json]:
    cursor: str | None = ""
    while cursor is not None:
        page = api.get(f"{api.base}/{path}per_page=100{f'&cursor={cursor}' if cursor else ''}")
        yield from page["data"]
        cursor = page["meta"]["next_cursor"]

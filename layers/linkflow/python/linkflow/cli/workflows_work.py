"""`linkflow workflow`: the work behind it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .client import Api, ApiError, say
from .work import connected, guarded

Json = dict[str, Any]


def over(home: str, url: str, act: Callable[[Api], int]) -> int:
    """The exit code of what is done over the API."""

    def work() -> int:
        with connected(home, url) as api:
            return act(api)

    return guarded(work)


def workflow_of(api: Api, name: str) -> Json:
    """A workflow by id or name. Raises `ApiError` where there is none, or several."""
    found = [one for one in api.workflows() if name in (one["id"], one["name"])]
    if len(found) > 1:
        ids = ", ".join(one["id"] for one in found)
        raise ApiError(f"{len(found)} workflows are called {name!r}. Give the id of one: {ids}.")
    if not found:
        raise ApiError(f"There is no workflow {name!r}. `linkflow workflow list` shows all.")
    return found[0]


def path_of(api: Api, name: str) -> str:
    """Where the API has a workflow."""
    return f"{api.base}/workflows/{workflow_of(api, name)['id']}"


def printed(found: Any, as_json: bool, *lines: str) -> int:
    """As JSON, or these lines."""
    print(json.dumps(found, indent=2) if as_json else "\n".join(lines))
    return 0


def line_of(found: Mapping[str, Any]) -> str:
    """A workflow in one line."""
    marks = [mark for mark, so in (("on", found["is_active"]), ("locked", found["is_locked"])) if so]
    hung = " ".join(f"#{tag['name']}" for tag in found["tags"])
    return f"{found['id']}  v{found['version']:<4} {','.join(marks) or '-':<10} {found['name']}  {hung}".rstrip()


def list_workflows(home: str, url: str, text: str, filters: Mapping[str, Any], as_json: bool) -> int:
    def act(api: Api) -> int:
        query = [("q", text), ("sort", filters["sort"])]
        query += [("tag", name) for name in filters["tags"]] + [("node_type", name) for name in filters["types"]]
        for name in ("active", "locked"):
            query.append((name, "" if filters[name] is None else str(filters[name]).lower()))
        if folder := filters["folder"]:
            query += [("folder", folder if folder == "none" else _folder(api, folder)), ("below", "true")]
        found = list(pages(api, f"{api.base}/workflows", [(name, value) for name, value in query if value]))
        if not found and not as_json:
            say("There are none.")
            return 0
        return printed(found, as_json, *map(line_of, found))

    return over(home, url, act)


def show(home: str, url: str, name: str, version: int, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = path_of(api, name)
        found = api.get(path)["workflow"]
        if version:
            return printed(api.get(f"{path}/versions/{version}")["version"], True)
        if as_json:
            return printed(found, True)
        print(line_of(found))
        if found["description"]:
            print(f"  {found['description']}")
        if found["lock"]:
            print(f"  locked by {found['lock']['locked_by']['name']}: {found['lock']['reason']}")
        for node in found["nodes"]:
            print(f"  {node['type']:<24} {node.get('name') or node['id']}")
        for trigger in found["triggers"]:
            print(f"  {trigger['environment']}: {trigger.get('url') or trigger.get('cron')}")
        return 0

    return over(home, url, act)


def import_files(
    home: str, url: str, files: tuple[str, ...], on_conflict: str, dry_run: bool, folder: str, as_json: bool
) -> int:
    def act(api: Api) -> int:
        place = f"&folder_id={_folder(api, folder, make=not dry_run)}" if folder else ""
        path = f"{api.base}/workflows/import?on_conflict={on_conflict}&dry_run={str(dry_run).lower()}{place}"
        every, failed = [], 0
        for file in files:
            try:
                found = api.upload(path, _content(file))
            except ApiError as error:
                failed += 1
                say(f"{file}: {error}")
                continue
            failed += found["failed"]
            every += [{**one, "source": f"{file}{one['source']}"} for one in found["results"]]
        for one in [] if as_json else every:
            print(f"{one['status']:<10} {one['workflow_id'] or '-':<36}  {one['name'] or one['source']}")
            for problem in one["problems"]:
                say(f"  {problem['severity']} {problem['pointer'] or '/'}: {problem['detail']}")
        if as_json:
            printed(every, True)
        return 1 if failed else 0

    return over(home, url, act)


def export(
    home: str, url: str, names: tuple[str, ...], tags: tuple[str, ...], folder: str, every: bool, version: int,
    output: str,
) -> int:  # fmt: skip
    def act(api: Api) -> int:
        if len(names) == 1 and not output.endswith(".zip"):
            found = api.get(f"{path_of(api, names[0])}/export", version=version or "")
            return _written(output, json.dumps(found, indent=2).encode() + b"\n")
        if not (names or tags or folder or every):
            raise ApiError("Name workflows, or choose them: --tag, --folder, --all.")
        body: Json = {"format": "zip" if output.endswith(".zip") else "json", "tags": list(tags), "below": True}
        if names:
            body["ids"] = [workflow_of(api, name)["id"] for name in names]
        if folder:
            body["folder"] = _folder(api, folder)
        content = api.download(f"{api.base}/workflows/export-bulk", body)
        return _written(output, content)

    return over(home, url, act)


def delete(home: str, url: str, name: str, yes: bool) -> int:
    def act(api: Api) -> int:
        found = workflow_of(api, name)
        if not yes and not click.confirm(f"Delete {found['name']!r}?", err=True):
            return 1
        api.delete(f"{api.base}/workflows/{found['id']}")
        return 0

    return over(home, url, act)


def switch(home: str, url: str, name: str, environment: str, on: bool, as_json: bool) -> int:
    verb = "activate" if on else "deactivate"
    return change(home, url, name, "POST", f"{verb}?environment={environment}", {}, as_json)


def change(home: str, url: str, name: str, method: str, tail: str, body: Json, as_json: bool) -> int:
    """One call about a workflow, which answers it."""

    def act(api: Api) -> int:
        answer = api.send(method, f"{path_of(api, name)}/{tail}", body)
        found = answer["workflow"]
        say(answer["message"])
        return printed(found, as_json, line_of(found))

    return over(home, url, act)


def tag(home: str, url: str, name: str, tags: tuple[str, ...], remove: bool, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = workflow_of(api, name)
        named = {one.lower() for one in tags}
        has = [one["name"] for one in found["tags"] if one["name"].lower() not in named]
        body = {"tags": has if remove else [*has, *tags]}
        made = api.put(f"{api.base}/workflows/{found['id']}/tags", body)["workflow"]
        return printed(made, as_json, line_of(made))

    return over(home, url, act)


def tags(home: str, url: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/tags")["data"]
        return printed(found, as_json, *(f"{one['workflows']:>6}  {one['name']}" for one in found))

    return over(home, url, act)


def move(home: str, url: str, name: str, folder: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = path_of(api, name)
        body = {"folder_id": _folder(api, folder, make=True) if folder.strip("/") else None}
        made = api.put(f"{path}/folder", body)["workflow"]
        return printed(made, as_json, line_of(made))

    return over(home, url, act)


def folders(home: str, url: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/folders")["data"]
        return printed(found, as_json, *(f"{one['workflows']:>6}  {one['path']}" for one in found))

    return over(home, url, act)


def _folder(api: Api, path: str, make: bool = False) -> str:
    """The id of a folder by its path."""
    there = {one["path"].lower(): one["id"] for one in api.get(f"{api.base}/folders")["data"]}
    id, walked = "", ""
    for part in path.strip("/").split("/"):
        walked = f"{walked}/{part}" if walked else part
        if walked.lower() not in there and not make:
            raise ApiError(f"There is no folder {walked!r}. `linkflow workflow folders` shows all.")
        parent = id or None
        id = (
            there.get(walked.lower())
            or api.post(f"{api.base}/folders", {"name": part, "parent_id": parent})["folder"]["id"]
        )
    return id


def pages(api: Api, path: str, query: Sequence[tuple[str, str]] = ()) -> Iterator[Json]:
    """All that a list has."""
    cursor: str | None = ""
    while cursor is not None:
        more = [("cursor", cursor)] if cursor else []
        page = api.ask(path, [*query, ("per_page", "100"), *more])
        yield from page["data"]
        cursor = page["meta"]["next_cursor"]


def _content(file: str) -> bytes:
    return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()


def _written(output: str, content: bytes) -> int:
    if output == "-":
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        Path(output).write_bytes(content)
        say(f"Written to {output}.")
    return 0

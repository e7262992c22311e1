"""What of a workflow runs where, and a workspace's policy: the work behind the commands."""

from __future__ import annotations

import json
from typing import Any

import click

from .client import Api, ApiError
from .work import read_document
from .workflows_work import over, pages, path_of, printed

Json = dict[str, Any]


def draft(home: str, url: str, name: str, file: str, drop: bool, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = f"{path_of(api, name)}/draft"
        if drop:
            api.delete(path)
            return 0
        found = api.put(path, read_document(file))["draft"] if file else api.get(path)["draft"]
        if as_json:
            return printed(found, True)
        state = "may be published" if found["publishable"] else "cannot be published yet"
        print(f"revision {found['revision']}, begun on version {found['base_version']}: {state}")
        for one in found["problems"]:
            print(f"  {one.get('severity', 'error')} {one['path'] or '/'}: {one['message']}")
        return 0

    return over(home, url, act)


def versions(home: str, url: str, name: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = list(pages(api, f"{path_of(api, name)}/versions"))
        rows = (
            f"{one['version']:>5}  {one['created_at']}  {one['author'] or '-':<24} {one['summary']}" for one in found
        )
        return printed(found, as_json, *rows)

    return over(home, url, act)


def diff(home: str, url: str, name: str, before: str, after: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = path_of(api, name)
        last = after
        if not last:
            try:
                api.get(f"{path}/draft")
                last = "draft"
            except ApiError:
                last = "latest"
        found = api.get(f"{path}/versions/compare", from_version=before, to_version=last)["diff"]
        return printed(found, as_json, *(found["text"] or ["Nothing is different."]))

    return over(home, url, act)


def switch(home: str, url: str, name: str, verb: str, body: Json, as_json: bool) -> int:
    def act(api: Api) -> int:
        given = {key: value for key, value in body.items() if value is not None}
        found = api.post(f"{path_of(api, name)}/environments/{verb}", given)["environment"]
        return printed(found, as_json, _running(found))

    return over(home, url, act)


def releases(home: str, url: str, name: str, environment: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = list(pages(api, f"{path_of(api, name)}/environments/releases", [("environment", environment)]))
        rows = (
            f"{one['number']:>5}  {one['released_at']}  {one['environment']:<12} v{one['version']:<5} {one['verb']:<9}"
            f" {one['note']}".rstrip()
            for one in found
        )
        return printed(found, as_json, *rows)

    return over(home, url, act)


def running(home: str, url: str, name: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{path_of(api, name)}/environments")["data"]
        return printed(found, as_json, *map(_running, found))

    return over(home, url, act)


def environments(home: str, url: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/environments")["data"]
        return printed(found, as_json, *map(_environment, found))

    return over(home, url, act)


def put_environment(home: str, url: str, name: str, body: Json, is_new: bool, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = f"{api.base}/environments"
        found = (api.post(path, body) if is_new else api.patch(f"{path}/{name}", body))["environment"]
        return printed(found, as_json, _environment(found))

    return over(home, url, act)


def drop_environment(home: str, url: str, name: str, yes: bool) -> int:
    def act(api: Api) -> int:
        if not yes and not click.confirm(f"Delete {name!r}, with its webhooks and schedules?", err=True):
            return 1
        api.delete(f"{api.base}/environments/{name}")
        return 0

    return over(home, url, act)


def show_policy(home: str, url: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/policy")["policy"]
        return printed(found, as_json, *(_rules(found) or ["Everything is allowed."]))

    return over(home, url, act)


def set_policy(home: str, url: str, rules: tuple[str, ...], as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/policy")["policy"]
        body = {name: value for name, value in found.items() if not name.startswith("changed_")}
        for rule in rules:
            name, sign, text = rule.partition("=")
            if not sign or name not in body:
                raise ApiError(f"{rule!r} is no rule. There are: {', '.join(body)}.")
            body[name] = _value(name, text, body[name])
        made = api.put(f"{api.base}/policy", body)["policy"]
        return printed(made, as_json, *(_rules(made) or ["Everything is allowed."]))

    return over(home, url, act)


def _value(name: str, text: str, before: Any) -> Any:
    if isinstance(before, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    try:
        return json.loads(text) if text else 0
    except json.JSONDecodeError:
        raise ApiError(f"{name} is a number, not {text!r}.") from None


def _rules(found: Json) -> list[str]:
    given = {name: value for name, value in found.items() if value and not name.startswith("changed_")}
    return [f"{name:<20} {', '.join(v) if isinstance(v, list) else v}" for name, v in given.items()]


def _environment(found: Json) -> str:
    return f"{found['name']:<20} {'on' if found['is_active'] else 'off':<4} {found['description']}".rstrip()


def _running(found: Json) -> str:
    since = found["release"]["released_at"] if found["release"] else "-"
    return f"{found['environment']:<20} v{found['version']:<5} {'on' if found['is_active'] else 'off':<4} since {since}"

"""`linkflow credential` and `linkflow variable`: the work behind them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from .client import Api, ApiError, say
from .work import connected, guarded

Json = dict[str, Any]


def types(home: str, url: str, type: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        if type:
            found = api.get(f"/api/v1/credential-types/{type}")["credential_type"]
            print(json.dumps(found, indent=2) if as_json else "\n".join(_fields(found)))
            return 0
        every = api.get("/api/v1/credential-types")["data"]
        print(json.dumps(every, indent=2) if as_json else "\n".join(f"{t['type']:<20} {t['title']}" for t in every))
        return 0

    return _over(home, url, act)


def _fields(found: Json) -> Iterator[str]:
    yield f"{found['type']}: {found['title']}"
    needed = found["schema"].get("required", ())
    for name, field in found["schema"].get("properties", {}).items():
        marks = [mark for mark, is_so in (("required", name in needed), ("secret", field.get("writeOnly"))) if is_so]
        yield f"  {name:<20} {', '.join(marks):<18} {field.get('description', '')}".rstrip()


def list_credentials(home: str, url: str, type: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = list(_pages(api, "credentials", type=type))
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            print(f"{one['id']}  {one['slug']:<24} {one['type']:<16} {one['status']:<14} {one['name']}")
        if not found:
            say("There are none. `linkflow credential add NAME TYPE` keeps one.")
        return 0

    return _over(home, url, act)


def show(home: str, url: str, name: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = _credential(api, name)
        found["used_by"] = list(_pages(api, f"credentials/{found['id']}/uses"))
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        _print(found)
        for flow in found["used_by"]:
            print(f"  used by {flow['id']}  {flow['name']}")
        return 0

    return _over(home, url, act)


def add(home: str, url: str, form: Json, fields: tuple[str, ...], as_json: bool) -> int:
    def act(api: Api) -> int:
        data = _given(fields)
        about = api.get(f"/api/v1/credential-types/{form['type']}")["credential_type"]["schema"]
        for field in about.get("required", ()):
            if field not in data and about["properties"][field].get("writeOnly") and sys.stdin.isatty():
                data[field] = click.prompt(field, hide_input=True, err=True)
        made = api.post(f"{api.base}/credentials", {**form, "data": data})["credential"]
        return _made(made, as_json)

    return _over(home, url, act)


def change(home: str, url: str, name: str, form: Json, fields: tuple[str, ...], as_json: bool) -> int:
    def act(api: Api) -> int:
        found = _credential(api, name)
        body = {**form, **({"data": _given(fields)} if fields else {})}
        return _made(api.patch(f"{api.base}/credentials/{found['id']}", body)["credential"], as_json)

    return _over(home, url, act)


def duplicate(home: str, url: str, name: str, title: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = f"{api.base}/credentials/{_credential(api, name)['id']}/duplicate"
        return _made(api.post(path, {"name": title} if title else {})["credential"], as_json)

    return _over(home, url, act)


def delete(home: str, url: str, name: str, yes: bool) -> int:
    def act(api: Api) -> int:
        found = _credential(api, name)
        used = list(_pages(api, f"credentials/{found['id']}/uses"))
        for flow in used:
            say(f"used by {flow['name']} ({flow['id']})")
        if not yes and not click.confirm(f"Delete {found['name']!r} for good?", err=True):
            return 1
        api.delete(f"{api.base}/credentials/{found['id']}")
        return 0

    return _over(home, url, act)


def test(home: str, url: str, name: str, target: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        path = f"{api.base}/credentials/{_credential(api, name)['id']}/test"
        return _tried(api.send("POST", path, {"url": target}), as_json)

    return _over(home, url, act)


def connect(home: str, url: str, name: str, ticket: str) -> int:
    def act(api: Api) -> int:
        path = f"{api.base}/credentials/{_credential(api, name)['id']}/connect"
        given = ticket
        if not given:
            begun = api.post(path)
            say(f"The other side has to know this address: {begun['redirect_uri']}")
            say(f"Open within ten minutes:\n\n{begun['authorize_url']}\n")
            click.launch(begun["authorize_url"])
            given = click.prompt("Ticket", err=True)
        return _tried(api.send("POST", f"{path}/finish", {"ticket": given}), False)

    return _over(home, url, act)


def list_variables(home: str, url: str, environment: str | None, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = _variables(api, environment)
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            print(f"{one['key']:<32} {one['environment'] or '-':<16} {one['value']}")
        return 0

    return _over(home, url, act)


def get_variable(home: str, url: str, key: str, environment: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = _variable(api, key, environment)
        if found is None:
            raise ApiError("There is no such variable.")
        print(json.dumps(found, indent=2) if as_json else found["value"])
        return 0

    return _over(home, url, act)


def set_variable(home: str, url: str, form: Json, value: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = _variable(api, form["key"], form["environment"])
        body = {**form, "value": _value(form["key"], value)}
        if found is None:
            made = api.post(f"{api.base}/variables", body)["variable"]
        else:
            made = api.patch(f"{api.base}/variables/{found['id']}", body)["variable"]
        if as_json:
            print(json.dumps(made, indent=2))
        else:
            print(f"{made['key']}  {made['value']}")
        return 0

    return _over(home, url, act)


def delete_variable(home: str, url: str, key: str, environment: str, yes: bool) -> int:
    def act(api: Api) -> int:
        found = _variable(api, key, environment)
        if found is None:
            raise ApiError("There is no such variable.")
        if not yes and not click.confirm(f"Delete {key}?", err=True):
            return 1
        api.delete(f"{api.base}/variables/{found['id']}")
        return 0

    return _over(home, url, act)


def _over(home: str, url: str, act: Callable[[Api], int]) -> int:
    def work() -> int:
        with connected(home, url) as api:
            return act(api)

    return guarded(work)


def _pages(api: Api, tail: str, **filters: str) -> Iterator[Json]:
    cursor = ""
    while True:
        page = api.get(f"{api.base}/{tail}", cursor=cursor, per_page=100, **filters)
        yield from page["data"]
        cursor = page["meta"]["next_cursor"]
        if not cursor:
            return


def _credential(api: Api, name: str) -> Json:
    """By id, name or slug."""
    for found in _pages(api, "credentials"):
        if name in (found["id"], found["name"], found["slug"]):
            return found
    raise ApiError(f"There is no credential {name!r}. `linkflow credential list` shows all.")


def _variables(api: Api, environment: str | None) -> list[Json]:
    return [one for one in _pages(api, "variables") if environment is None or one["environment"] == environment]


def _variable(api: Api, key: str, environment: str) -> Json | None:
    return next((one for one in _variables(api, environment) if one["key"] == key), None)


def _given(fields: tuple[str, ...]) -> Json:
    data = {}
    for field in fields:
        name, found, value = field.partition("=")
        if not found:
            raise ValueError(f"--set {name}: write FIELD=VALUE, FIELD=@FILE, or FIELD=- to be asked")
        data[name] = _value(name, value)
    return data


def _value(name: str, text: str) -> str:
    if text == "-":
        return str(click.prompt(name, hide_input=True, err=True) if sys.stdin.isatty() else sys.stdin.read().strip())
    return Path(text[1:]).read_text(encoding="utf-8").rstrip("\n") if text.startswith("@") else text


def _made(made: Json, as_json: bool) -> int:
    if as_json:
        print(json.dumps(made, indent=2))
    else:
        _print(made)
    for warning in made.get("warnings", ()):
        say(f"note {warning['path']}: {warning['message']}")
    return 0


def _print(found: Json) -> None:
    print(f"{found['id']}  {found['name']}  ({found['type']}, {found['status']}; credential.{found['slug']})")
    for name, value in found["data"].items():
        if value not in ("", None):
            print(f"  {name:<20} {value}")
    for name in ("hosts", "roles"):
        if found[name]:
            print(f"  {name:<20} {', '.join(found[name])}")
    if found["expires_at"]:
        print(f"  expires_at           {found['expires_at']}")


def _tried(answer: Json, as_json: bool) -> int:
    print(json.dumps(answer, indent=2) if as_json else answer.get("message") or answer.get("detail"))
    return 0 if answer.get("ok") else 1

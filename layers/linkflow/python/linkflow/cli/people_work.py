"""`linkflow member`, `invite`, `role`, `key`, `session`, `audit`: the work behind them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote, urlencode

import click

from .client import Api, ApiError, say
from .work import connected, guarded

Json = dict[str, Any]


def members(home: str, url: str, as_json: bool) -> int:
    def line(one: Json) -> str:
        return f"{one['user_id']}  {one['role']:<16} {one['email']}"

    return _listed(home, url, lambda api: api.get(f"{api.base}/members")["data"], line, as_json)


def add_member(home: str, url: str, email: str, role: str, as_json: bool) -> int:
    body = {"email": email, "role": role}
    return _done(home, url, lambda api: api.post(f"{api.base}/members", body), as_json)


def set_role(home: str, url: str, who: str, role: str, as_json: bool) -> int:
    def act(api: Api) -> Any:
        return api.put(f"{api.base}/members/{_member(api, who)}", {"role": role})

    return _done(home, url, act, as_json)


def remove_member(home: str, url: str, who: str, as_json: bool) -> int:
    return _done(home, url, lambda api: api.delete(f"{api.base}/members/{_member(api, who)}"), as_json)


def leave(home: str, url: str, yes: bool, as_json: bool) -> int:
    def act(api: Api) -> Any:
        _sure(yes, "Leave this workspace?")
        return api.post(f"{api.base}/leave")

    return _done(home, url, act, as_json)


def transfer(home: str, url: str, who: str, yes: bool, as_json: bool) -> int:
    def act(api: Api) -> Any:
        heir = _member(api, who)
        _sure(yes, f"Make {who} the owner, and yourself an admin?")
        return api.post(f"{api.base}/transfer", {"user_id": heir})

    return _done(home, url, act, as_json)


def _member(api: Api, who: str) -> str:
    found = api.get(f"{api.base}/members")["data"]
    return _named("member", who, found, "user_id", "user_id", "email")


def invite(home: str, url: str, email: str, role: str, as_json: bool) -> int:
    def act(api: Api) -> Any:
        made = api.post(f"{api.base}/invitations", {"email": email, "role": role})
        if made["url"] and not as_json:
            print(made["url"])
        return made

    return _done(home, url, act, as_json)


def invitations(home: str, url: str, as_json: bool) -> int:
    def line(one: Json) -> str:
        return f"{one['id']}  {one['role']:<16} {one['email']:<32} until {one['expires_at']}"

    return _listed(home, url, lambda api: api.get(f"{api.base}/invitations")["data"], line, as_json)


def withdraw(home: str, url: str, which: str, as_json: bool) -> int:
    def act(api: Api) -> Any:
        id = _named("invitation", which, api.get(f"{api.base}/invitations")["data"], "id", "id", "email")
        return api.delete(f"{api.base}/invitations/{id}")

    return _done(home, url, act, as_json)


def answer(home: str, url: str, link: str, verb: str, as_json: bool) -> int:
    token = quote(link.rpartition("#")[2], safe="")
    return _done(home, url, lambda api: api.post(f"/api/v1/invitations/{token}/{verb}"), as_json)


def roles(home: str, url: str, as_json: bool) -> int:
    def line(one: Json) -> str:
        return f"{one['name']:<20} {'built in' if one['is_built_in'] else 'own':<9} {', '.join(one['permissions'])}"

    return _listed(home, url, _roles, line, as_json)


def permissions(home: str, url: str, as_json: bool) -> int:
    def line(one: Json) -> str:
        return f"{one['name']:<28} {', '.join(one['roles'])}"

    return _listed(home, url, lambda api: api.get("/api/v1/permissions")["data"], line, as_json)


def add_role(home: str, url: str, name: str, permissions: tuple[str, ...], as_json: bool) -> int:
    body = {"name": name, "permissions": permissions}
    return _done(home, url, lambda api: api.post(f"{api.base}/roles", body), as_json)


def set_role_permissions(
    home: str, url: str, name: str, permissions: tuple[str, ...], rename: str, as_json: bool
) -> int:  # fmt: skip
    def act(api: Api) -> Any:
        found = next((one for one in _roles(api) if one["name"] == name and not one["is_built_in"]), None)
        if found is None:
            raise ApiError(f"The workspace has no role {name!r} of its own.")
        body = {"name": rename or name, "permissions": permissions or found["permissions"]}
        return api.put(f"{api.base}/roles/{found['id']}", body)

    return _done(home, url, act, as_json)


def delete_role(home: str, url: str, name: str, as_json: bool) -> int:
    def act(api: Api) -> Any:
        own = [one for one in _roles(api) if not one["is_built_in"]]
        return api.delete(f"{api.base}/roles/{_named('role', name, own, 'id', 'id', 'name')}")

    return _done(home, url, act, as_json)


def _roles(api: Api) -> list[Json]:
    found: list[Json] = api.get(f"{api.base}/roles")["data"]
    return found


def keys(home: str, url: str, service: bool, as_json: bool) -> int:
    def line(one: Json) -> str:
        what = ", ".join(one["permissions"]) or "whatever its owner may do"
        used = one["last_used_at"] or "never used"
        return f"{one['id']}  {one['hint']}…  {one['name']:<20} {used:<24} until {one['expires_at'] or '-'}  {what}"

    return _listed(home, url, lambda api: api.get(_keys(api, service))["data"], line, as_json)


def add_key(home: str, url: str, form: Json, service: bool, anywhere: bool, as_json: bool) -> int:
    """The key alone is on stdout."""

    def act(api: Api) -> Any:
        where = {} if service or anywhere else {"workspace_id": api.workspace}
        made = api.post(_keys(api, service), {**form, **where})
        if not as_json:
            print(made["secret"])
        return made

    return _done(home, url, act, as_json)


def delete_key(home: str, url: str, which: str, service: bool, as_json: bool) -> int:
    def act(api: Api) -> Any:
        path = _keys(api, service)
        return api.delete(f"{path}/{_named('key', which, api.get(path)['data'], 'id', 'id', 'name', 'hint')}")

    return _done(home, url, act, as_json)


def _keys(api: Api, service: bool) -> str:
    return f"{api.base}/keys" if service else "/api/v1/user/keys"


def sessions(home: str, url: str, as_json: bool) -> int:
    def line(one: Json) -> str:
        mark, agent = "*" if one["is_current"] else " ", (one["user_agent"] or "-")[:60]
        return f"{mark} {one['id']}  {one['last_used_at']}  {one['ip'] or '-':<16} {one['method']:<10} {agent}"

    return _listed(home, url, lambda api: api.get("/api/v1/user/sessions")["data"], line, as_json)


def end_session(home: str, url: str, id: str, others: bool, as_json: bool) -> int:
    def act(api: Api) -> Any:
        if bool(id) == others:
            raise ApiError("Name a session, or --others.")
        return api.delete("/api/v1/user/sessions" + ("" if others else f"/{quote(id, safe='')}"))

    return _done(home, url, act, as_json)


def audit(home: str, url: str, asked: Json, mine: bool, limit: int, as_json: bool) -> int:
    def find(api: Api) -> list[Json]:
        path, cursor = "/api/v1/user/audit" if mine else f"{api.base}/audit", ""
        found: list[Json] = []
        while len(found) < limit:
            page = api.get(path, **asked, cursor=cursor, per_page=min(100, limit - len(found)))
            found += page["data"]
            cursor = page["meta"]["next_cursor"]
            if not cursor:
                break
        return found

    return _listed(home, url, find, _audit_line, as_json)


def _audit_line(one: Json) -> str:
    target = f" {one['target']['type']} {one['target']['id']}" if one["target"] else ""
    changes = "".join(f"\n    {text}" for text in _changes(one["changes"]))
    who = one["actor_name"] or one["actor"]
    return f"{one['at']}  {one['action']:<28} {who} ({one['via']}, {one['ip'] or '-'}){target}{changes}"


def _changes(changes: Iterable[Json]) -> Iterator[str]:
    for one in changes:
        yield f"{one['path'] or '/'}: {json.dumps(one['from'])} -> {json.dumps(one['to'])}"


def export_audit(home: str, url: str, asked: Json, output: str) -> int:
    def work() -> int:
        query = urlencode({name: value for name, value in asked.items() if value})
        lines = 0
        with connected(home, url) as api, click.open_file(output, "w", encoding="utf-8") as file:
            for text in api.lines(f"{api.base}/audit/export{f'?{query}' if query else ''}"):
                file.write(f"{text}\n")
                lines += 1
        say(f"{lines} entries")
        return 0

    return guarded(work)


def _named(kind: str, which: str, found: list[Json], id: str, *names: str) -> str:
    """The id of the one that is called so. Raises `ApiError` for none, and for several."""
    fitting = [one for one in found if which in [one.get(name) for name in names]]
    if len(fitting) != 1:
        raise ApiError(f"{'Several' if fitting else 'No'} {kind}{'s are' if fitting else ' is'} called {which!r}.")
    return str(fitting[0][id])


def _sure(yes: bool, question: str) -> None:
    if not yes and not click.confirm(question, err=True):
        raise ApiError("Nothing was done.")


def _listed(
    home: str, url: str, find: Callable[[Api], list[Json]], line: Callable[[Json], str], as_json: bool
) -> int:  # fmt: skip
    def work() -> int:
        with connected(home, url) as api:
            found = find(api)
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            print(line(one))
        if not found:
            say("There are none.")
        return 0

    return guarded(work)


def _done(home: str, url: str, act: Callable[[Api], Any], as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = act(api) or {}
        if as_json:
            print(json.dumps(found, indent=2))
        else:
            say(found.get("message", "Done."))
        return 0

    return guarded(work)

"""`linkflow approval`: the work behind it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import click

from .client import Api, say
from .work import connected, guarded

Json = dict[str, Any]


def list_approvals(home: str, url: str, wanted: Json, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = list(_pages(api, {name: value for name, value in wanted.items() if value}))
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            asked = f"  for {', '.join(one['assignees'])}" if one["assignees"] else ""
            due = f"  by {one['due_at']}" if one["due_at"] else ""
            print(f"{one['id']}  {one['title']}{asked}{due}")
        if not found:
            say("Nothing waits.")
        return 0

    return _over(home, url, act)


def show(home: str, url: str, id: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/approvals/{id}")["approval"]
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for name, value in found.items():
            if value not in (None, "", []):
                print(f"{name:<18} {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
        return 0

    return _over(home, url, act)


def decide(home: str, url: str, id: str, decision: str, payload: str, comment: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        form: Json = {"decision": decision, "comment": comment}
        if payload:
            form["payload"] = _value(payload)
        answer = api.post(f"{api.base}/approvals/{id}/decision", form)
        print(json.dumps(answer, indent=2) if as_json else f"{decision}; the run is {answer['execution']['status']}.")
        return 0

    return _over(home, url, act)


def link(home: str, url: str, id: str, note: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        made = api.post(f"{api.base}/approvals/{id}/link", {"note": note})["link"]
        print(json.dumps(made, indent=2) if as_json else made["url"])
        return 0

    return _over(home, url, act)


def links(home: str, url: str, id: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        found = api.get(f"{api.base}/approvals/{id}/links")["data"]
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            until = f"until {one['expires_at']}" if one["expires_at"] else "those in messages"
            stands = f"revoked {one['revoked_at']}" if one["revoked_at"] else until
            print(f"{one['id']}  {stands}  {one['note']}".rstrip())
        return 0

    return _over(home, url, act)


def unlink(home: str, url: str, id: str, link_id: str, as_json: bool) -> int:
    def act(api: Api) -> int:
        done = api.delete(f"{api.base}/approvals/{id}/links/{link_id}")
        print(json.dumps(done, indent=2) if as_json else done["message"])
        return 0

    return _over(home, url, act)


def _value(text: str) -> Any:
    given = Path(text[1:]).read_text() if text.startswith("@") else text
    try:
        return json.loads(given)
    except ValueError as error:
        raise click.UsageError(f"--payload is no JSON: {error}") from None


def _pages(api: Api, wanted: Json) -> Iterator[Json]:
    cursor: str | None = ""
    while cursor is not None:
        query = urlencode({**wanted, "per_page": 100, **({"cursor": cursor} if cursor else {})})
        page = api.get(f"{api.base}/approvals?{query}")
        yield from page["data"]
        cursor = page["meta"]["next_cursor"]


def _over(home: str, url: str, act: Callable[[Api], int]) -> int:
    def work() -> int:
        with connected(home, url) as api:
            return act(api)

    return guarded(work)

"""Deleting workspaces, and bringing them back."""

from __future__ import annotations

import json
from typing import Any

import click

from .client import ApiError
from .work import connected, guarded

Json = dict[str, Any]
GONE = "/api/v1/user/deleted-workspaces"


def deleted(home: str, url: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = api.get(GONE)["data"]
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            print(
                f"{one['id']}  {one['name']}  deleted {one['deleted_at']}, can be restored until {one['restore_until']}"
            )
        return 0

    return guarded(work)


def delete(home: str, url: str, name: str, yes: bool, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = _only(api.get("/api/v1/workspaces")["data"], name)
            if not yes and not click.confirm(f"Delete {found['name']} with everything in it?", err=True):
                return 1
            done = api.delete(f"/api/v1/workspaces/{found['id']}")
        until = done["restore_until"]
        print(json.dumps(done, indent=2) if as_json else f"{found['id']} is deleted. It can be restored until {until}.")
        return 0

    return guarded(work)


def restore(home: str, url: str, name: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = _only(api.get(GONE)["data"], name)
            done = api.post(f"{GONE}/{found['id']}/restore")
        told = f"{found['id']}  {found['name']}  is back, switched off: {done['workflows']} of its workflows"
        print(json.dumps(done, indent=2) if as_json else told)
        return 0

    return guarded(work)


def _only(among: list[Json], name: str) -> Json:
    fitting = [one for one in among if name in (one["id"], one["name"])]
    if len(fitting) != 1:
        raise ApiError(f"{'Several workspaces are' if fitting else 'No workspace of yours is'} called {name!r}.")
    return fitting[0]

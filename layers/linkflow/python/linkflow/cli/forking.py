"""Forks, reruns and bulk operations, over the API."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from .client import Api, say
from .work import connected, guarded

LOOK_EVERY = 0.3
WIDTH = 30
OPEN = "running"


def make(home: str, url: str, execution_id: str, verb: str, given: dict[str, Any], as_json: bool) -> int:
    """Fork, reset or rerun one run."""

    def work() -> int:
        body = {"dry_run": given["dry_run"], "reason": given["reason"], **_options(given)}
        with connected(home, url) as api:
            answer = api.post(f"{api.base}/executions/{execution_id}/{verb}", body)
        if as_json:
            print(json.dumps(answer, indent=2))
            return 0
        _tell(answer)
        if "execution" in answer:
            print(answer["execution"]["id"])
        return 0

    return guarded(work)


def _options(given: dict[str, Any]) -> dict[str, Any]:
    """What a fork or a signal takes, as far as it was given. Raises `ValueError` for what is no JSON."""
    body: dict[str, Any] = {name: given[name] for name in ("node", "name", "key") if given.get(name)}
    if version := given.get("version"):
        if version != "latest" and not version.isdecimal():
            raise ValueError("--version is a number or latest.")
        body["version"] = version if version == "latest" else int(version)
    for name, option in (("input", "data"), ("payload", "payload")):
        if given.get(option) is not None:
            body[name] = _json(given[option], f"--{name}")
    return body


def _json(text: str, name: str) -> Any:
    if text.startswith("@"):
        text = Path(text[1:]).read_text(encoding="utf-8")
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None


def _tell(answer: dict[str, Any]) -> None:
    plan, report = answer.get("plan") or {}, answer.get("report") or {}
    for word, keys in (("kept", plan.get("kept")), ("to run", plan.get("runs")), ("skipped", plan.get("skipped"))):
        if keys:
            say(f"{word:>8}: {', '.join(keys)}")
    for loop in plan.get("loops", ()):
        say(f"    loop: {loop['node']} keeps {loop['kept']} iterations, runs {loop['runs']}")
    for word, found in report.items():
        names = [item if isinstance(item, str) else f"{item['node']} ({', '.join(item['fields'])})" for item in found]
        if names:
            say(f"{word.replace('_', ' '):>8}: {', '.join(names)}")


def begin(home: str, url: str, verb: str, given: dict[str, Any], as_json: bool, detach: bool) -> int:
    """Start a bulk operation and follow it."""

    def work() -> int:
        chosen = {
            "workflow_id": given["workflow"], "status": list(given["status"]), "mode": given["mode"],
            "started_after": given["after"] or None, "started_before": given["before"] or None,
            "ids": list(given["ids"]),
        }  # fmt: skip
        body = {
            "verb": verb, "filter": chosen, "limit": given["limit"], "dry_run": given["dry_run"],
            "reason": given["reason"], **_options(given),
        }  # fmt: skip
        with connected(home, url) as api:
            return begun(api, api.post(f"{api.base}/executions/bulk", body), as_json, detach)

    return guarded(work)


def begun(api: Api, answer: Any, as_json: bool, detach: bool) -> int:
    """Follow what was begun, or say how many runs there are where nothing was."""
    if "bulk" not in answer:
        print(json.dumps(answer, indent=2) if as_json else f"{answer['total']}{' or more' * answer['more']} runs")
        return 0
    return _report(answer["bulk"] if detach else _watch(api, answer["bulk"]), as_json)


def follow(home: str, url: str, bulk_id: str, as_json: bool) -> int:
    """Follow one to its end."""

    def work() -> int:
        with connected(home, url) as api:
            return _report(_watch(api, api.get(f"{api.base}/executions/bulk/{bulk_id}")["bulk"]), as_json)

    return guarded(work)


def operations(home: str, url: str, as_json: bool) -> int:
    """List them."""

    def work() -> int:
        with connected(home, url) as api:
            found = api.get(f"{api.base}/executions/bulk", per_page=100)["data"]
        if as_json:
            print(json.dumps(found, indent=2))
            return 0
        for one in found:
            print(f"{one['id']}  {one['verb']:<10} {one['status']:<10} {one['created_at']}  {_counts(one)}")
        return 0

    return guarded(work)


def stop(home: str, url: str, bulk_id: str, as_json: bool) -> int:
    """Stop one."""

    def work() -> int:
        with connected(home, url) as api:
            return _report(api.post(f"{api.base}/executions/bulk/{bulk_id}/cancel")["bulk"], as_json)

    return guarded(work)


def _watch(api: Api, found: dict[str, Any]) -> dict[str, Any]:
    """A bar on a terminal, elsewhere a line whenever something has changed."""
    shown = ""
    while True:
        line = f"{_bar(found)} {_counts(found)}"
        if line != shown:
            sys.stderr.write(f"\r\033[K{line}" if sys.stderr.isatty() else f"{line}\n")
            sys.stderr.flush()
            shown = line
        if found["status"] != OPEN:
            break
        time.sleep(LOOK_EVERY)
        found = api.get(f"{api.base}/executions/bulk/{found['id']}")["bulk"]
    if sys.stderr.isatty():
        sys.stderr.write("\n")
    return found


def _bar(found: dict[str, Any]) -> str:
    full = round(WIDTH * found["progress"])
    return f"[{'#' * full}{'.' * (WIDTH - full)}]"


def _counts(found: dict[str, Any]) -> str:
    seen = found["done"] + found["failed"] + found["skipped"]
    return f"{seen}/{found['total']}: {found['done']} done, {found['skipped']} skipped, {found['failed']} failed"


def _report(found: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        print(f"{found['id']}  {found['verb']}  {found['status']}  {_counts(found)}")
        for error in found["errors"]:
            say(f"  {error['execution_id']}: {error['message']}")
    return 1 if found["failed"] else 0

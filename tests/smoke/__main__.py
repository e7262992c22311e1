"""`make deploy-local`: the template deployed to an emulator of AWS on this machine, and a smoke over its HTTP API.

Postgres and Valkey are real and of its own; everything is gone at the end. Exit code 1 where a step failed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TypeVar

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.valkey import EmbeddedValkey
from linkflow.postgres.migrate import migrate
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.smoke import deploying, figures
from tests.smoke.emulator import Emulator, started
from tests.smoke.story import Story

T = TypeVar("T")
QUIET = 2.0
"""Seconds after which a worker that has nothing to do has gone."""
NODES = 10


def main() -> int:
    parser = argparse.ArgumentParser(prog="make deploy-local", description=__doc__)
    parser.add_argument("--runs", type=int, default=20, help="runs of which the billed time is taken")
    arguments = parser.parse_args()
    with ExitStack() as stack, tempfile.TemporaryDirectory(prefix="linkflow-smoke-") as name:
        folder = Path(name)
        emulator = _timed("the emulator is up", lambda: stack.enter_context(started(folder)))
        template = _timed("sam build", lambda: deploying.build(folder, emulator.environ))
        database = stack.enter_context(EmbeddedPostgres(folder / "home"))
        cache = stack.enter_context(EmbeddedValkey(folder / "home"))
        migrate(database.url)
        web = stack.enter_context(closing(Web()))
        parameters = {
            "DatabaseUrl": database.url, "RedisUrl": cache.url, "PublicUrl": emulator.url, "LogLevel": "DEBUG",
            "Egress": json.dumps({"allow": ["127.0.0.0/8"]}, separators=(",", ":")),
        }  # fmt: skip
        deployed = _timed("sam deploy", lambda: deploying.deploy(emulator, template, parameters))
        failed = _smoke(emulator, deployed, web, arguments.runs)
        if failed:
            print(f"--- the emulator's log\n{emulator.log.read_text()[-3000:]}")
            _say_errors(emulator)
        _timed("sam delete", lambda: deploying.delete(emulator))
    return failed


def _smoke(emulator: Emulator, deployed: deploying.Stack, web: Web, runs: int) -> int:
    headers = emulator.names(deployed.api_id)
    person = _timed("register, sign in, make a workspace", lambda: Person(emulator.url, headers=headers))
    failed = 0
    _timed("the functions that nobody invokes by default", lambda: deploying.knock(emulator))
    for what, step in Story(person, web).steps():
        try:
            _timed(what, step)
        except Exception as error:
            failed += 1
            print(f"  FAILED   {what}: {type(error).__name__}: {str(error)[:1500]}", flush=True)
    print(f"\nThe layer has {deployed.layer_mb} MB zipped, of 50.")
    for what, each in _measured(person, web):
        time.sleep(QUIET)
        before = len(figures.logged(emulator, _GROUP))
        for _ in range(runs):
            each()
        time.sleep(QUIET)
        print(f"An execution ({what}): {figures.per_execution(figures.logged(emulator, _GROUP)[before:], runs)}")
    print()
    print(*figures.table(figures.logged(emulator, _GROUP)), sep="\n")
    person.close()
    return min(failed, 1)


_GROUP = f"/linkflow/{deploying.STACK}"


def _measured(person: Person, web: Web) -> list[tuple[str, Callable[[], object]]]:
    web.place("/fine")
    pure = person.save(workflow(*(node(f"n{at}", "transform", {"fields": {"at": at}}) for at in range(NODES))))["id"]
    calls = person.save(workflow(*(http(f"n{at}", web.url("/fine")) for at in range(NODES))))["id"]

    def run(workflow_id: str) -> None:
        answer = person.post(f"{person.base}/workflows/{workflow_id}/execute?wait=20", {"input": {}})
        assert answer["execution"]["status"] == "completed", answer

    return [
        (f"{NODES} pure nodes", lambda: run(pure)),
        (f"{NODES} HTTP calls, each recorded", lambda: run(calls)),
    ]


def _timed(what: str, act: Callable[[], T]) -> T:
    begun = time.monotonic()
    found = act()
    said = f": {found}" if isinstance(found, str) else ""
    print(f"  {time.monotonic() - begun:6.1f} s  {what}{said}", flush=True)
    return found


def _say_errors(emulator: Emulator) -> None:
    pages = emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=_GROUP)
    for page in pages:
        for event in page["events"]:
            if any(word in event["message"] for word in ('"ERROR"', '"WARNING"', "Traceback", "Error")):
                print(event["message"][:600])


if __name__ == "__main__":
    raise SystemExit(main())

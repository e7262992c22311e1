"""The template, built and deployed to an emulator of AWS on this machine, and what its functions cost there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redis

from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.valkey import EmbeddedValkey
from linkflow.postgres.migrate import migrate
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.stand_ins import Web
from tests.smoke import deploying, figures
from tests.smoke.emulator import Emulator, started
from tests.smoke.stages import LOOPBACK, Stage
from tests.smoke.telling import Telling

QUIET = 2.0
"""Seconds after which a worker that has nothing to do has gone."""
NODES = 10
GROUP = f"/linkflow/{deploying.STACK}"


@contextmanager
def deployed(folder: Path, telling: Telling) -> Iterator[tuple[Stage, Functions]]:
    """Built, deployed, and taken down in the end. Postgres and Valkey are real and of its own."""
    with (
        started(folder) as emulator,
        EmbeddedPostgres(folder / "home") as database,
        EmbeddedValkey(folder / "home") as cache,
        closing(Web()) as web,
    ):
        template = telling.timed("sam build", lambda: deploying.build(folder, emulator.environ))
        migrate(database.url)
        parameters = {
            "DatabaseUrl": database.url, "RedisUrl": cache.url, "PublicUrl": emulator.url, "LogLevel": "DEBUG",
            "Egress": LOOPBACK.replace(" ", ""),
        }  # fmt: skip
        stack = telling.timed("sam deploy", lambda: deploying.deploy(emulator, template, parameters))
        telling.timed("functions that nobody invokes by default", lambda: deploying.knock(emulator))
        functions = Functions(emulator, stack)

        def left_to(queue: str) -> None:
            """As if a function had been invoked for it: none is for a minute, and the worker beside them has it."""
            with redis.Redis.from_url(cache.url) as client:
                client.hset(f"lf:{{invited:{queue}}}", mapping={"room": 1000, "workers": 1})
                client.pexpire(f"lf:{{invited:{queue}}}", 60_000)

        where = {"DATABASE_URL": database.url, "REDIS_URL": cache.url, "LINKFLOW_HOME": str(folder / "home")}
        yield Stage(
            emulator.url, web, folder, where, functions.numbers, functions.complaints,
            lambda: deploying.delete(emulator), emulator.names(stack.api_id), left_to,
        ), functions  # fmt: skip


class Functions:
    """What they wrote into their logs."""

    def __init__(self, emulator: Emulator, stack: deploying.Stack) -> None:
        self._emulator, self._stack = emulator, stack

    def numbers(self) -> str:
        """What CloudWatch makes metrics of."""
        return "\n".join(line for line in self._lines() if '"_aws"' in line)

    def complaints(self) -> str:
        words = ('"ERROR"', '"WARNING"', "Traceback", "Error")
        lines = [line[:600] for line in self._lines() if any(word in line for word in words)]
        return "\n".join([*lines, "--- the emulator's log", self._emulator.log.read_text()[-3000:]])

    def costs(self, person: Person, web: Web, runs: int) -> Iterator[str]:
        """What a run was billed, and what each function did."""
        yield f"The layer has {self._stack.layer_mb} MB zipped, of 50."
        for what, each in _measured(person, web):
            time.sleep(QUIET)
            before = len(figures.logged(self._emulator, GROUP))
            for _ in range(runs):
                each()
            time.sleep(QUIET)
            spent = figures.logged(self._emulator, GROUP)[before:]
            yield f"An execution ({what}): {figures.per_execution(spent, runs)}"
        yield ""
        yield from figures.table(figures.logged(self._emulator, GROUP))

    def _lines(self) -> Iterator[str]:
        pages = self._emulator.client("logs").get_paginator("filter_log_events").paginate(logGroupName=GROUP)
        return (event["message"] for page in pages for event in page["events"])


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

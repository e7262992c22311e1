"""The runbook of docs/operations.md: a backup of a database that is in use, brought back on another server's database, with
an empty Valkey, is the product as it was; what was under way goes on."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import redis

from linkflow.local import binaries
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import http, node, workflow
from tests.e2e.person import Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Web
from tests.e2e.topologies import ROOT

SECRET = "s" * 40


def runbook(*heads: str) -> list[list[str]]:
    """The commands of the runbook that begin like these, in its order."""
    text = (ROOT / "docs" / "operations.md").read_text()
    section = re.search(r"^### Backup and restore\n(.*?)^### ", text, re.M | re.S)
    assert section
    lines = re.findall(rf"^((?:{'|'.join(heads)}) .*)$", section[1], re.M)
    return [shlex.split(line.partition(" #")[0]) for line in lines]


def run(command: list[str], **values: str) -> None:
    words = [re.sub(r"\$([A-Z_]+)", lambda found: values[found[1]], word) for word in command]
    done = subprocess.run([str(binaries.postgres()[0] / words[0]), *words[1:]], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_backup_brings_everything_back_and_runs_go_on(
    postgres, migrated_template: str, valkey, web: Web, tmp_path: Path
) -> None:
    dump, restore = runbook("pg_dump", "pg_restore")
    redis_url = emptied(valkey.url, "backup")
    (tmp_path / "files").mkdir()
    backup = str(tmp_path / "files" / "linkflow.dump")
    with (
        fresh_database(postgres.url, migrated_template) as before,
        fresh_database(postgres.url) as after,
    ):
        with topologies.in_process(before, redis_url, tmp_path / "home", LINKFLOW_SECRET=SECRET) as made:
            person = Person(made.url)
            done = person.run(workflow(node("out", "transform", {"keep": False, "fields": {"n": 1}}))).check()
            asks = workflow(node("ask", "action_approval", {"title": "Go on?"}), node("out", "noop"))
            waits = workflow(node("rest", "delay", {"seconds": 8}), node("out", "noop"))
            slow = web.place("/slow", {"fine": True})
            slow.hold()
            calls = workflow(http("call", web.url("/slow"), retry={"max_attempts": 5, "initial_interval": 0.1}))
            under_way = [person.start(person.save(document)["id"]) for document in (asks, waits, calls)]
            slow.wait_for_calls(1)
            person.wait_event(under_way[0], "ApprovalRequested")
            run(dump, DATABASE_URL=before, BACKUP=backup)
            later = person.start(person.save(workflow(node("out", "noop")))["id"])
            token = person.http.headers["Authorization"]
            person.close()
        slow.let_go()
        run(restore, DATABASE_URL=after, BACKUP=backup)
        with redis.Redis.from_url(redis_url) as client:
            client.flushdb()  # what it held is in Postgres, or of no use any more
        with topologies.in_process(after, redis_url, tmp_path / "home", LINKFLOW_SECRET=SECRET) as again:
            person.url, person.http = again.url, type(person.http)(base_url=again.url, timeout=40.0, trust_env=False)
            person.http.headers["Authorization"] = token
            assert person.end(done.id).check().result == {"n": 1}
            assert person.send("GET", f"{person.base}/executions/{later}").status_code == 404, (
                "it began after the backup"
            )
            (asked,) = person.get(f"{person.base}/approvals")["data"]
            person.post(f"{person.base}/approvals/{asked['id']}/decision", {"decision": "approved"})
            for execution in under_way:
                person.end(execution).check()
            person.close()
        assert_sound(after, expect=4)

"""The original's showcase of all nodes: imported unchanged and run by its manual trigger, against stand-ins of the
services that it calls; and the secrets for those are nowhere but in the worker's configuration."""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis
import trustme
from aiosmtpd.controller import Controller
from psycopg import sql

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.person import Person, Run
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Place, Web
from tests.e2e.topologies import Topology

TEMPLATE = Path(__file__).resolve().parents[1] / "data" / "all-nodes-template.json"
SLACK_TOKEN = "xoxb-2718281828-secret-of-slack"


@dataclass
class Outside:
    """The stand-ins: what was asked of them."""

    httpbin: Place
    slack: Place
    mails: list[Any] = field(default_factory=list)

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(message_from_bytes(envelope.content))
        return "250 OK"


@pytest.fixture(scope="module")
def world(postgres, migrated_template: str, valkey, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple]:
    """LinkFlow, configured as an operator would, and the world that it calls: (topology, outside)."""
    folder = tmp_path_factory.mktemp("all-nodes")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("httpbin.org").configure_cert(tls)
    secure, plain = Web(tls), Web()
    posted = {"ok": True, "channel": "C1", "ts": "1.2", "message": {"text": "Success!"}}
    outside = Outside(
        secure.place("/json", {"slideshow": {"title": "Sample"}}), plain.place("/api/chat.postMessage", posted)
    )
    mail = Controller(outside, hostname="127.0.0.1", port=topologies.free_ports(1)[0])
    mail.start()
    egress = {
        "resolve": {"httpbin.org:443": secure.address},
        "allow": [plain.address, f"127.0.0.1:{mail.port}"],
        "ca_file": str(folder / "ca.pem"),
    }
    connections = {
        "slack": {"token": SLACK_TOKEN, "base_url": plain.url("/api")},
        "smtp": {"host": "127.0.0.1", "port": mail.port, "from": "linkflow@example.com", "tls": "none"},
    }
    extra = {"LINKFLOW_EGRESS": json.dumps(egress), "LINKFLOW_CONNECTIONS": json.dumps(connections)}
    with fresh_database(postgres.url, migrated_template) as database_url:
        redis_url = emptied(valkey.url, "all_nodes")
        with topologies.in_process(database_url, redis_url, folder, **extra) as topology:
            yield topology, outside
        assert_sound(database_url, expect=2)
    mail.stop()
    secure.close()
    plain.close()


@pytest.fixture(scope="module")
def topology(world: tuple) -> Topology:
    found: Topology = world[0]
    return found


@pytest.fixture
def outside(world: tuple) -> Outside:
    found: Outside = world[1]
    for place in (found.httpbin, found.slack):
        place.calls.clear()
        place.status = 200
    found.mails.clear()
    return found


def _run(person: Person) -> Run:
    saved = person.save(json.loads(TEMPLATE.read_text()))
    return person.end(person.start(saved["id"], trigger_node="1"))


def test_the_template_runs_as_it_is(person: Person, outside: Outside, topology: Topology) -> None:
    run = _run(person).check()
    assert run.shown["trigger_node"] == "1"
    statuses = {"4": "completed", "6": "completed", "7": "completed", "8": "skipped", "11": "completed"}
    assert {"1": "completed", **run.statuses()} == {"1": "completed", **statuses}
    assert not {"2", "3", "5", "9", "10"} & {event["attributes"].get("node") for event in run.events}
    for node in ("4", "6", "7", "11"):
        assert len(run.of("NodeCompleted", node)) == 1
    assert run.nodes["4"]["output"]["data"] == {"slideshow": {"title": "Sample"}}
    assert run.nodes["11"]["name"] == "Logger"
    assert (len(outside.httpbin.calls), outside.mails) == (1, [])
    assert outside.httpbin.calls[0].headers["host"] == "httpbin.org"
    (message,) = outside.slack.calls
    assert message.body == {"channel": "#general", "text": "Success!"}
    assert message.headers["authorization"] == f"Bearer {SLACK_TOKEN}"


def test_the_other_branch_sends_the_mail(person: Person, outside: Outside) -> None:
    document = json.loads(TEMPLATE.read_text())
    document["nodes"][5]["data"]["config"]["expression"] = "{{ $node.prev.output.status }} == 404"
    saved = person.save(document)
    run = person.end(person.start(saved["id"], trigger_node="1")).check()
    assert {key: run.statuses()[key] for key in ("7", "8", "11")} == {
        "7": "skipped",
        "8": "completed",
        "11": "completed",
    }
    (mail,) = outside.mails
    assert (mail["To"], mail["From"], mail["Subject"]) == ("admin@example.com", "linkflow@example.com", "Alert")
    assert mail.get_payload().strip() == "Something happened."
    assert outside.slack.calls == []


def test_secrets_are_nowhere(person: Person, outside: Outside, topology: Topology) -> None:
    outside.slack.status = 500  # a failure must not tell them either
    failed = _run(person).check("failed")
    assert failed.error["code"] == "slack_error"
    shown = json.dumps([failed.shown, failed.events, failed.nodes])
    kept = _everything_in(topology.database_url) + _everything_in_valkey(topology.redis_url)
    assert b"Success!" in kept  # so it was looked at where it would be
    for secret in (SLACK_TOKEN, SLACK_TOKEN.encode().hex()):
        assert secret not in shown
        assert secret.encode() not in kept


def _everything_in(database_url: str) -> bytes:
    """All rows of all tables, bytea as what it holds."""
    found = b""
    with psycopg.connect(database_url) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        for (table,) in tables:
            for row in connection.execute(sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))).fetchall():
                for value in row:
                    found += (value if isinstance(value, bytes) else str(value).encode()) + b"\n"
    return found


def _everything_in_valkey(redis_url: str) -> bytes:
    with redis.Redis.from_url(redis_url) as client:
        return b"\n".join(key + (client.dump(key) or b"") for key in client.keys("*"))

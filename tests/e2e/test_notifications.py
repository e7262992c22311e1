"""Somebody is told of a failure by webhook, mail and Slack, and what a node says while it runs is on the run's stream."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import http, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Call, Web
from tests.e2e.topologies import Topology
from tests.unit.nodes.test_messages import Mailbox, serve

KEY = b"0123456789-a-signing-key"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


@pytest.fixture
def mailbox() -> Mailbox:
    return Mailbox()


@pytest.fixture
def smtp(mailbox: Mailbox) -> Iterator[Json]:
    yield from serve(Controller(mailbox, hostname="127.0.0.1", port=0), {"host": "127.0.0.1", "from": "lf@example.com"})


@pytest.fixture
def topology(postgres, migrated_template: str, valkey, tmp_path) -> Iterator[Topology]:
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "notifications"), tmp_path) as made:
            yield made
        assert_sound(database_url, expect=5)


def _rule(person: Person, name: str, channel: Json, **more: Any) -> str:
    form = {"name": name, "events": ["failed"], "channel": channel, **more}
    return str(person.post(f"{person.base}/notifications", form)["notification"]["id"])


def _credential(person: Person, type: str, **data: Any) -> str:
    form = {"name": type, "type": type, "data": data}
    return str(person.post(f"{person.base}/credentials", form)["credential"]["id"])


def _signed(call: Call) -> bool:
    """Is it signed as Standard Webhooks say?"""
    body = call.body if isinstance(call.body, str) else json.dumps(call.body, separators=(",", ":"), ensure_ascii=False)
    text = f"{call.headers['webhook-id']}.{call.headers['webhook-timestamp']}.{body}"
    made = base64.b64encode(hmac.new(KEY, text.encode(), hashlib.sha256).digest()).decode()
    return call.headers["webhook-signature"] == f"v1,{made}"


def test_somebody_is_told(topology: Topology, web: Web, smtp: Json, mailbox: Mailbox) -> None:
    person = Person(topology.url)
    secret = "whsec_" + base64.b64encode(KEY).decode()
    hook = web.place("/hook", statuses=[500])
    slack = web.place("/slack", lambda _: "ok")
    broken = _rule(
        person,
        "Hook",
        {"type": "webhook", "url": web.url("/hook"), "credential": _credential(person, "webhook", secret=secret)},
    )
    _rule(
        person, "Mail", {"type": "email", "to": ["ada@example.com"], "credential": _credential(person, "smtp", **smtp)}
    )
    quiet = _rule(
        person, "Slack", {"type": "slack", "credential": _credential(person, "slack", webhook_url=web.url("/slack"))}
    )

    tried = person.post(f"{person.base}/notifications/{quiet}/test")
    assert (tried["message"], slack.calls[0].body["text"].splitlines()[0]) == (
        "Delivered.", "A test of the rule Slack: nothing has happened."
    )  # fmt: skip
    document = {**workflow(http("get", web.url("/nowhere"))), "name": "<!channel> & co"}
    run = person.run(document).check("failed")

    hook.wait_for_calls(2)
    slack.wait_for_calls(2)
    [first, again] = hook.calls
    assert first.headers["webhook-id"] == again.headers["webhook-id"], "a repetition can be told"
    assert _signed(again)
    assert (again.body["type"], again.body["data"]["execution"]["id"]) == ("execution.failed", run.id)
    assert slack.calls[1].body["text"].startswith("&lt;!channel&gt; &amp; co failed at get: ")
    deliveries = person.get(f"{person.base}/executions", mode="notification", status="")["data"]
    ended = [person.end(one["id"]).check() for one in deliveries]
    assert len(ended) == 4
    assert [one.shown["workflow_id"] for one in ended].count(broken) == 1
    [(_, recipients, mail)] = mailbox.mails
    assert recipients == ["ada@example.com"]
    assert mail["subject"] == "<!channel> & co failed"
    person.close()

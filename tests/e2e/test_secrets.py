"""Credentials and secret variables in runs: they reach the other side, and nothing that is kept or told has them."""

from __future__ import annotations

import base64
import html
import json
import logging
import secrets
import time
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psycopg
import pytest
import redis
from click.testing import CliRunner

from linkflow.cli import main
from linkflow.observability import JsonLines
from linkflow.services.signatures import PRESETS, sign
from tests.conftest import fresh_database
from tests.e2e import topologies
from tests.e2e.conftest import emptied
from tests.e2e.documents import edge, http, node, workflow
from tests.e2e.person import Json, Person
from tests.e2e.soundness import assert_sound
from tests.e2e.stand_ins import Call, Web
from tests.e2e.topologies import Topology

TOKEN = 'tok/+=&%"x-0123456789-bearer'
PASSWORD = "pass:w/ord+0123456789-basic"
QUERY = "que ry&0123456789-query"
VARIABLE = "var/0123456789-secret-variable"
NUMBER = "4929123412341234"
DATABASE = "postgresql://ada:d4t4b4se-p4ss@127.0.0.1:1/x"
PLANTED = (TOKEN, PASSWORD, QUERY, VARIABLE, NUMBER, "d4t4b4se-p4ss")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("secrets")


@pytest.fixture(scope="module")
def topology(postgres, migrated_template: str, valkey, home: Path) -> Iterator[Topology]:
    with fresh_database(postgres.url, migrated_template) as database_url:
        with topologies.in_process(database_url, emptied(valkey.url, "secrets"), home) as made:
            yield made
        assert_sound(database_url, expect=5)


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.close()


def credential(person: Person, name: str, type: str, **more: Any) -> str:
    own = {key: more.pop(key) for key in ("hosts", "roles", "expires_at") if key in more}
    form = {"name": name, "type": type, "data": more, **own}
    return str(person.post(f"{person.base}/credentials", form)["credential"]["id"])


def variable(person: Person, key: str, value: str, **more: Any) -> Json:
    made: Json = person.post(f"{person.base}/variables", {"key": key, "value": value, **more})["variable"]
    return made


def forms(secret: str) -> set[bytes]:
    """How a secret could be written down."""
    data = secret.encode()
    found = {
        secret,
        json.dumps(secret)[1:-1],
        quote(secret, safe=""),
        quote_plus(secret),
        html.escape(secret),
        data.hex(),
    }
    for offset in range(3):
        text = base64.b64encode(b"\0" * offset + data).decode().rstrip("=")
        found.add(text[(0, 2, 3)[offset] : -1])
    return {form.encode() for form in found} | {base64.urlsafe_b64encode(data)[:-2]}


def echo(call: Call) -> Json:
    """All that came, in every way that it could be told."""
    sent = call.headers.get("authorization", "")
    basic = base64.b64decode(sent[6:]).decode() if sent.startswith("Basic ") else ""
    return {
        "headers": call.headers, "path": call.path, "body": call.body, "basic": basic, "number": int(NUMBER),
        "text": f"You said <b>{html.escape(sent)}</b> and {json.dumps(sent)}", "hex": TOKEN.encode().hex(),
        "encoded": [base64.b64encode(TOKEN.encode()).decode(), quote(TOKEN), quote_plus(QUERY)], TOKEN: "as a name",
    }  # fmt: skip


class Planted:
    """A workspace with secrets in it, and a workflow whose nodes succeed, fail, are late and say all they know."""

    def __init__(self, person: Person, web: Web) -> None:
        self.person = person
        self.bearer = credential(person, "Bearer", "http_bearer", token=TOKEN)
        self.basic = credential(person, "Basic", "http_basic", username="ada", password=PASSWORD)
        self.query = credential(person, "Query", "http_query", query_value=QUERY)
        self.number = credential(person, "Number", "http_header", header_name="X-Card", header_value=NUMBER)
        self.database = credential(person, "Base", "postgres", connection_string=DATABASE)
        variable(person, "SECRET_KEY", VARIABLE, secret=True)
        self.echo = web.place("/echo", echo)
        self.wrong = web.place("/wrong", echo, status=400)
        self.leak = web.place("/leak", lambda _: {"all": [*PLANTED, *(f"x{one}y" for one in PLANTED)]})
        self.late = web.place("/late", echo, seconds=1.5)

    def document(self, web: Web) -> Json:
        def call(id: str, path: str, slot: str = "", **how: Any) -> Json:
            made = http(id, web.url(path), **how)
            return {**made, "on_error": "continue", **({"credentials": {"http": slot}} if slot else {})}

        expressed = {"X-Own": "{{ credential.bearer.token }}", "X-Variable": "{{ vars.SECRET_KEY }}"}
        body = {"all": "{{ credential.basic }}", "more": "{{ SECRET_KEY }}"}
        nodes = [
            node("begin", "trigger_manual"),
            call("bearer", "/echo", self.bearer),
            call("basic", "/echo", self.basic, method="POST", body={"x": "{{ bearer.data.basic }}"}),
            call("query", "/echo", self.query),
            call("number", "/echo", self.number),
            call("expressed", "/echo?own={{ credential.query.query_value }}", method="POST", headers=expressed, body=body),
            call("wrong", "/wrong", self.bearer),
            call("nowhere", "/x", self.query) | {"config": {"url": "http://127.0.0.1:1/{{ SECRET_KEY }}"}},
            call("late", "/late", self.basic) | {"timeout": {"start_to_close": 0.3}},
            call("leak", "/leak"),
            node("pages", "http", {"url": web.url("/echo"), "pagination": {"mode": "link"}}, on_error="continue",
                 credentials={"http": self.bearer}),
            node("sql", "database", {"query": "select 1"}, on_error="continue", credentials={"database": self.database}),
            node("wrong_config", "http", {"url": "{{ credential.bearer.token }}"}, on_error="continue"),
            node("script", "code", {"code": "console.log(JSON.stringify(input)); return input"}, on_error="continue"),
            node("page", "html", {"operation": "text", "value": "{{ leak.data.all[0] }}"}, on_error="continue"),
            node("log", "output_log", {"message": "{{ jsonStringify(leak) }}"}, on_error="continue"),
            node("after", "transform", {"fields": {"all": "{{ bearer }}", "more": "{{ expressed }}"}}),
        ]  # fmt: skip
        edges = [edge("begin", one["id"]) for one in nodes[1:-4]]
        edges += [edge("leak", "script"), edge("leak", "page"), edge("leak", "log"), edge("expressed", "after")]
        edges.append(edge("bearer", "after"))
        return workflow(*nodes, edges=edges)


def everything_stored(database_url: str) -> Iterator[tuple[str, bytes]]:
    """All rows of all tables, what is packed unpacked."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        tables = connection.execute(
            "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        assert len(tables) > 20
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"').fetchall():
                for value in row:
                    data = bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()
                    yield table, data
                    with suppress(zlib.error):
                        yield table, zlib.decompress(data, 47)


def everything_queued(redis_url: str) -> Iterator[tuple[str, bytes]]:
    """All that Valkey has."""
    with redis.Redis.from_url(redis_url) as client:
        for key in client.scan_iter():
            yield "valkey", key
            yield "valkey", client.dump(key) or b""
            kind = client.type(key)
            read: Any = {
                b"string": client.get, b"hash": client.hgetall, b"stream": client.xrange, b"set": client.smembers,
            }.get(kind)  # fmt: skip
            if kind == b"list":
                read = lambda name: client.lrange(name, 0, -1)  # noqa: E731
            if kind == b"zset":
                read = lambda name: client.zrange(name, 0, -1)  # noqa: E731
            yield "valkey", repr(read(key)).encode()


def everything_told(person: Person, execution: str) -> Iterator[tuple[str, bytes]]:
    """What the API says."""
    run = f"{person.base}/executions/{execution}"
    for path in (
        run, f"{run}/nodes", f"{run}/history?limit=1000", f"{run}/events", f"{person.base}/executions",
        f"{person.base}/credentials", f"{person.base}/variables", f"{person.base}/workflows",
        f"{person.base}/dead-letters",
    ):  # fmt: skip
        yield path, person.send("GET", path).content


class Lines(logging.Handler):
    """What a container would write."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(JsonLines())
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record))


def test_planted_secrets_are_found_nowhere(
    topology: Topology, person: Person, web: Web, capfd: pytest.CaptureFixture[str]
) -> None:
    planted, lines = Planted(person, web), Lines()
    logging.getLogger("linkflow").addHandler(lines)
    run = person.run(planted.document(web), {"n": 1}).check()
    logging.getLogger("linkflow").removeHandler(lines)

    # They did reach the other side.
    sent = json.dumps([call.__dict__ for call in planted.echo.calls])
    assert f"Bearer {TOKEN}" in [call.headers.get("authorization") for call in planted.echo.calls]
    for form in (base64.b64encode(f"ada:{PASSWORD}".encode()).decode(), quote_plus(QUERY), VARIABLE, NUMBER):
        assert form in sent
    assert {key: row["status"] for key, row in run.nodes.items()} == dict.fromkeys(run.nodes, "completed")
    assert run.nodes["late"]["output"]["error"]["code"] == "timeout"
    assert run.nodes["wrong"]["output"]["error"]["code"] == "http_status"
    assert "••••••••" in json.dumps(run.nodes["leak"]["output"], ensure_ascii=False)
    assert run.nodes["bearer"]["output"]["data"]["number"] == "••••••••"

    needles = {form: secret for secret in PLANTED for form in forms(secret)}
    out, err = capfd.readouterr()
    places = [
        *everything_stored(topology.database_url), *everything_queued(topology.redis_url),
        *everything_told(person, run.id), ("stdout", out.encode()), ("stderr", err.encode()),
        ("log", "\n".join(lines.lines).encode()), ("log", topology.logs().encode()),
    ]  # fmt: skip
    found = {(place, secret) for place, data in places for form, secret in needles.items() if form in data}
    assert not found


@pytest.mark.parametrize("preset", ["standard", "stripe", "github", "slack"])
def test_signed_webhooks_and_their_secrets(topology: Topology, person: Person, preset: str) -> None:
    """By a secret in the webhook's settings, which nothing but its credential has afterwards."""
    secret = base64.b64encode(f"s1gning-secret-of-{preset}".encode()).decode()
    auth = {"type": "hmac", "preset": preset, "secret": f"whsec_{secret}" if preset == "standard" else secret}
    hook = person.hook(workflow(node("in", "trigger_webhook", {"auth": auth}), node("a", "noop")))
    body = json.dumps({"preset": preset}).encode()
    kind = {"Content-Type": "application/json", "Authorization": ""}
    headers = kind | sign(PRESETS[preset], auth["secret"], body, round(time.time()), "msg_1")
    began = person.send("POST", hook, content=body, headers=headers)
    assert began.status_code == 202, began.text
    run = person.end(began.json()["execution_id"]).check()
    assert run.shown["trigger_data"]["body"] == {"preset": preset}
    again = person.send("POST", hook, content=body, headers=headers)
    assert again.status_code == (200 if preset in ("standard", "github") else 409)
    for sent, said in ((headers, body + b" "), (kind, body)):
        assert person.send("POST", hook, content=said, headers=sent).status_code == 401
    places = [*everything_stored(topology.database_url), *everything_queued(topology.redis_url)]
    told = everything_told(person, run.id)
    assert {place for place, data in (*places, *told) if secret.encode() in data} == set()


def test_a_link_in_a_message_decides(topology: Topology, person: Person, web: Web) -> None:
    place = web.place("/tell", lambda call: {"sent": call.body})
    saved = person.save(workflow(
        node("each", "loop", {"items": "{{ [1, 2] }}", "concurrency": 2}),
        node("ask", "approval", {"title": "Ship {{ loop.item }}?", "payload": {"n": "{{ loop.item }}"}}),
        http("tell", web.url("/tell"), method="POST",
             body={"n": "{{ loop.item }}", "link": "{{ $approval.ask.approve_url }}"}),
        node("after", "transform", {"fields": {"all": "{{ each }}"}}),
        edges=[edge("begin", "each"), edge("each", "ask", "each"), edge("each", "tell", "each"),
               edge("each", "after", "done")],
    ))  # fmt: skip
    id = person.start(saved["id"])
    place.wait_for_calls(2)
    person.follow(id, lambda found: sum(one["type"] == "ApprovalRequested" for one in found) == 2)
    sent = {call.body["n"]: call.body["link"] for call in place.calls}
    page = person.send("GET", sent[2], headers={"Authorization": "", "Accept": "text/html"})
    assert (page.status_code, "Ship 2?" in page.text) == (200, True)
    for n, decision in ((2, "rejected"), (1, "approved")):
        form = {"decision": decision, "comment": f"number {n}", "name": "Eve"}
        answer = person.send("POST", sent[n], data=form, headers={"Authorization": "", "Accept": "text/html"})
        assert (answer.status_code, "Thank you" in answer.text) == (200, True), answer.text
    run = person.end(id).check()
    said = {key: row["output"] for key, row in run.nodes.items() if key.startswith("ask")}
    assert said["ask[0]"] == {"decision": "approved", "payload": None, "decided_by": "link:Eve", "comment": "number 1"}
    assert said["ask[1]"]["decision"] == "rejected"
    assert "••••••••" in run.nodes["tell[0]"]["output"]["data"]["sent"]["link"]
    tokens = [link.rpartition("/")[2].partition("?")[0].encode() for link in sent.values()]
    places = [*everything_stored(topology.database_url), *everything_queued(topology.redis_url)]
    assert {place for place, data in places for token in tokens if token in data} == set()


def test_a_run_keeps_its_plain_variables_and_secret_ones_are_of_now(person: Person, web: Web) -> None:
    place = web.place("/variables", lambda call: {"sent": call.body})
    plain, secret = variable(person, "GREETING", "hello"), variable(person, "KEY_2", "first-secret-value", secret=True)
    variable(person, "GREETING", "staged", environment="staging")
    saved = person.save(workflow(
        node("set", "transform", {"fields": {"a": "{{ vars.GREETING }}", "b": "{{ GREETING }}!", "none": "{{ NOBODY }}"}}),
        node("wait", "wait_for_event", {"event": "go"}),
        http("call", web.url("/variables"), method="POST", body={"greeting": "{{ env.GREETING }}", "key": "{{ KEY_2 }}"}),
    ))  # fmt: skip
    id = person.start(saved["id"])
    events = person.follow(id, lambda found: any(one["type"] == "NodeCompleted" for one in found))
    assert events[0]["attributes"]["vars"] == {"GREETING": "hello"}
    for made, value in ((plain, "good bye"), (secret, "second-secret-value")):
        assert person.send("PATCH", f"{person.base}/variables/{made['id']}", json={"value": value}).is_success
    person.post(f"{person.base}/events/go", {"data": {}})
    run = person.end(id).check()
    assert run.nodes["set"]["output"] == {"a": "hello", "b": "hello!", "none": None}
    assert place.calls[0].body == {"greeting": "hello", "key": "second-secret-value"}
    assert run.nodes["call"]["output"]["data"] == {"sent": {"greeting": "hello", "key": "••••••••"}}


def test_master_keys_are_changed_while_it_runs(topology: Topology, person: Person, web: Web, home: Path) -> None:
    """By the command line, in another process' place; workers and the API take up the new key by themselves."""
    place = web.place("/keyed", {})
    id = credential(person, "Rotated", "http_bearer", token="a-token-that-stays")
    call = workflow({**http("call", web.url("/keyed")), "credentials": {"http": id}})

    def keys(*words: str) -> str:
        done = CliRunner().invoke(main, ["keys", *words, "--home", str(home)])
        assert done.exit_code == 0, (done.output, done.exception)
        return done.stdout

    auth = {"type": "hmac", "preset": "github", "secret": "a-secret-that-stays"}
    hook = person.hook(workflow(node("in", "trigger_webhook", {"auth": auth}), node("a", "noop")))

    def knock() -> None:
        headers = sign(PRESETS["github"], "a-secret-that-stays", b"x", 0, secrets.token_hex(4))
        began = person.send("POST", hook, content=b"x", headers={**headers, "Authorization": ""})
        person.end(began.json()["execution_id"]).check()

    variable(person, "KEPT_KEY", "a-value-that-stays", secret=True)
    spelt = workflow(http("call", web.url("/keyed"), headers={"authorization": "Bearer {{ KEPT_KEY }}"}))
    person.run(spelt).check()
    person.run(call).check()
    knock()
    before = json.loads(keys("list", "--json"))
    assert before["sealed"][before["current"]] > 0
    now = json.loads(keys("rotate", "--json"))["key_id"]
    after = json.loads(keys("list", "--json"))
    assert after == {"current": now, "sealed": {now: sum(before["sealed"].values())}}
    assert now != before["current"]
    keys("drop", before["current"])
    person.run(call).check()
    person.run(spelt).check()
    knock()
    assert Counter(call.headers["authorization"] for call in place.calls) == {
        "Bearer a-token-that-stays": 2, "Bearer a-value-that-stays": 2,
    }  # fmt: skip
    credential(person, "Newer", "http_bearer", token="another-token-12")
    assert json.loads(keys("list", "--json"))["sealed"] == {now: after["sealed"][now] + 1}


def test_a_credential_that_is_missing_or_over_fails_its_node(person: Person, web: Web) -> None:
    web.place("/plain")
    over = credential(person, "Over", "http_bearer", token="long-enough-token", expires_at="2020-01-01T00:00:00Z")
    for id, code, text in (("nothing", "credential_missing", "'nothing'"), (over, "credential_expired", "'Over'")):
        call = {**http("call", web.url("/plain")), "credentials": {"http": id}, "retry": {"max_attempts": 3}}
        run = person.run(workflow(call)).check("failed")
        assert (run.error["code"], text in run.error["message"]) == (code, True)
        assert len(run.of("NodeRetryScheduled")) == 0
    spelt = http("call", web.url("/plain"), headers={"X": "{{ credential.nobody.token }}"})
    assert person.run(workflow(spelt)).check("failed").error["code"] == "credential_missing"


def test_a_bound_credential_goes_to_its_hosts_alone(person: Person, web: Web) -> None:
    other = Web()
    web.place("/bound", lambda call: {"sent": call.headers.get("authorization", "")})
    elsewhere = other.place("/elsewhere")
    id = credential(person, "Bound", "http_bearer", token="a-bound-token-123", hosts=[web.address])

    def call(url: str) -> Json:
        return workflow({**http("call", url), "credentials": {"http": id}})

    assert person.run(call(web.url("/bound"))).check().result["data"] == {"sent": "Bearer ••••••••"}
    assert person.run(call(other.url("/elsewhere"))).check("failed").error["code"] == "egress_refused"
    spelt = http("call", other.url("/elsewhere"), headers={"X": "{{ credential.bound.token }}"})
    assert person.run(workflow(spelt)).check("failed").error["code"] == "egress_refused"
    assert elsewhere.calls == []
    other.close()


def test_credentials_are_tried_by_a_worker(person: Person, web: Web) -> None:
    web.place("/me", lambda call: {}, statuses=[200])
    web.place("/refused", status=401)
    web.place("/v1/models", {"data": []})
    bearer = credential(person, "Tried", "http_bearer", token="a-token-to-try-1")
    ai = credential(
        person, "Model", "ai", api_key="sk-0123456789abcdef", base_url=web.url("/v1"), provider="compatible"
    )
    base = credential(person, "Nobody", "postgres", connection_string=DATABASE)
    web.place("/jwks", {"keys": [{"kty": "RSA", "n": "x", "e": "AQAB", "d": "private"}, {"kty": "oct", "k": "x"}]})
    keys = credential(person, "Keys", "webhook_jwt", jwks_url=web.url("/jwks"))

    def tried(id: str, **form: str) -> tuple[int, Json]:
        answer = person.send("POST", f"{person.base}/credentials/{id}/test", json=form)
        return answer.status_code, answer.json()

    assert tried(bearer, url=web.url("/me"))[0] == 200
    assert tried(bearer)[1]["ok"] is True
    status, body = tried(bearer, url=web.url("/refused"))
    assert (status, body["code"]) == (422, "refused")
    assert tried(ai)[1]["message"] == "The provider took it."
    assert tried(keys)[1]["message"] == "The key set has 1 keys."
    status, body = tried(base)
    assert (status, body["code"]) == (422, "db_connect")
    assert "d4t4b4se" not in str(body)

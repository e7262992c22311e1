"""Credentials over HTTP: what is secret goes in and never comes out."""

from __future__ import annotations

import itertools
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from linkflow.contracts.worker import ProbeReply
from linkflow.postgres.migrate import migrations
from tests.integration.control.plane import Person, Plane, check_problem

TOKEN = "tok_live_0123456789abcdef"
BEARER = {"name": "Stripe key", "type": "http_bearer", "data": {"token": TOKEN}}
OAUTH = {
    "name": "Sheets",
    "type": "oauth2",
    "data": {
        "authorize_url": "https://id.example/authorize?tenant=7", "token_url": "https://id.example/token",
        "client_id": "me", "client_secret": "client-secret-123456", "scope": "read write",
        "parameters": "access_type=offline&prompt=consent",
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def plane(shared_plane: Plane) -> Plane:
    return shared_plane


async def make(plane: Plane, who: Person, **changes: Any) -> dict[str, Any]:
    response = await plane.client.post(f"{who.base}/credentials", json={**BEARER, **changes}, headers=who.auth)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["credential"]
    return made


async def with_role(plane: Plane, owner: Person, role: str) -> Person:
    """Somebody else in the owner's workspace."""
    other = await plane.somebody()
    who = await plane.services.workspaces.membership(owner.user_id, owner.workspace_id)
    await plane.services.workspaces.add_member(who, other.email, role)
    return Person(other.user_id, other.email, other.token, other.refresh_token, owner.workspace_id)


async def test_it_is_kept_and_never_shown(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada)
    assert made["data"] == {"token": "••••••••cdef"}
    assert (made["slug"], made["status"], made["type"]) == ("stripe_key", "ready", "http_bearer")
    for path in (f"/credentials/{made['id']}", "/credentials"):
        response = await plane.client.get(f"{ada.base}{path}", headers=ada.auth)
        assert response.status_code == 200
        assert TOKEN not in response.text
    viewer = await with_role(plane, ada, "viewer")
    shown = await plane.client.get(f"{viewer.base}/credentials/{made['id']}", headers=viewer.auth)
    assert shown.json()["credential"]["data"] == {"token": "••••••••"}
    async with plane.database.connection() as connection:
        row = await (await connection.execute("SELECT * FROM credentials WHERE id = %s", (made["id"],))).fetchone()
    assert TOKEN.encode() not in str(row).encode()


async def test_short_secrets_show_nothing_and_warn(plane: Plane):
    ada = await plane.somebody()
    basic = {"username": "ada", "password": "pw"}
    made = await make(plane, ada, type="http_basic", data=basic)
    assert made["data"] == {"username": "ada", "password": "••••••••"}
    assert [one["code"] for one in made["warnings"]] == ["short_secret"]


async def test_every_fault_at_once_and_no_value_in_it(plane: Plane):
    ada = await plane.somebody()
    form = {
        "name": "!!", "type": "http_basic", "data": {"password": 5, "tokn": TOKEN}, "hosts": ["a b"]
    }  # fmt: skip
    body = check_problem(
        await plane.client.post(f"{ada.base}/credentials", json=form, headers=ada.auth), 422, "invalid_input"
    )
    assert TOKEN not in str(body)
    found = {one["pointer"]: one["code"] for one in body["errors"]}
    assert found == {
        "/hosts/0": "invalid_value", "/name": "missing_field",
        "/data/username": "missing_field", "/data/tokn": "unknown_field",
    }  # fmt: skip
    body = check_problem(
        await plane.client.post(f"{ada.base}/credentials", json={**BEARER, "type": "magic"}, headers=ada.auth), 422
    )
    assert body["errors"][0]["code"] == "unknown_type"


async def test_names_are_unique_as_expressions_spell_them(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    made = await make(plane, ada)
    again = {**BEARER, "name": "STRIPE-KEY"}
    check_problem(await plane.client.post(f"{ada.base}/credentials", json=again, headers=ada.auth), 409, "conflict")
    await make(plane, bob)  # another workspace's names are its own
    other = await make(plane, ada, name="Other")
    path = f"{ada.base}/credentials/{other['id']}"
    check_problem(await plane.client.patch(path, json={"name": "stripe key"}, headers=ada.auth), 409, "conflict")
    renamed = await plane.client.patch(path, json={"name": "Third"}, headers=ada.auth)
    assert renamed.json()["credential"]["slug"] == "third"
    copies = [
        (await plane.client.post(f"{ada.base}/credentials/{made['id']}/duplicate", headers=ada.auth)).json()
        for _ in range(2)
    ]
    assert [copy["credential"]["name"] for copy in copies] == ["Stripe key (copy)", "Stripe key (copy 2)"]


async def test_what_is_not_sent_stays(plane: Plane):
    ada = await plane.somebody()
    data = {"username": "ada", "password": "a long password 1234"}
    made = await make(plane, ada, type="http_basic", data=data)
    path = f"{ada.base}/credentials/{made['id']}"
    changed = await plane.client.patch(path, json={"data": {"username": "bob"}}, headers=ada.auth)
    assert changed.json()["credential"]["data"] == {"username": "bob", "password": "••••••••1234"}
    form = {**made["data"], "username": "eve"}  # as a form sends it back
    changed = await plane.client.put(
        path, json={"name": "N", "type": "http_basic", "data": form}, headers={**ada.auth, "If-Match": '"2"'}
    )
    assert changed.json()["credential"]["data"] == {"username": "eve", "password": "••••••••1234"}
    stale = await plane.client.patch(path, json={"name": "M"}, headers={**ada.auth, "If-Match": '"2"'})
    check_problem(stale, 412, "version_conflict")
    await_fixed = await plane.client.patch(path, json={"type": "http_bearer"}, headers=ada.auth)
    assert check_problem(await_fixed, 422)["errors"][0]["code"] == "fixed"


async def test_a_secret_is_not_sent_to_another_address_unseen(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada, **OAUTH)
    path = f"{ada.base}/credentials/{made['id']}"
    moved = {"data": {"token_url": "https://evil.example/token"}}
    body = check_problem(await plane.client.patch(path, json=moved, headers=ada.auth), 422)
    assert [one["pointer"] for one in body["errors"]] == ["/data/client_secret"]
    moved["data"]["client_secret"] = "client-secret-123456"
    assert (await plane.client.patch(path, json=moved, headers=ada.auth)).status_code == 200


async def test_where_it_may_go_and_who_may_use_it(plane: Plane):
    ada = await plane.somebody()
    member = await with_role(plane, ada, "member")
    free = await make(plane, ada, hosts=["API.example.com"])
    assert free["hosts"] == ["api.example.com"]
    path = f"{ada.base}/credentials/{free['id']}"
    check_problem(await plane.client.patch(path, json={"hosts": []}, headers=member.auth), 403, "forbidden")
    assert (await plane.client.patch(path, json={"description": "x"}, headers=member.auth)).status_code == 200
    assert (await plane.client.patch(path, json={"roles": ["admin"]}, headers=ada.auth)).status_code == 200
    for method, tail, body in (("PATCH", "", {"name": "n"}), ("POST", "/test", {}), ("POST", "/duplicate", {})):
        response = await plane.client.request(method, path + tail, json=body, headers=member.auth)
        check_problem(response, 403, "forbidden")


def calling(**node: Any) -> dict[str, Any]:
    nodes = [
        {"id": "start", "type": "trigger_manual"},
        {"id": "call", "type": "action_http_request", "config": {"url": "https://api.example.com"}, **node},
    ]
    return {"name": "Calls", "nodes": nodes, "edges": [{"source": "start", "target": "call"}]}


async def test_workflows_that_refer_to_it(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada)
    missing = await plane.client.post(
        f"{ada.base}/workflows", json=calling(credentials={"http": "Nothing"}), headers=ada.auth
    )
    assert [one["code"] for one in missing.json()["workflow"]["warnings"]] == ["unknown_credential"]
    by_name = await plane.workflow(ada, **calling(credentials={"http": "stripe key"}))
    assert by_name["nodes"][1]["credentials"] == {"http": made["id"]}
    spelt = await plane.workflow(
        ada, **{**calling(), "nodes": [
            {"id": "start", "type": "trigger_manual"},
            {"id": "call", "type": "action_http_request",
             "config": {"url": "https://a.example", "headers": {"X-Key": "{{ credential.stripe_key.token }}"}}},
        ]},
    )  # fmt: skip
    assert not spelt.get("warnings")
    await plane.workflow(ada)
    page = await plane.client.get(f"{ada.base}/credentials/{made['id']}/uses", headers=ada.auth)
    assert {one["id"] for one in page.json()["data"]} == {by_name["id"], spelt["id"]}
    first = (await plane.client.get(f"{ada.base}/credentials/{made['id']}/uses?per_page=2", headers=ada.auth)).json()
    assert [one["id"] for one in first["data"]] == [spelt["id"]]
    following = first["meta"]["next_cursor"]
    rest = await plane.client.get(
        f"{ada.base}/credentials/{made['id']}/uses?per_page=2&cursor={following}", headers=ada.auth
    )
    assert [one["id"] for one in rest.json()["data"]] == [by_name["id"]]


async def test_workflows_that_may_not_refer_to_it(plane: Plane):
    ada = await plane.somebody()
    member = await with_role(plane, ada, "member")
    made = await make(plane, ada, roles=["owner"])
    smtp = {"name": "Mail", "type": "smtp", "data": {"host": "mail.example"}}
    mail = await make(plane, ada, **smtp)
    for who, node, code in (
        (member, {"credentials": {"http": made["id"]}}, "credential_not_allowed"),
        (member, {"config": {"url": "https://a.example/{{ credential.stripe_key.token }}"}}, "credential_not_allowed"),
        (ada, {"credentials": {"http": mail["id"]}}, "credential_type"),
        (ada, {"credentials": {"smpt": mail["id"]}}, "unknown_slot"),
        (
            ada,
            {"type": "transform", "config": {"fields": {"a": "{{ credential.stripe_key.token }}"}}},
            "secret_not_allowed",
        ),
        (
            ada,
            {"type": "code", "config": {"code": "return 1", "variables": {"a": "{{ credential.mail }}"}}},
            "secret_not_allowed",
        ),
    ):
        body = check_problem(
            await plane.client.post(f"{who.base}/workflows", json=calling(**node), headers=who.auth), 422
        )
        assert [one["code"] for one in body["errors"] if one["code"] != "unknown_credential"] == [code], body
    saved = await plane.workflow(ada, **calling(credentials={"http": made["id"]}))
    run = f"{ada.base}/workflows/{saved['id']}/execute"
    check_problem(await plane.client.post(run, json={}, headers=member.auth), 403, "forbidden")
    assert (await plane.client.post(run, json={}, headers=ada.auth)).status_code == 201


async def own_role(plane: Plane, owner: Person, name: str) -> str:
    rights = ["workflow.create", "workflow.execute", "credential.view", "credential.update", "role.manage"]
    form = {"name": name, "permissions": rights}
    made = await plane.client.post(f"{owner.base}/roles", json=form, headers=owner.auth)
    assert made.status_code == 201, made.text
    return str(made.json()["role"]["id"])


async def test_it_is_for_a_role_not_for_whatever_has_its_name(plane: Plane):
    ada = await plane.somebody()
    finance, ops = await own_role(plane, ada, "Finance"), await own_role(plane, ada, "Ops")
    mallory, fred = await with_role(plane, ada, "Ops"), await with_role(plane, ada, "Finance")
    made = await make(plane, ada, roles=["finance", "owner"])
    assert made["roles"] == ["Finance", "owner"]
    saved = await plane.workflow(ada, **calling(credentials={"http": made["id"]}))
    rights, count = ["workflow.execute", "credential.update", "role.manage"], itertools.count()

    async def may(who: Person) -> bool:
        path = f"{who.base}/credentials/{made['id']}"
        changed = await plane.client.patch(path, json={"description": str(next(count))}, headers=who.auth)
        run = await plane.client.post(f"{who.base}/workflows/{saved['id']}/execute", json={}, headers=who.auth)
        assert (changed.status_code, run.status_code) in ((200, 201), (403, 403)), (changed.text, run.text)
        return run.status_code == 201

    async def rename(id: str, name: str) -> None:
        form = {"name": name, "permissions": rights}
        done = await plane.client.put(f"{mallory.base}/roles/{id}", json=form, headers=mallory.auth)
        assert done.status_code == 200, done.text

    assert (await may(mallory), await may(fred)) == (False, True)
    await rename(finance, "Bookkeeping")
    await rename(ops, "Finance")
    assert (await may(mallory), await may(fred)) == (False, True)
    shown = await plane.client.get(f"{ada.base}/credentials/{made['id']}", headers=ada.auth)
    assert shown.json()["credential"]["roles"] == ["Bookkeeping", "owner"]
    # One that is deleted leaves its place behind, so that nobody gets in by a new one of its name.
    await plane.client.put(f"{ada.base}/members/{fred.user_id}", json={"role": "viewer"}, headers=ada.auth)
    assert (await plane.client.delete(f"{ada.base}/roles/{finance}", headers=ada.auth)).status_code == 200
    await rename(ops, "Bookkeeping")
    assert not await may(mallory)
    shown = await plane.client.get(f"{ada.base}/credentials/{made['id']}", headers=ada.auth)
    assert shown.json()["credential"]["roles"] == [finance, "owner"]
    back = {"roles": shown.json()["credential"]["roles"], "description": "as it was shown"}
    path = f"{ada.base}/credentials/{made['id']}"
    assert (await plane.client.patch(path, json=back, headers=ada.auth)).status_code == 200


async def test_it_is_for_roles_that_there_are(plane: Plane):
    ada = await plane.somebody()
    bob = await plane.somebody()
    others = await own_role(plane, bob, "Finance")
    form = {**BEARER, "roles": ["member", "Finance", others]}
    body = check_problem(await plane.client.post(f"{ada.base}/credentials", json=form, headers=ada.auth), 422)
    assert [(one["pointer"], one["code"]) for one in body["errors"]] == [
        ("/roles/1", "unknown_role"), ("/roles/2", "unknown_role"),
    ]  # fmt: skip


async def test_names_that_were_kept_become_ids(plane: Plane):
    ada = await plane.somebody()
    finance = await own_role(plane, ada, "Finance")
    made = await make(plane, ada)
    text = next(text for number, _, text in migrations() if number == 64)
    async with plane.database.connection() as connection:
        kept = (["owner", "Finance", "Nobody"], made["id"])
        await connection.execute("UPDATE credentials SET roles = %s WHERE id = %s", kept)
        await connection.execute(text)
        row = await (await connection.execute("SELECT roles FROM credentials WHERE id = %s", kept[1:])).fetchone()
    assert row == (["owner", finance, "Nobody"],)


async def test_another_workspace_has_none_of_it(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    made = await make(plane, ada)
    for method, tail in (
        ("GET", ""), ("PUT", ""), ("PATCH", ""), ("DELETE", ""), ("POST", "/duplicate"), ("POST", "/test"),
        ("POST", "/connect"), ("POST", "/connect/finish"), ("GET", "/uses"),
    ):  # fmt: skip
        body = BEARER if method == "PUT" else {"ticket": "x"} if tail.endswith("finish") else {}
        response = await plane.client.request(
            method, f"{bob.base}/credentials/{made['id']}{tail}", json=body, headers=bob.auth
        )
        assert response.status_code in (404, 422), (method, tail, response.text)
        assert "Stripe" not in response.text
    saved = await plane.workflow(bob, **calling(credentials={"http": made["id"]}))
    assert [one["code"] for one in saved["warnings"]] == ["unknown_credential"]
    assert (await plane.client.delete(f"{ada.base}/credentials/{made['id']}", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/credentials/{made['id']}", headers=ada.auth), 404, "not_found")


async def test_types(plane: Plane):
    ada = await plane.somebody()
    every = (await plane.client.get("/api/v1/credential-types", headers=ada.auth)).json()["data"]
    assert {"http_bearer", "oauth2", "smtp", "aws"} <= {one["type"] for one in every}
    one = (await plane.client.get("/api/v1/credential-types/smtp", headers=ada.auth)).json()["credential_type"]
    assert one["schema"]["properties"]["password"]["writeOnly"] is True
    check_problem(await plane.client.get("/api/v1/credential-types/nope", headers=ada.auth), 404, "not_found")


async def test_a_worker_tries_it(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada)
    path = f"{ada.base}/credentials/{made['id']}/test"
    good = await plane.client.post(path, json={"url": "https://a.example/me"}, headers=ada.auth)
    assert (good.status_code, good.json()["message"]) == (200, "The server took it.")
    asked = plane.worker.asked[-1]
    assert (asked.workspace_id, asked.credential_id, asked.url) == (
        ada.workspace_id,
        made["id"],
        "https://a.example/me",
    )
    plane.worker.answer = ProbeReply(False, "The server refused it: status 401.", "refused")
    bad = await plane.client.post(path, headers=ada.auth)
    assert (bad.status_code, bad.json()["code"]) == (422, "refused")


async def test_consent_is_bound_to_the_browser_or_the_session(plane: Plane):
    ada = await plane.somebody()
    other = await with_role(plane, ada, "admin")
    made = await make(plane, ada, **OAUTH)
    assert made["status"] == "not_connected"
    plane.worker.answer = ProbeReply(True, "Connected.")
    path = f"{ada.base}/credentials/{made['id']}/connect"

    begun = await plane.client.post(path, headers=ada.auth)
    way = urlsplit(begun.json()["authorize_url"])
    asked = {name: values[0] for name, values in parse_qs(way.query).items()}
    assert (way.hostname, asked["tenant"], asked["access_type"]) == ("id.example", "7", "offline")
    assert (asked["scope"], asked["code_challenge_method"]) == ("read write", "S256")
    assert asked["redirect_uri"] == "http://linkflow.test/api/v1/oauth/callback"
    cookie = begun.headers["set-cookie"].partition(";")[0]
    assert "HttpOnly" in begun.headers["set-cookie"]
    plane.client.cookies.clear()

    back = {"state": asked["state"], "code": "code-1"}
    stranger = await plane.client.get("/api/v1/oauth/callback", params=back)  # another browser
    assert (stranger.status_code, len(plane.worker.asked)) == (200, len(plane.worker.asked))
    assert "Almost there" in stranger.text
    ticket = stranger.text.partition("<code>")[2].partition("</code>")[0]
    finish = {"ticket": ticket}
    check_problem(await plane.client.post(f"{path}/finish", json=finish, headers=other.auth), 403, "forbidden")
    assert (await plane.client.post(f"{path}/finish", json=finish, headers=ada.auth)).status_code == 200

    here = await plane.client.get("/api/v1/oauth/callback", params=back, headers={"Cookie": cookie})
    assert (here.status_code, "Connected" in here.text) == (200, True)
    probe = plane.worker.asked[-1]
    assert (probe.verb, probe.code, probe.credential_id) == ("connect", "code-1", made["id"])
    assert len(probe.verifier) >= 43

    refused = {"state": asked["state"], "error": "access_denied<script>"}
    answer = await plane.client.get("/api/v1/oauth/callback", params=refused, headers={"Cookie": cookie})
    assert (answer.status_code, "access_denied&lt;script&gt;" in answer.text) == (400, True)
    for state in ("", "nonsense", asked["state"][:-4] + "AAAA", "é"):
        answer = await plane.client.get("/api/v1/oauth/callback", params={**back, "state": state})
        assert answer.status_code == 400
    plane.clock.ahead_ms += 11 * 60_000
    late = await plane.client.get("/api/v1/oauth/callback", params=back, headers={"Cookie": cookie})
    assert (late.status_code, "too long" in late.text) == (400, True)
    plane.clock.ahead_ms -= 11 * 60_000


async def test_a_kind_without_consent_is_not_connected(plane: Plane):
    ada = await plane.somebody()
    made = await make(plane, ada)
    path = f"{ada.base}/credentials/{made['id']}/connect"
    check_problem(await plane.client.post(path, headers=ada.auth), 409, "conflict")

"""What somebody tries who wants more than he has: each of these once worked, or nearly."""

from __future__ import annotations

import re
import shutil
import socket
from collections.abc import AsyncIterator
from email.message import Message
from typing import Any

import httpx
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Message as Handler

from linkflow.config import Egress, Smtp, load
from linkflow.postgres.database import Database
from linkflow.services.gate import FREE, Origin
from linkflow.transports.mail import SmtpMailer
from tests.conftest import fresh_database
from tests.integration.control.plane import PASSWORD, Person, Plane, build, check_problem

NEW = "Another2horse"


@pytest.fixture
async def plane(shared_plane: Plane) -> Plane:
    return shared_plane


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


def elsewhere(plane: Plane, ip: str) -> httpx.AsyncClient:
    """A client at another address."""
    app = plane.client._transport.app  # type: ignore[attr-defined]
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(ip, 1)), base_url="http://linkflow.test")


async def login(client: httpx.AsyncClient, email: str, password: str = PASSWORD) -> int:
    return (await client.post("/api/v1/auth/login", json={"email": email, "password": password})).status_code


async def key_of(plane: Plane, who: Person, path: str, **form: Any) -> str:
    made = await plane.client.post(path, json={"name": "k", **form}, headers=who.auth)
    assert made.status_code == 201, made.text
    return str(made.json()["secret"])


async def test_who_is_locked_out_does_not_use_up_what_the_owner_may_try(plane: Plane):
    ada = await plane.somebody()
    async with elsewhere(plane, "203.0.113.7") as thief:
        codes = [await login(thief, ada.email, "Wrong1horse") for _ in range(4 * FREE)]
    assert codes == [401] * FREE + [429] * 3 * FREE
    assert plane.limiter.taken[f"login:{ada.email}"] == FREE
    assert await login(plane.client, ada.email) == 200


async def test_a_network_of_ipv6_is_one_place(plane: Plane):
    ada = await plane.somebody()
    codes = []
    for n in range(FREE + 1):
        async with elsewhere(plane, f"2001:db8:0:1::{n:x}") as thief:
            codes.append(await login(thief, ada.email, "Wrong1horse"))
    assert codes == [401] * FREE + [429]
    assert Origin("::ffff:192.0.2.1").place == "192.0.2.1"
    assert Origin("192.0.2.1").place != Origin("192.0.2.2").place
    assert Origin("").place == ""
    assert Origin("testclient").place == "testclient"


async def test_a_key_for_looking_does_not_lead_its_owner_out(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    await plane.client.post(f"{ada.base}/members", json={"email": bob.email, "role": "member"}, headers=ada.auth)
    key = await key_of(plane, bob, "/api/v1/user/keys", permissions=["workspace.view"])
    check_problem(await plane.client.post(f"{ada.base}/leave", headers=bearer(key)), 403)
    everything = await key_of(plane, bob, "/api/v1/user/keys")
    check_problem(await plane.client.post(f"{ada.base}/leave", headers=bearer(everything)), 403)
    assert (await plane.client.get(ada.base, headers=bob.auth)).status_code == 200


async def test_a_key_makes_none_that_outlives_it(plane: Plane):
    ada = await plane.somebody()
    ends = "2098-01-01T00:00:00Z"
    maker = await key_of(plane, ada, f"{ada.base}/keys", permissions=["key.manage", "workflow.view"], expires_at=ends)
    form = {"name": "child", "permissions": ["workflow.view"]}
    for later in (None, "2098-01-01T00:00:01Z"):
        answer = await plane.client.post(f"{ada.base}/keys", json={**form, "expires_at": later}, headers=bearer(maker))
        assert check_problem(answer, 422)["errors"][0]["pointer"] == "/expires_at"
    answer = await plane.client.post(f"{ada.base}/keys", json={**form, "expires_at": ends}, headers=bearer(maker))
    assert answer.status_code == 201
    wider = {**form, "permissions": ["workflow.update"], "expires_at": ends}
    check_problem(await plane.client.post(f"{ada.base}/keys", json=wider, headers=bearer(maker)), 403)


async def test_who_is_thrown_out_does_not_come_back_by_an_invitation_of_his_own(plane: Plane):
    ada, bob, second = [await plane.somebody() for _ in range(3)]

    async def invited(headers: dict[str, str]) -> str:
        form = {"email": second.email, "role": "viewer"}
        made = await plane.client.post(f"{ada.base}/invitations", json=form, headers=headers)
        return f"/api/v1/invitations/{made.json()['url'].partition('#')[2]}/accept"

    await plane.client.post(f"{ada.base}/members", json={"email": bob.email, "role": "admin"}, headers=ada.auth)
    path = await invited(bob.auth)
    member = f"{ada.base}/members/{bob.user_id}"
    await plane.client.put(member, json={"role": "viewer"}, headers=ada.auth)
    check_problem(await plane.client.post(path, headers=second.auth), 403)
    await plane.client.delete(member, headers=ada.auth)
    check_problem(await plane.client.post(path, headers=second.auth), 403)
    scope = ["member.invite", "member.view", "workspace.view", *sorted(VIEWING)]
    key = await key_of(plane, ada, f"{ada.base}/keys", permissions=scope)
    path = await invited(bearer(key))
    keys = (await plane.client.get(f"{ada.base}/keys", headers=ada.auth)).json()["data"]
    await plane.client.delete(f"{ada.base}/keys/{keys[0]['id']}", headers=ada.auth)
    check_problem(await plane.client.post(path, headers=second.auth), 403)
    key = await key_of(plane, ada, f"{ada.base}/keys", permissions=scope)
    assert (await plane.client.post(await invited(bearer(key)), headers=second.auth)).status_code == 200


VIEWING = {
    "workflow.view", "credential.view", "execution.view", "webhook.view", "variable.view", "tag.view", "environment.view",
}  # fmt: skip


async def test_who_registers_anothers_address_keeps_nothing_once_its_owner_comes(plane: Plane):
    """He resets the password by a mail; what the stranger had prepared is gone."""
    ada = await plane.somebody()  # a stranger, by somebody else's address
    key = await key_of(plane, ada, "/api/v1/user/keys")
    begun = await plane.client.post("/api/v1/user/second-factor", json={"password": PASSWORD}, headers=ada.auth)
    assert begun.status_code == 201
    async with plane.database.connection() as connection:
        await connection.execute("UPDATE second_factors SET confirmed_at = 1 WHERE user_id = %s", (ada.user_id,))
        await connection.execute("INSERT INTO identities VALUES ('p', 's', %s, 'x', 1, 1)", (ada.user_id,))
    await plane.client.post("/api/v1/auth/forgot-password", json={"email": ada.email})
    form = {"token": await plane.link(ada.email), "password": NEW, "password_confirmation": NEW}
    assert (await plane.client.post("/api/v1/auth/reset-password", json=form)).status_code == 200
    check_problem(await plane.client.get("/api/v1/workspaces", headers=bearer(key)), 401)
    answer = await plane.client.post("/api/v1/auth/login", json={"email": ada.email, "password": NEW})
    assert answer.status_code == 200, "and no code of a stranger's phone is asked for"
    auth = bearer(answer.json()["access_token"])
    assert (await plane.client.get("/api/v1/user/identities", headers=auth)).json()["data"] == []
    kept = await key_of(plane, Person("", "", answer.json()["access_token"], "", ""), "/api/v1/user/keys")
    await plane.client.post("/api/v1/auth/forgot-password", json={"email": ada.email})
    again = {"token": await plane.link(ada.email), "password": PASSWORD, "password_confirmation": PASSWORD}
    assert (await plane.client.post("/api/v1/auth/reset-password", json=again)).status_code == 200
    listed = await plane.client.get("/api/v1/workspaces", headers=bearer(kept))
    assert listed.status_code == 200, "keys of an address that was verified stay"


async def test_a_changed_password_takes_the_worth_of_links_that_reset_it(plane: Plane):
    ada = await plane.somebody()
    await plane.client.post("/api/v1/auth/forgot-password", json={"email": ada.email})
    token = await plane.link(ada.email)
    change = {"current_password": PASSWORD, "password": NEW, "password_confirmation": NEW}
    assert (await plane.client.put("/api/v1/user/password", json=change, headers=ada.auth)).status_code == 200
    form = {"token": token, "password": PASSWORD, "password_confirmation": PASSWORD}
    check_problem(await plane.client.post("/api/v1/auth/reset-password", json=form), 422)


async def test_a_refresh_token_that_comes_twice_is_put_on_record(plane: Plane):
    ada = await plane.somebody()
    used = [
        (await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": ada.refresh_token})).status_code
        for _ in range(2)
    ]
    assert used == [200, 401]
    answer = await plane.client.post("/api/v1/auth/login", json={"email": ada.email, "password": PASSWORD})
    headers = bearer(answer.json()["access_token"])
    done = (await plane.client.get("/api/v1/user/audit", headers=headers)).json()["data"]
    assert [one["action"] for one in done] == ["accounts.login", "accounts.token_reused", "accounts.register"]
    assert done[1]["target"]["type"] == "session"


async def test_whoever_has_no_password_needs_a_young_session_for_what_is_grave(plane: Plane):
    ada = await plane.somebody()
    async with plane.database.connection() as connection:
        await connection.execute("UPDATE users SET password_hash = '' WHERE id = %s", (ada.user_id,))
    grave = [
        ("PUT", "/api/v1/user/password", {"password": NEW, "password_confirmation": NEW}),
        ("POST", "/api/v1/user/second-factor", {}),
        ("DELETE", "/api/v1/user/second-factor", {}),
        ("DELETE", "/api/v1/user", {}),
    ]
    async with plane.database.connection() as connection:
        back = "UPDATE sessions SET created_at = created_at - 900000 WHERE user_id = %s"
        await connection.execute(back, (ada.user_id,))
    for method, path, body in grave:
        check_problem(await plane.client.request(method, path, json=body, headers=ada.auth), 403, "sign_in_again")


async def test_a_key_is_on_record_as_one_whatever_it_says_it_is(plane: Plane):
    ada = await plane.somebody()
    key = await key_of(plane, ada, "/api/v1/user/keys")
    headers = {**bearer(key), "User-Agent": "linkflow-cli/1"}
    assert (await plane.client.put(ada.base, json={"name": "W"}, headers=headers)).status_code == 200
    found = await plane.client.get(f"{ada.base}/audit", params={"action": "workspaces.update"}, headers=ada.auth)
    assert [one["via"] for one in found.json()["data"]] == ["key"]


async def test_mails_tell_of_what_opens_an_account(plane: Plane):
    ada = await plane.somebody()
    await key_of(plane, ada, "/api/v1/user/keys")
    assert "API keys of your LinkFlow account was changed" in (await plane.mails(ada.email))[-1]


async def test_one_cannot_ask_at_will_who_has_an_account(plane: Plane):
    ada = await plane.somebody()
    plane.limiter.free, before = 3, dict(plane.limiter.taken)
    plane.limiter.taken.clear()
    asked = [
        await plane.client.post(f"{ada.base}/members", json={"email": f"n{n}@example.com"}, headers=ada.auth)
        for n in range(4)
    ]
    plane.limiter.free, plane.limiter.taken = 1_000_000, before
    assert [answer.status_code for answer in asked] == [422, 422, 422, 429]


class Postbox(Handler):
    """A mail server: what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.mails: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.mails.append(message)

    def latest(self, to: str) -> tuple[str, str]:
        """Subject and text."""
        found = [mail for mail in self.mails if mail["To"] == to][-1]
        return str(found["Subject"]), bytes(found.get_payload(decode=True)).decode()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def strict(postgres: Any, migrated_template: str) -> AsyncIterator[tuple[Plane, Postbox]]:
    """An installation that sends mails and lets nobody in before he has verified his address."""
    box = Postbox()
    with socket.socket() as probe:  # the controller calls itself, so its port cannot be 0
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = Controller(box, hostname="127.0.0.1", port=port)
    server.start()
    mailer = SmtpMailer(Smtp(host="127.0.0.1", port=port, tls="none", sender="lf@example.com"), Egress())
    with fresh_database(postgres.url, migrated_template) as url:
        database = Database(url, size=4)
        made = build(database, mailer=mailer, only_verified=True, least=0.2)
        async with made.client:
            yield made, box
        await database.close()
        shutil.rmtree(made.outbox)
    server.stop()


async def test_registering_tells_nobody_who_has_an_account(strict: tuple[Plane, Postbox]):
    plane, box = strict
    form = {"first_name": "A", "last_name": "L", "email": "ada@corp.example.com", "password": PASSWORD}
    answers = [
        await plane.client.post("/api/v1/auth/register", json={**form, "password_confirmation": PASSWORD})
        for _ in range(2)
    ]
    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()
    await plane.services.people.mails.settle()
    mails = {str(mail["Subject"]): mail for mail in box.mails}  # which of them comes first is the network's to say
    assert set(mails) == {"Confirm your e-mail address", "You have an account already"}
    assert len(box.mails) == 2
    confirm = mails["Confirm your e-mail address"]
    assert "/account/verify#" in confirm.as_string(), "no link is broken at the end of a line"
    credentials = {"email": form["email"], "password": PASSWORD}
    check_problem(await plane.client.post("/api/v1/auth/login", json=credentials), 403, "email_unverified")
    wrong = {**credentials, "password": NEW}
    plane.clock.stop()
    before = plane.clock.ahead_ms
    check_problem(await plane.client.post("/api/v1/auth/login", json=wrong), 401)
    check_problem(await plane.client.post("/api/v1/auth/login", json={**wrong, "email": "no@example.com"}), 401)
    assert plane.clock.ahead_ms == before + 400, "both wait until as much time has gone by"
    plane.clock._stopped_ms = 0
    token = re.findall(r"#(\S+)", bytes(confirm.get_payload(decode=True)).decode())[0]  # type: ignore[arg-type]
    assert (await plane.client.post("/api/v1/auth/verify-email", json={"token": token})).status_code == 200
    assert (await plane.client.post("/api/v1/auth/login", json=credentials)).status_code == 200


async def test_where_registering_tells_who_has_an_account_it_tells_a_network_little(plane: Plane):
    ada = await plane.somebody()
    form = {"first_name": "A", "last_name": "L", "password": PASSWORD, "password_confirmation": PASSWORD}

    async def register(ip: str, email: str) -> httpx.Response:
        async with elsewhere(plane, ip) as client:
            return await client.post("/api/v1/auth/register", json={**form, "email": email})

    for host in range(5):
        check_problem(await register(f"198.51.100.{host}", ada.email), 422)
    refused = await register("198.51.100.77", "nobody-yet@example.com")
    check_problem(refused, 429, "rate_limited")
    assert int(refused.headers["retry-after"]) > 50
    assert (await register("198.51.101.1", "nobody-yet@example.com")).status_code == 201
    for host in range(5):
        check_problem(await register(f"2001:db8:1:{host}::1", ada.email), 422)
    check_problem(await register("2001:db8:1:ffff::1", ada.email), 429, "rate_limited")
    plane.clock.ahead_ms += 61_000
    check_problem(await register("198.51.100.77", ada.email), 422)
    check_problem(await register("198.51.100.77", "nobody-else@example.com"), 429, "rate_limited")


@pytest.mark.parametrize(
    ("settings", "verifies"),
    [
        ({}, False),
        ({"SMTP": '{"host": "mail.example"}'}, True),
        ({"SMTP": '{"host": "mail.example"}', "OPEN_REGISTRATION": "false"}, False),
        ({"SMTP": '{"host": "mail.example"}', "VERIFY_EMAIL": "false"}, False),
        ({"VERIFY_EMAIL": "true"}, True),
    ],
)
def test_addresses_are_verified_where_mails_arrive_and_anybody_may_register(settings: dict[str, str], verifies: bool):
    assert load({f"LINKFLOW_{name}": value for name, value in settings.items()}).verifies is verifies


async def test_where_mails_get_to_people_nobody_is_taken_for_one_whose_address_he_registered(
    strict: tuple[Plane, Postbox],
):
    plane, box = strict
    people = {}
    for name in ("boss", "thief"):
        email = f"{name}@corp.example.com"
        form = {"first_name": "A", "last_name": "L", "email": email, "password": PASSWORD}
        await plane.client.post("/api/v1/auth/register", json={**form, "password_confirmation": PASSWORD})
        people[name] = email
    await plane.services.people.mails.settle()
    token = re.findall(r"#(\S+)", box.latest(people["boss"])[1])[0]
    await plane.client.post("/api/v1/auth/verify-email", json={"token": token})
    session = (
        await plane.client.post("/api/v1/auth/login", json={"email": people["boss"], "password": PASSWORD})
    ).json()
    auth = bearer(session["access_token"])
    spaces = (await plane.client.get("/api/v1/workspaces", headers=auth)).json()["data"]
    members = f"/api/v1/workspaces/{spaces[0]['id']}/members"
    unknown = await plane.client.post(members, json={"email": "nobody@corp.example.com"}, headers=auth)
    unverified = await plane.client.post(members, json={"email": people["thief"]}, headers=auth)
    assert check_problem(unknown, 422)["errors"] == check_problem(unverified, 422)["errors"]
    form = {"email": people["thief"], "role": "viewer"}
    invited = await plane.client.post(members.replace("members", "invitations"), json=form, headers=auth)
    assert invited.json()["url"] is None, "whoever has the link has the mailbox"
    await plane.services.people.mails.settle()
    subject, text = box.latest(people["thief"])
    assert subject.startswith("Join ")
    assert "/account/invitation#" in text

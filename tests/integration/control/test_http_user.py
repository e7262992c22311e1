"""One's own account: verifying, resetting, sessions, lock-outs, the second factor, keys, and its end."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from typing import Any

import httpx
import pytest

from linkflow.http.app import routes
from linkflow.http.guard import PUBLIC, permission_of
from linkflow.services.gate import FREE
from linkflow.services.second_factor import STEP, code_at
from tests.integration.control.plane import PASSWORD, Person, Plane, check_problem

NEW = "Another2horse"
NEWER = {"password": NEW, "password_confirmation": NEW}


@pytest.fixture
async def plane(shared_plane: Plane) -> Plane:
    shared_plane.limiter.free = 1_000_000
    return shared_plane


async def login(plane: Plane, who: Person, password: str = PASSWORD, **more: Any) -> httpx.Response:
    headers = more.pop("headers", {})
    form = {"email": who.email, "password": password, **more}
    return await plane.client.post("/api/v1/auth/login", json=form, headers=headers)


async def actions(plane: Plane, who: Person) -> list[str]:
    found = (await plane.client.get("/api/v1/user/audit", params={"per_page": 100}, headers=who.auth)).json()["data"]
    return [one["action"] for one in found]


async def test_an_address_is_verified_once_by_the_link_in_the_mail(plane: Plane):
    ada = await plane.somebody()
    assert (await plane.client.get("/api/v1/user", headers=ada.auth)).json()["user"]["email_verified_at"] is None
    first = await plane.link(ada.email)
    again = await plane.client.post("/api/v1/auth/resend-verification-email", json={"email": ada.email.upper()})
    assert again.status_code == 202
    check_problem(await plane.client.post("/api/v1/auth/verify-email", json={"token": first}), 422)
    token = await plane.link(ada.email)
    both = [plane.client.post("/api/v1/auth/verify-email", json={"token": token}) for _ in range(2)]
    assert sorted(answer.status_code for answer in await asyncio.gather(*both)) == [200, 422]
    assert (await plane.client.get("/api/v1/user", headers=ada.auth)).json()["user"]["email_verified_at"]
    sent = len(await plane.mails(ada.email))
    await plane.client.post("/api/v1/auth/resend-verification-email", json={"email": ada.email})
    assert len(await plane.mails(ada.email)) == sent, "there is nothing left to verify"


async def test_links_lead_to_a_page_in_which_nothing_runs_but_its_own_script(plane: Plane):
    ada = await plane.somebody()
    link = re.findall(r"http://linkflow\.test(/account/\S+)#", (await plane.mails(ada.email))[0])[0]
    for path in (link, "/account/reset", "/account/invitation", "/account/signed-in"):
        answer = await plane.client.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'sha256-")
        script = answer.text.partition("<script>")[2].partition("</script>")[0]
        assert base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() in policy
        assert (answer.headers["referrer-policy"], answer.headers["cache-control"]) == ("no-referrer", "no-store")
    check_problem(await plane.client.get("/account/other"), 404)


async def test_a_password_is_reset_once_within_an_hour_and_ends_every_session(plane: Plane):
    ada = await plane.somebody()
    known = await plane.client.post("/api/v1/auth/forgot-password", json={"email": ada.email})
    unknown = await plane.client.post("/api/v1/auth/forgot-password", json={"email": "nobody@example.com"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json())
    token = await plane.link(ada.email)
    weak = {"token": token, "password": "Password123", "password_confirmation": "Password123"}
    assert (
        check_problem(await plane.client.post("/api/v1/auth/reset-password", json=weak), 422)["errors"][0]["code"]
        == "common"
    )
    reset = {"token": token, **NEWER}
    assert (await plane.client.post("/api/v1/auth/reset-password", json=reset)).status_code == 200
    check_problem(await plane.client.post("/api/v1/auth/reset-password", json=reset), 422)
    check_problem(await plane.client.get("/api/v1/user", headers=ada.auth), 401)
    check_problem(await login(plane, ada), 401)
    assert (await login(plane, ada, NEW)).json()["user"]["email_verified_at"], "the link came by that address"
    await plane.client.post("/api/v1/auth/forgot-password", json={"email": ada.email})
    old = await plane.link(ada.email)
    plane.clock.ahead_ms += 3_700_000
    check_problem(await plane.client.post("/api/v1/auth/reset-password", json={"token": old, **NEWER}), 422)
    plane.clock.ahead_ms -= 3_700_000


async def test_sessions_are_listed_and_end_at_once_with_their_access_tokens(plane: Plane):
    ada = await plane.somebody()
    other = (await login(plane, ada, headers={"User-Agent": "a phone"})).json()
    auth = {"Authorization": f"Bearer {other['access_token']}"}
    listed = (await plane.client.get("/api/v1/user/sessions", headers=ada.auth)).json()["data"]
    assert (listed[0]["user_agent"], listed[0]["is_current"], listed[0]["ip"]) == ("a phone", False, "127.0.0.1")
    assert [one["is_current"] for one in listed] == [False, True]
    assert (await plane.client.get(ada.base, headers=auth)).status_code == 200
    phone = f"/api/v1/user/sessions/{listed[0]['id']}"
    bob = await plane.somebody()
    check_problem(await plane.client.delete(phone, headers=bob.auth), 404)
    assert (await plane.client.delete(phone, headers=ada.auth)).status_code == 200
    for path in (ada.base, "/api/v1/user"):
        check_problem(await plane.client.get(path, headers=auth), 401)
    check_problem(await plane.client.post("/api/v1/auth/refresh", json={"refresh_token": other["refresh_token"]}), 401)
    for _ in range(2):
        await login(plane, ada)
    ended = await plane.client.delete("/api/v1/user/sessions", headers=ada.auth)
    assert ended.json()["ended"] == 2
    assert (await plane.client.post("/api/v1/auth/logout-all", headers=ada.auth)).json()["ended"] == 1
    check_problem(await plane.client.get(ada.base, headers=ada.auth), 401)


async def test_a_changed_password_ends_the_other_sessions_if_one_wants(plane: Plane):
    ada = await plane.somebody()
    other = {"Authorization": f"Bearer {(await login(plane, ada)).json()['access_token']}"}
    change = {"current_password": "Wrong1horse", **NEWER, "sign_out_others": False}
    wrong = await plane.client.put("/api/v1/user/password", json=change, headers=ada.auth)
    assert check_problem(wrong, 422)["errors"][0]["pointer"] == "/current_password"
    change["current_password"] = PASSWORD
    assert (await plane.client.put("/api/v1/user/password", json=change, headers=ada.auth)).status_code == 200
    assert (await plane.client.get("/api/v1/user", headers=other)).status_code == 200
    change |= {
        "current_password": NEW,
        "password": PASSWORD,
        "password_confirmation": PASSWORD,
        "sign_out_others": True,
    }
    await plane.client.put("/api/v1/user/password", json=change, headers=ada.auth)
    check_problem(await plane.client.get("/api/v1/user", headers=other), 401)
    assert (await plane.client.get("/api/v1/user", headers=ada.auth)).status_code == 200
    assert "was changed" in (await plane.mails(ada.email))[-1]


async def test_wrong_passwords_lock_an_account_from_there_for_longer_each_time(plane: Plane):
    ada = await plane.somebody()
    for _ in range(FREE):
        check_problem(await login(plane, ada, "Wrong1horse"), 401)
    locked = await login(plane, ada)
    check_problem(locked, 429)
    assert 50 <= int(locked.headers["retry-after"]) <= 60
    plane.clock.ahead_ms += 61_000
    check_problem(await login(plane, ada, "Wrong1horse"), 401)
    assert 110 <= int((await login(plane, ada)).headers["retry-after"]) <= 120
    plane.clock.ahead_ms += 121_000
    assert (await login(plane, ada)).status_code == 200, "and the failures are forgotten"
    check_problem(await login(plane, ada, "Wrong1horse"), 401)
    signed_in = (await login(plane, ada)).json()
    who = Person(ada.user_id, ada.email, signed_in["access_token"], "", ada.workspace_id)
    assert (await actions(plane, who)).count("accounts.login_failed") == FREE + 2
    nobody = {"email": "nobody@example.com", "password": PASSWORD}
    codes = [(await plane.client.post("/api/v1/auth/login", json=nobody)).status_code for _ in range(FREE + 1)]
    assert codes == [401] * FREE + [429], "an account that is not there locks like one that is"


async def test_every_public_call_about_accounts_has_a_rate(plane: Plane):
    plane.limiter.free = 0
    form = {"first_name": "A", "last_name": "B", "email": "x@example.com", "password": PASSWORD}
    bodies = {
        "register": {**form, "password_confirmation": PASSWORD},
        "login": {"email": "x@example.com", "password": PASSWORD},
        "refresh": {"refresh_token": "x"},
        "verify-email": {"token": "x"},
        "resend-verification-email": {"email": "x@example.com"},
        "forgot-password": {"email": "x@example.com"},
        "reset-password": {"token": "x", **NEWER},
        "exchange": {"code": "x"},
    }
    public = [route for route in routes() if permission_of(route) == PUBLIC]
    for route in public:
        if route.path.startswith(("/api/v1/auth/", "/api/v1/invitations/")) and route.path != "/api/v1/auth/providers":
            [method] = route.methods or set()
            body = bodies.get(route.path.rpartition("/")[2])
            answer = await plane.client.request(method, re.sub(r"{\w+}", "x", route.path), json=body)
            check_problem(answer, 429, "rate_limited")


async def test_codes_of_a_second_factor_are_good_for_one_sign_in(plane: Plane):
    plane.clock.stop()
    ada = await plane.somebody()
    factor = "/api/v1/user/second-factor"
    check_problem(await plane.client.post(factor, json={"password": "Wrong1horse"}, headers=ada.auth), 422)
    begun = (await plane.client.post(factor, json={"password": PASSWORD}, headers=ada.auth)).json()
    assert begun["uri"].startswith(f"otpauth://totp/LinkFlow:{ada.email}?secret={begun['secret']}&issuer=LinkFlow")
    assert (await login(plane, ada)).status_code == 200, "not asked for before it is confirmed"
    secret = base64.b32decode(begun["secret"])

    def code(ahead: int = 0) -> str:
        return code_at(secret, plane.clock.now_ms() // 1000 // STEP + ahead)

    wrong = await plane.client.post(f"{factor}/confirm", json={"code": code(5)}, headers=ada.auth)
    check_problem(wrong, 422)
    codes = (await plane.client.post(f"{factor}/confirm", json={"code": code()}, headers=ada.auth)).json()
    assert len(set(codes["recovery_codes"])) == 10
    check_problem(await login(plane, ada), 401, "second_factor_required")
    check_problem(await login(plane, ada, "Wrong1horse", code=code(1)), 401, "unauthenticated")
    check_problem(await login(plane, ada, code=code()), 401), "the code that confirmed it was used"
    plane.clock.ahead_ms += 60_000
    assert (await login(plane, ada, code=code(-1))).status_code == 200, "a clock may be half a minute off"
    check_problem(await login(plane, ada, code=code(-1)), 401)
    both = await asyncio.gather(login(plane, ada, code=code()), login(plane, ada, code=code()))
    assert sorted(answer.status_code for answer in both) == [200, 401]
    spare = codes["recovery_codes"][0].upper()
    assert (await login(plane, ada, code=spare)).status_code == 200
    check_problem(await login(plane, ada, code=spare), 401)
    status = (await plane.client.get(factor, headers=ada.auth)).json()["second_factor"]
    assert (status["enabled"], status["recovery_codes_left"]) == (True, 9)
    proof = {"password": PASSWORD}
    check_problem(await plane.client.post(factor, json=proof, headers=ada.auth), 409)
    fresh = await plane.client.post(f"{factor}/recovery-codes", json=proof, headers=ada.auth)
    check_problem(await login(plane, ada, code=codes["recovery_codes"][1]), 401)
    assert (await login(plane, ada, code=fresh.json()["recovery_codes"][1])).status_code == 200
    assert (await plane.client.request("DELETE", factor, json=proof, headers=ada.auth)).status_code == 200
    assert (await login(plane, ada)).status_code == 200
    async with plane.database.connection() as connection:
        rows = await (await connection.execute("SELECT * FROM audit_log")).fetchall()
    assert begun["secret"] not in str(rows)
    assert PASSWORD not in str(rows)
    plane.clock._stopped_ms = 0


async def test_a_profile_changes_and_an_account_goes(plane: Plane):
    ada, bob = await plane.somebody(), await plane.somebody()
    renamed = await plane.client.put("/api/v1/user", json={"first_name": " Ada ", "last_name": "B"}, headers=ada.auth)
    assert renamed.json()["user"]["first_name"] == "Ada"
    await plane.client.post(f"{bob.base}/members", json={"email": ada.email, "role": "admin"}, headers=bob.auth)
    gone = lambda password: plane.client.request(  # noqa: E731
        "DELETE", "/api/v1/user", json={"password": password}, headers=ada.auth
    )
    check_problem(await gone("Wrong1horse"), 422)
    check_problem(await gone(PASSWORD), 409)
    await plane.client.delete(ada.base, headers=ada.auth)
    assert (await gone(PASSWORD)).status_code == 200
    check_problem(await plane.client.get("/api/v1/user", headers=ada.auth), 401)
    check_problem(await login(plane, ada), 401)
    members = (await plane.client.get(f"{bob.base}/members", headers=bob.auth)).json()["data"]
    assert [one["user_id"] for one in members] == [bob.user_id]


async def test_a_personal_key_is_its_owner_within_its_bounds(plane: Plane):
    ada = await plane.somebody()
    keys = "/api/v1/user/keys"
    bad = {"name": "k", "permissions": ["workflow.view", "workflow.fly"]}
    fault = check_problem(await plane.client.post(keys, json=bad, headers=ada.auth), 422)["errors"][0]
    assert fault["pointer"] == "/permissions/1"
    form = {"name": "CI", "permissions": ["workflow.view"], "workspace_id": ada.workspace_id}
    made = (await plane.client.post(keys, json=form, headers=ada.auth)).json()
    key = {"Authorization": f"Bearer {made['secret']}"}
    assert made["secret"].startswith(made["key"]["hint"])
    assert (await plane.client.get(f"{ada.base}/workflows", headers=key)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/members", headers=key), 403)
    assert [one["id"] for one in (await plane.client.get("/api/v1/workspaces", headers=key)).json()["data"]] == [
        ada.workspace_id
    ]
    check_problem(await plane.client.post("/api/v1/workspaces", json={"name": "x"}, headers=key), 403)
    who = (await plane.client.get("/api/v1/user/whoami", headers=key)).json()
    assert (who["kind"], who["permissions"], who["user"]["id"]) == ("key", ["workflow.view"], ada.user_id)
    listed = (await plane.client.get(keys, headers=ada.auth)).json()["data"]
    assert listed[0]["last_used_at"]
    assert made["secret"] not in str(listed)
    assert (await plane.client.delete(f"{keys}/{made['key']['id']}", headers=ada.auth)).status_code == 200
    check_problem(await plane.client.get(f"{ada.base}/workflows", headers=key), 401)
    short = {"name": "k", "expires_at": "2001-01-01T00:00:00Z"}
    check_problem(await plane.client.post(keys, json=short, headers=ada.auth), 422)
    everything = (await plane.client.post(keys, json={"name": "all"}, headers=ada.auth)).json()["secret"]
    key = {"Authorization": f"Bearer {everything}"}
    assert (await plane.client.post("/api/v1/workspaces", json={"name": "x"}, headers=key)).status_code == 201
    again = await plane.client.post(f"{ada.base}/workflows", json={}, headers=key)
    check_problem(again, 422)


async def test_a_key_writes_its_last_use_once_a_minute_and_expires(plane: Plane):
    ada = await plane.somebody()
    plane.clock.stop()
    until = (await plane.client.post("/api/v1/user/keys", json={"name": "k"}, headers=ada.auth)).json()
    key = {"Authorization": f"Bearer {until['secret']}"}

    async def used() -> str:
        await plane.client.get(ada.base, headers=key)
        found = (await plane.client.get("/api/v1/user/keys", headers=ada.auth)).json()["data"][0]["last_used_at"]
        return str(found)

    first = await used()
    plane.clock.ahead_ms += 59_000
    assert await used() == first
    plane.clock.ahead_ms += 2_000
    assert await used() != first
    async with plane.database.connection() as connection:
        await connection.execute("UPDATE api_keys SET expires_at = 5 WHERE id = %s", (until["key"]["id"],))
    check_problem(await plane.client.get(ada.base, headers=key), 401)
    plane.clock._stopped_ms = 0

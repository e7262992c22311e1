"""Webhooks as senders and owners meet them: signatures, paths, pages of browsers, deliveries, the test address."""

from __future__ import annotations

import asyncio
import base64
import gzip
import hmac
import json
import random
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from linkflow.contracts.frontend import RunReply
from linkflow.contracts.worker import ProbeReply
from linkflow.domain.ids import uuid7
from linkflow.postgres.credentials import PostgresCredentials
from linkflow.services.hook_keys import HookKeys
from linkflow.services.hook_status import Seen, StatusTokens
from linkflow.services.sealing import Sealer
from linkflow.services.signatures import PRESETS, sign
from tests.integration.control.plane import SECRET, Person, Plane, check_problem, hook_document

SIGNING = "whsec_c2VjcmV0LXNlY3JldA=="


async def credential(plane: Plane, who: Person, type: str = "webhook", **data: str) -> str:
    """The id of a new one."""
    form = {"name": f"Key {uuid7(1, 1, random.getrandbits(40))}", "type": type, "data": data}
    response = await plane.client.post(f"{who.base}/credentials", json=form, headers=who.auth)
    assert response.status_code == 201, response.text
    return str(response.json()["credential"]["id"])


async def signed_hook(plane: Plane, preset: str, **more: Any) -> tuple[Person, str]:
    ada = await plane.somebody()
    auth = {"type": "hmac", "credential": await credential(plane, ada, secret=SIGNING), "preset": preset}
    return ada, await plane.webhook(ada, auth=auth, **more)


def now(plane: Plane) -> int:
    return plane.clock.now_ms() // 1000


@pytest.mark.parametrize("preset", sorted(PRESETS))
async def test_signed_calls(plane: Plane, preset: str) -> None:
    _, hook = await signed_hook(plane, preset)
    body = b'{"id": "evt_1"}'
    headers = sign(PRESETS[preset], SIGNING, body, now(plane), "msg_1")
    kind = {"content-type": "application/json"}
    assert (await plane.client.post(hook, content=body, headers={**headers, **kind})).status_code == 202
    assert plane.frontend.last.trigger["body"] == {"id": "evt_1"}
    assert PRESETS[preset].header not in plane.frontend.last.trigger["headers"]
    started = len(plane.frontend.calls)
    for sent, said in ((headers, body + b" "), ({}, body), ({**headers, PRESETS[preset].header: "v1,AAAA"}, body)):
        check_problem(await plane.client.post(hook, content=said, headers={**sent, **kind}), 401, "unauthenticated")
    assert len(plane.frontend.calls) == started
    broken = b"{no json"
    headers = sign(PRESETS[preset], SIGNING, broken, now(plane), "msg_2")
    check_problem(await plane.client.post(hook, content=broken, headers={**headers, **kind}), 400, "malformed_body")
    check_problem(await plane.client.post(hook, content=broken, headers=kind), 401, "unauthenticated")


@pytest.mark.parametrize("preset", [name for name in sorted(PRESETS) if PRESETS[name].is_timed])
async def test_an_old_or_copied_call_is_refused(plane: Plane, preset: str) -> None:
    _, hook = await signed_hook(plane, preset)
    plane.clock.stop()
    headers = sign(PRESETS[preset], SIGNING, b"x", now(plane), "m")
    assert (await plane.client.post(hook, content=b"x", headers=headers)).status_code == 202
    key = plane.frontend.last.idempotency_key
    plane.frontend.answer = RunReply("", created=False)
    again = await plane.client.post(hook, content=b"x", headers=headers)
    assert plane.frontend.last.idempotency_key == key, "the same call has the same key, whoever sends it"
    if preset == "standard":
        assert (again.status_code, again.headers["idempotency-replayed"]) == (200, "true")
    else:
        check_problem(again, 409)
        assert key.startswith("ttl:600000:webhook:hook:signed:")
    plane.clock.ahead_ms += 301_000
    check_problem(await plane.client.post(hook, content=b"x", headers=headers), 401)


async def test_a_foreign_or_missing_key_lets_nobody_in(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    theirs = await credential(plane, bob, secret=SIGNING)
    token = await credential(plane, ada, "http_bearer", token=SIGNING)
    hook = await plane.webhook(ada, auth={"type": "hmac", "credential": theirs, "preset": "github"})
    headers = sign(PRESETS["github"], SIGNING, b"x")
    check_problem(await plane.client.post(hook, content=b"x", headers=headers), 401)
    document = hook_document(auth={"type": "hmac", "credential": token, "preset": "github"})
    refused = await plane.client.post(f"{ada.base}/workflows", json=document, headers=ada.auth)
    assert [e["code"] for e in check_problem(refused, 422)["errors"]] == ["credential_type"]
    _, hook = await signed_hook(plane, "github")
    assert (await plane.client.post(hook, content=b"x", headers=headers)).status_code == 202
    monkeypatch.setattr(
        plane.services.webhooks,
        "_keys",
        HookKeys(
            PostgresCredentials(plane.database),
            Sealer(None, plane.clock),
            plane.clock,
            plane.services.credentials.probe,
        ),
    )
    gone = check_problem(await plane.client.post(hook, content=b"x", headers=headers), 503)
    assert "LINKFLOW" not in gone["detail"]


async def test_a_key_that_is_changed_deleted_or_over(plane: Plane) -> None:
    ada = await plane.somebody()
    id = await credential(plane, ada, secret="the-first-secret", previous_secret="the-one-before")
    hook = await plane.webhook(ada, auth={"type": "hmac", "credential": id, "preset": "github"})

    async def knock(secret: str) -> int:
        plane.clock.ahead_ms += 5_001  # what is kept is as old as that at most
        body = secret.encode()
        return (await plane.client.post(hook, content=body, headers=sign(PRESETS["github"], secret, body))).status_code

    assert [await knock(secret) for secret in ("the-first-secret", "the-one-before", "another")] == [202, 202, 401]
    path = f"{ada.base}/credentials/{id}"
    changed = {"data": {"secret": "the-second-secret", "previous_secret": ""}}
    assert (await plane.client.patch(path, json=changed, headers=ada.auth)).status_code == 200
    assert [await knock(secret) for secret in ("the-first-secret", "the-second-secret")] == [401, 202]
    assert (await plane.client.patch(path, json={"expires_at": "2001-01-01T00:00:00Z"}, headers=ada.auth)).is_success
    assert await knock("the-second-secret") == 401
    assert (await plane.client.patch(path, json={"expires_at": None}, headers=ada.auth)).is_success
    assert await knock("the-second-secret") == 202
    assert (await plane.client.delete(path, headers=ada.auth)).is_success
    assert await knock("the-second-secret") == 401


@pytest.mark.parametrize("auth", [
    {"auth": {"type": "hmac", "preset": "stripe", "secret": "a-secret-of-stripe"}},
    {"auth_type": "hmac", "preset": "stripe", "secret": "a-secret-of-stripe", "previous_secret": "the-one-before"},
])  # fmt: skip
async def test_a_secret_in_the_settings_becomes_a_credential(plane: Plane, auth: dict[str, Any]) -> None:
    ada = await plane.somebody()
    made = await plane.client.post(f"{ada.base}/workflows", json=hook_document(**auth), headers=ada.auth)
    flow = made.json()["workflow"]
    assert made.status_code == 201, made.text
    assert [one["code"] for one in flow["warnings"]] == ["secret_kept"]
    (kept,) = (await plane.client.get(f"{ada.base}/credentials", headers=ada.auth)).json()["data"]
    assert (kept["name"], kept["type"]) == ("Hooked: hook webhook", "webhook")
    again = await plane.client.put(f"{ada.base}/workflows/{flow['id']}", json=hook_document(**auth), headers=ada.auth)
    assert again.json()["workflow"]["version"] == 1, "the same text is the same credential, and so no new version"
    (hook,) = (await plane.client.get(f"{ada.base}/webhooks", headers=ada.auth)).json()["data"]
    assert hook["credential_id"] == kept["id"]
    uses = (await plane.client.get(f"{ada.base}/credentials/{kept['id']}/uses", headers=ada.auth)).json()["data"]
    assert [one["id"] for one in uses] == [flow["id"]]
    await plane.client.post(f"{ada.base}/workflows/{flow['id']}/activate", headers=ada.auth)
    headers = sign(PRESETS["stripe"], "a-secret-of-stripe", b"{}", now(plane))
    assert (await plane.client.post(f"/webhooks/{hook['id']}", content=b"{}", headers=headers)).status_code == 202
    auth = {"auth": {"type": "hmac", "preset": "stripe", "secret": "another-secret"}}
    await plane.client.put(f"{ada.base}/workflows/{flow['id']}", json=hook_document(**auth), headers=ada.auth)
    found = (await plane.client.get(f"{ada.base}/credentials", headers=ada.auth)).json()["data"]
    assert [one["name"] for one in found] == ["Hooked: hook webhook 2", "Hooked: hook webhook"]
    everything = ""
    for path in (f"workflows/{flow['id']}", "workflows", "credentials", "audit", "webhooks"):
        everything += (await plane.client.get(f"{ada.base}/{path}", headers=ada.auth)).text
    stored = await count(
        plane, "SELECT count(*) FROM workflow_versions WHERE position('-secret'::bytea IN definition) > 0"
    )
    assert (stored, "-of-stripe" in everything, "another-secret" in everything) == (0, False, False)
    assert "credentials.create" in everything


async def test_a_draft_has_no_secrets_either(plane: Plane) -> None:
    ada = await plane.somebody()
    flow = await plane.workflow(ada)
    draft = f"{ada.base}/workflows/{flow['id']}/draft"
    auth = {"type": "hmac", "preset": "github", "secret": "a-drafted-secret"}
    saved = await plane.client.put(draft, json=hook_document(auth=auth), headers=ada.auth)
    assert saved.status_code == 200, saved.text
    (kept,) = (await plane.client.get(f"{ada.base}/credentials", headers=ada.auth)).json()["data"]
    config = saved.json()["draft"]["nodes"][0]["config"]
    assert config == {"auth": {"type": "hmac", "preset": "github", "credential": kept["id"]}}
    wrong = hook_document(auth={**auth, "preset": "standard"})
    check_problem(await plane.client.put(draft, json=wrong, headers=ada.auth), 422)
    query = "SELECT count(*) FROM workflow_drafts WHERE position('a-drafted-secret'::bytea IN definition) > 0"
    assert await count(plane, query) == 0


async def test_secrets_in_settings_that_cannot_be_kept(plane: Plane) -> None:
    ada = await plane.somebody()
    for auth, code in (
        ({"type": "hmac", "secret": "no base64!"}, "invalid_value"),
        ({"type": "hmac", "preset": "github", "secret": "{{ vars.X }}"}, "secret_not_kept"),
        ({"type": "jwt", "public_key": "no key"}, "invalid_value"),
        ({"type": "bearer", "token": "t", "secret": "x"}, "invalid_value"),
    ):
        refused = await plane.client.post(f"{ada.base}/workflows", json=hook_document(auth=auth), headers=ada.auth)
        assert [e["code"] for e in check_problem(refused, 422)["errors"] if e.get("severity") != "warning"] == [code]
    assert (await plane.client.get(f"{ada.base}/credentials", headers=ada.auth)).json()["data"] == []


async def test_tokens(plane: Plane) -> None:
    """JWTs, by a secret and by a public key that the settings have."""
    ada = await plane.somebody()
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    claims = {"iss": "shop", "aud": ["us"], "exp": now(plane) + 60}
    for given, algorithm, key in (
        ({"secret": "0123456789abcdef0123456789abcdef"}, "HS256", "0123456789abcdef0123456789abcdef"),
        ({"public_key": pem}, "RS256", private),
    ):
        hook = await plane.webhook(ada, auth={"type": "jwt", "issuer": "shop", "audience": "us", **given})
        for said, status in ((claims, 202), ({**claims, "aud": "them"}, 401), ({**claims, "exp": 1}, 401)):
            headers = {"Authorization": f"Bearer {token(said, algorithm, key)}"}
            assert (await plane.client.post(hook, headers=headers)).status_code == status
        forged = {"Authorization": f"Bearer {token(claims, 'HS256', pem)}"}
        check_problem(await plane.client.post(hook, headers=forged), 401)


async def test_keys_from_elsewhere(plane: Plane) -> None:
    """A worker fetches them; they are kept for minutes, and for a day while their server is away."""
    ada = await plane.somebody()
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    n = private.public_key().public_numbers().n
    jwk = {"kty": "RSA", "kid": "k1", "e": "AQAB", "n": part(n.to_bytes(256, "big")).decode()}
    plane.worker.answer = ProbeReply(True, json.dumps({"keys": [jwk]}))
    auth = {"type": "jwt", "jwks_url": "https://id.example/jwks.json"}
    hook = await plane.webhook(ada, auth=auth)

    async def knock() -> int:
        said = token({"exp": now(plane) + 60}, "RS256", private)
        return (await plane.client.post(hook, headers={"Authorization": f"Bearer {said}"})).status_code

    assert [await knock() for _ in range(3)] == [202] * 3
    assert [(asked.verb, asked.workspace_id) for asked in plane.worker.asked] == [("jwks", ada.workspace_id)]
    plane.worker.answer = ProbeReply(False, "The key set's server answered 500.")
    plane.clock.ahead_ms += 6 * 60_000
    assert (await knock(), len(plane.worker.asked)) == (202, 2)
    plane.clock.ahead_ms += 25 * 3_600_000
    assert await knock() == 503
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n
    plane.worker.answer = ProbeReply(
        True, json.dumps({"keys": [{**jwk, "n": part(other.to_bytes(256, "big")).decode()}]})
    )
    assert await knock() == 401


async def test_a_new_key_is_fetched_when_a_token_names_it(plane: Plane) -> None:
    """At once, but not more often than every thirty seconds, whatever tokens name."""
    ada, keys = await plane.somebody(), {}
    for kid in ("k1", "k2", "k3"):
        keys[kid] = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def publish(*kids: str) -> None:
        numbers = {kid: keys[kid].public_key().public_numbers().n.to_bytes(256, "big") for kid in kids}
        found = [{"kty": "RSA", "kid": kid, "e": "AQAB", "n": part(n).decode()} for kid, n in numbers.items()]
        plane.worker.answer = ProbeReply(True, json.dumps({"keys": found}))

    async def knock(kid: str, named: str = "") -> int:
        said = token({"exp": now(plane) + 60}, "RS256", keys[kid], kid=named or kid)
        return (await plane.client.post(hook, headers={"Authorization": f"Bearer {said}"})).status_code

    publish("k1")
    hook = await plane.webhook(ada, auth={"type": "jwt", "jwks_url": "https://id.example/more.json"})
    plane.clock.stop()
    plane.worker.asked.clear()
    assert (await knock("k1"), await knock("k2"), len(plane.worker.asked)) == (202, 401, 1)  # it was just asked for
    publish("k1", "k2")
    plane.clock.ahead_ms += 30_000
    assert (await knock("k2"), len(plane.worker.asked)) == (202, 2)
    assert [await knock("k3", name) for name in ("k3", "x", "y", "k1")] == [401] * 4
    assert len(plane.worker.asked) == 2
    plane.clock.ahead_ms += 30_000
    assert [await knock("k3", name) for name in ("x", "y", "k1")] == [401] * 3
    assert len(plane.worker.asked) == 3
    plane.worker.answer = ProbeReply(False, "The key set's server answered 500.")
    plane.clock.ahead_ms += 30_000
    assert [await knock(kid) for kid in ("k3", "k3", "k2")] == [401, 401, 202]  # what is known goes on
    assert len(plane.worker.asked) == 4
    plane.clock._stopped_ms = 0


def token(claims: dict[str, Any], algorithm: str, key: Any, **header: str) -> str:
    said = b".".join(part(json.dumps(one).encode()) for one in ({"alg": algorithm, **header}, claims))
    if algorithm == "HS256":
        seal = hmac.digest(key.encode(), said, "sha256")
    else:
        seal = key.sign(said, padding.PKCS1v15(), hashes.SHA256())
    return f"{said.decode()}.{part(seal).decode()}"


def part(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


async def test_path_parameters(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, path="orders/:id/lines/:line", methods=["POST", "PUT"])
    assert (await plane.client.put(f"{hook}/orders/A%207/lines/3")).status_code == 202
    assert plane.frontend.last.trigger["params"] == {"id": "A 7", "line": "3"}
    for wrong in ("", "/orders", "/orders/1/lines", "/orders/1/lines/", "/orders/1/lines/2/3", "/carts/1/lines/2"):
        check_problem(await plane.client.put(hook + wrong), 404)


async def test_pages_of_browsers(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, cors_origins=["https://shop.example"], auth_type="bearer", token="t")
    ask = {
        "Origin": "https://shop.example", "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization, x-a, bad header",
    }  # fmt: skip
    allowed = await plane.client.options(hook, headers=ask)
    assert allowed.status_code == 204
    assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
    assert allowed.headers["access-control-allow-methods"] == "POST"
    assert allowed.headers["access-control-allow-headers"] == "authorization, x-a"
    refused = await plane.client.post(hook, headers={"Origin": "https://shop.example"})
    check_problem(refused, 401)
    assert refused.headers["access-control-allow-origin"] == "https://shop.example", "the page may read why"
    stranger = await plane.client.options(hook, headers={**ask, "Origin": "https://evil.example"})
    check_problem(stranger, 405)
    assert "access-control-allow-origin" not in stranger.headers
    called = await plane.client.post(hook, headers={"Origin": "https://evil.example", "Authorization": "Bearer t"})
    assert (called.status_code, "access-control-allow-origin" in called.headers) == (202, False)


async def test_packed_large_and_raw_bodies(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, max_body=1000, raw_body=True)
    packed = gzip.compress(b'{"a": 1}')
    kind = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    assert (await plane.client.post(hook, content=packed, headers=kind)).status_code == 202
    assert plane.frontend.last.trigger["body"] == {"a": 1}
    assert base64.b64decode(plane.frontend.last.trigger["raw"]) == packed, "what a signature would be over"
    bomb = gzip.compress(b" " * 100_000)
    check_problem(await plane.client.post(hook, content=bomb, headers=kind), 413)
    check_problem(await plane.client.post(hook, content=b"x" * 1001), 413)
    check_problem(await plane.client.post(hook, content=packed[:-4], headers=kind), 400)
    check_problem(await plane.client.post(hook, content=b"nonsense", headers=kind), 400)
    check_problem(await plane.client.post(hook, content=b"x", headers={"Content-Encoding": "br"}), 415)


@pytest.mark.parametrize(
    ("dedupe", "headers", "body", "key"),
    [
        ({"header": "X-Order"}, {"x-order": "7"}, {}, "webhook:hook:7"),
        ({"header": "X-Order", "ttl": 60}, {"x-order": "7"}, {}, "ttl:60000:webhook:hook:7"),
        ({"key": "{{ trigger.body.id }}-{{ trigger.method }}"}, {}, {"id": 5}, "webhook:hook:5-POST"),
        ({"key": "{{ trigger.body.id }}", "ttl": 0.5}, {"webhook-id": "m"}, {"id": 5}, "ttl:500:webhook:hook:5"),
        (None, {"webhook-id": "m"}, {}, "webhook:hook:m"),
        (None, {"x-github-delivery": "d"}, {}, "webhook:hook:d"),
        (None, {"x-shopify-webhook-id": "s"}, {}, "webhook:hook:s"),
        (None, {"ce-id": "1", "ce-source": "/a"}, {}, "webhook:hook:/a 1"),
        (None, {"content-type": "application/cloudevents+json"}, {"id": "1", "source": "/a"}, "webhook:hook:/a 1"),
        (None, {"content-type": "application/cloudevents+json"}, {"id": 1, "source": "/a"}, ""),
        (None, {"ce-id": "1"}, {"source": "/a"}, ""),
        (None, {}, {}, ""),
    ],
)
async def test_what_tells_calls_apart(
    plane: Plane, dedupe: dict[str, Any] | None, headers: dict[str, str], body: dict[str, Any], key: str
) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, **({"dedupe": dedupe} if dedupe else {}))
    assert (await plane.client.post(hook, json=body, headers=headers)).status_code == 202
    assert plane.frontend.last.idempotency_key == key


@pytest.mark.parametrize(
    ("preset", "body"),
    [("stripe", {"id": "evt_1"}), ("slack", {"event_id": "evt_1"}), ("github", {}), ("standard", {})],
)
async def test_a_sender_that_tries_again_signs_anew(plane: Plane, preset: str, body: dict[str, Any]) -> None:
    _, hook = await signed_hook(plane, preset)
    keys = set()
    for later in (0, 60):
        raw = json.dumps(body).encode()
        headers = sign(PRESETS[preset], SIGNING, raw, now(plane) + later, "evt_1")
        answer = await plane.client.post(hook, content=raw, headers={**headers, "content-type": "application/json"})
        assert answer.status_code in (200, 202)
        keys.add(plane.frontend.last.idempotency_key)
    assert keys == {"webhook:hook:evt_1"}


@pytest.mark.parametrize("preset", ["stripe", "slack"])
async def test_a_copied_call_is_no_other_one_by_a_header_that_nobody_signed(plane: Plane, preset: str) -> None:
    _, hook = await signed_hook(plane, preset)
    headers = sign(PRESETS[preset], SIGNING, b"{}", now(plane))
    keys = set()
    for more in ({}, {"idempotency-key": "x"}, {"webhook-id": "y"}, {"ce-id": "1", "ce-source": "/a"}):
        await plane.client.post(hook, content=b"{}", headers={**headers, **more})
        keys.add(plane.frontend.last.idempotency_key)
    assert len(keys) == 1
    assert keys.pop().startswith("ttl:600000:webhook:hook:signed:")


async def test_a_key_that_cannot_be_told_is_the_callers_fault(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, dedupe={"key": "{{ jsonParse(trigger.body.id) }}"})
    check_problem(await plane.client.post(hook, json={"id": "{"}), 422)


async def test_the_address_of_a_runs_status(plane: Plane) -> None:
    ada = await plane.somebody()
    for mode, shown in (("wait", {"sum": 3}), ("immediate", None)):
        hook = await plane.webhook(ada, response_mode=mode)
        plane.frontend.answer = RunReply("")
        accepted = await plane.client.post(hook)
        url = accepted.headers["location"].removeprefix("http://linkflow.test")
        seen = StatusTokens(SECRET).read(url.rpartition("/")[2], plane.clock.now_ms())
        assert seen == Seen(ada.workspace_id, accepted.json()["execution_id"], mode == "wait")
        assert (shown is not None) == seen.answers
        check_problem(await plane.client.get(url[:-2] + "xx"), 404)
    plane.clock.ahead_ms += 25 * 3_600_000
    check_problem(await plane.client.get(url), 404)
    check_problem(await plane.client.get("/webhook-runs/x"), 404)


async def test_refused_calls_are_noted_without_what_may_be_secret(plane: Plane) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    hook = await plane.webhook(ada, auth_type="bearer", token="t0p")
    id = hook.rpartition("/")[2]
    sent = {"Authorization": "Bearer wr0ng", "X-Api-Key": "k3y", "User-Agent": "shop/1"}
    await plane.client.post(hook, content=b"secret body", headers=sent)
    await plane.client.get(hook)
    found = await plane.client.get(f"{ada.base}/webhooks/{id}/deliveries", headers=ada.auth)
    rows = found.json()["data"]
    assert [(row["status"], row["code"], row["method"], row["accepted"]) for row in rows] == [
        (405, "method_not_allowed", "GET", False), (401, "unauthenticated", "POST", False),
    ]  # fmt: skip
    assert rows[1]["headers"]["user-agent"] == "shop/1"
    assert rows[1]["size"] == 11
    assert not [word for word in ("wr0ng", "k3y", "t0p", "secret body") if word in found.text]
    first = await plane.client.get(f"{ada.base}/webhooks/{id}/deliveries?per_page=1", headers=ada.auth)
    cursor = first.json()["meta"]["next_cursor"]
    rest = await plane.client.get(f"{ada.base}/webhooks/{id}/deliveries?cursor={cursor}", headers=ada.auth)
    assert [row["status"] for row in rest.json()["data"]] == [401]
    for tail in ("", "/deliveries", "/captures"):
        check_problem(await plane.client.get(f"{bob.base}/webhooks/{id}{tail}", headers=bob.auth), 404)


async def test_a_stranger_cannot_fill_the_notes(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, auth_type="bearer", token="t")
    plane.clock.stop()
    await asyncio.gather(*(plane.client.post(hook) for _ in range(100)))
    row = await count(plane, "SELECT count(*) FROM webhook_refusals WHERE webhook_id = %s", hook.rpartition("/")[2])
    assert row == 60


async def count(plane: Plane, query: str, *args: object) -> int:
    async with plane.database.connection() as connection:
        return (await (await connection.execute(query, args)).fetchone())[0]


async def test_a_new_address_and_holding_back(plane: Plane) -> None:
    ada, bob = await plane.somebody(), await plane.somebody()
    hook = await plane.webhook(ada)
    path = f"{ada.base}/webhooks/{hook.rpartition('/')[2]}"
    listed = (await plane.client.get(f"{ada.base}/webhooks", headers=ada.auth)).json()["data"]
    assert [one["url"] for one in listed] == [f"http://linkflow.test{hook}"]
    for verb in ("deactivate", "activate", "rotate", "listen"):
        check_problem(
            await plane.client.post(f"{path.replace(ada.workspace_id, bob.workspace_id)}/{verb}", headers=bob.auth), 404
        )
    await plane.client.post(f"{path}/deactivate", headers=ada.auth)
    check_problem(await plane.client.post(hook), 404)
    await plane.client.post(f"{path}/activate", headers=ada.auth)
    assert (await plane.client.post(hook)).status_code == 202
    moved = (await plane.client.post(f"{path}/rotate", headers=ada.auth)).json()["webhook"]
    check_problem(await plane.client.post(hook), 404)
    assert (await plane.client.post(moved["url"].removeprefix("http://linkflow.test"))).status_code == 202
    assert plane.frontend.last.trigger_node == "hook"


async def test_the_test_address_keeps_calls_while_somebody_listens(plane: Plane) -> None:
    ada = await plane.somebody()
    hook = await plane.webhook(ada, active=False, auth_type="bearer", token="t")
    id = hook.rpartition("/")[2]
    test, auth = f"/webhook-test/{id}", {"Authorization": "Bearer t"}
    check_problem(await plane.client.post(test, json={"n": 0}, headers=auth), 404)
    listening = await plane.client.post(f"{ada.base}/webhooks/{id}/listen", headers=ada.auth)
    assert (listening.status_code, listening.json()["url"]) == (202, f"http://linkflow.test{test}")
    check_problem(await plane.client.post(test, json={"n": 0}), 401)
    for n in range(12):
        response = await plane.client.post(f"{test}/a", json={"n": n}, headers=auth)
        assert response.status_code == (200 if n < 10 else 404)
    found = (await plane.client.get(f"{ada.base}/webhooks/{id}/captures", headers=ada.auth)).json()["data"]
    assert [one["trigger"]["body"]["n"] for one in found] == list(range(9, -1, -1))
    assert "authorization" not in json.dumps(found).lower()
    assert plane.frontend.calls == []
    plane.clock.ahead_ms += 601_000
    check_problem(await plane.client.post(test, json={}, headers=auth), 404)

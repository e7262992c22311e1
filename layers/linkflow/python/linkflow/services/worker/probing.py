"""Trying a credential outside of any run: a light call where its kind has one, by the client of its workspace."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from linkflow.contracts.secrets import SealedCredential, TokensRequest
from linkflow.contracts.worker import ProbeReply, ProbeRequest
from linkflow.domain.errors import LinkFlowError
from linkflow.domain.redaction import Redactor
from linkflow.nodes.base import Context, Egress, NodeFailure
from linkflow.nodes.given import Given, any_of, home_of, secrets_of
from linkflow.nodes.http_request import KINDS_OF_HTTP
from linkflow.nodes.service_checks import CHECKS
from linkflow.ports import Clock

from .bound import HostBound
from .tokens import STORED_KINDS, StoredTokens
from .vault import Vault

LONGEST = 20.0
"""Seconds."""

Test = Callable[[Given, Context], Awaitable[str]]


async def probe(request: ProbeRequest, vault: Vault, egress: Egress, clock: Clock) -> ProbeReply:
    """Do what is asked, and say how it went in words without a secret in them."""
    started, secrets = time.perf_counter(), Redactor()
    try:
        async with asyncio.timeout(LONGEST):
            message, code, ok = await _probe(request, vault, egress, clock, secrets), "", True
    except NodeFailure as error:
        message, code, ok = error.error.message, error.error.code, False
        if said := error.error.details.get("error"):
            message = f"{message} It says {said}."
    except LinkFlowError as error:
        message, code, ok = error.message, error.code, False
    except TimeoutError:
        message, code, ok = f"There was no answer within {LONGEST:g} s.", "timeout", False
    return ProbeReply(ok, secrets.text(message), code, round((time.perf_counter() - started) * 1000))


async def _probe(request: ProbeRequest, vault: Vault, egress: Egress, clock: Clock, secrets: Redactor) -> str:
    sealed = await vault.ask(request.workspace_id, request.credential_id)
    if sealed is None:
        raise NodeFailure("credential_missing", "There is no such credential.", retryable=False)
    fields = await vault.fields(sealed)
    secrets.add(secrets_of(sealed.kind, fields))
    tokens = StoredTokens(vault, sealed, secrets) if sealed.kind in STORED_KINDS else None
    given = Given(sealed.kind, fields, tokens)
    hosts = any_of([(*sealed.hosts, *home_of(fields))]) if sealed.hosts else ()
    context = _context(request.workspace_id, HostBound(egress, hosts) if hosts else egress, clock, secrets)
    if request.verb == "jwks":
        return (await _key_set(given, context)).decode()
    if request.verb == "connect":
        return await _connect(request, vault, sealed, fields, context, secrets)
    if request.url and sealed.kind in KINDS_OF_HTTP:
        from linkflow.nodes.http_auth import Prepared, authorized

        call = await authorized(Prepared("GET", request.url, {}, None), given, context)
        return await _get(call.url, call.headers, "The server", context)
    test = TESTS.get(sealed.kind)
    if test is None:
        more = " Give a `url` to try it with a call." if sealed.kind in KINDS_OF_HTTP else ""
        return f"It opens. This kind has no call of its own.{more}"
    return await test(given, context)


def _context(workspace_id: str, egress: Egress, clock: Clock, secrets: Redactor) -> Context:
    return Context(
        input=None, execution_id="", node_id="test", node_name="test", workflow_id="", workspace_id=workspace_id,
        idempotency_key="test", attempt=1, now_ms=clock.now_ms(), egress=egress,
        conceal=lambda value: secrets.add((value,)),
    )  # fmt: skip


async def _connect(
    request: ProbeRequest, vault: Vault, sealed: SealedCredential, fields: Mapping[str, Any], context: Context,
    secrets: Redactor,
) -> str:  # fmt: skip
    """RFC 6749, 4.1.3, with the verifier of RFC 7636."""
    from linkflow.nodes.http_auth import asked, checked

    if sealed.kind != "oauth2":
        raise NodeFailure("not_connectable", "Only credentials of the kind oauth2 are connected.", retryable=False)
    secrets.add((request.code, request.verifier))
    form = {
        "grant_type": "authorization_code", "code": request.code, "redirect_uri": request.redirect_uri,
        "code_verifier": request.verifier,
    }  # fmt: skip
    answer = await asked(form, checked(fields, "oauth2"), context)
    holder = f"{vault.holder}/connect/{time.monotonic_ns()}"
    for _ in range(100):
        claim = await vault.history.tokens(TokensRequest(sealed.workspace_id, sealed.id, "claim", holder))
        if claim.credential is None:
            raise NodeFailure("credential_missing", "The credential was deleted meanwhile.", retryable=False)
        if claim.done and await StoredTokens(vault, claim.credential, secrets).store(answer, "", holder):
            return "Connected."
        await asyncio.sleep(0.3)  # a worker is renewing the tokens that these replace
    raise NodeFailure("credentials_unavailable", "Others are changing this credential; try again.")


async def _token(given: Given, context: Context) -> str:
    from linkflow.nodes.http_auth import TOKENS

    TOKENS.forget(given, context)
    await TOKENS.token(given, given.kind, context)
    return "The server gave a token."


async def _ai(given: Given, context: Context) -> str:
    provider = str(given.get("provider") or "openai")
    base, key = str(given.get("base_url") or ""), str(given.get("api_key") or "")
    known = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
    headers = {"x-api-key": key, "anthropic-version": "2023-06-01"} if provider == "anthropic" else {}
    if not base and provider not in known:
        raise NodeFailure("bad_credential", "This provider needs a `base_url`.", retryable=False)
    url = f"{(base or known[provider]).rstrip('/')}/models"
    return await _get(url, headers or {"Authorization": f"Bearer {key}"}, "The provider", context)


async def _slack(given: Given, context: Context) -> str:
    from linkflow.nodes.replies import parse_json
    from linkflow.nodes.slack import BASE_URL

    if not given.get("token"):
        return "It opens. A webhook can be tried only by posting to it."
    url = f"{str(given.get('base_url') or BASE_URL).rstrip('/')}/auth.test"
    response = await context.http().request("POST", url, headers={"Authorization": f"Bearer {given['token']}"})
    try:
        answer = parse_json(response.content)
    except ValueError:
        answer = {}
    if not isinstance(answer, dict) or answer.get("ok") is not True:
        said = str(answer.get("error") if isinstance(answer, dict) else "") or f"status {response.status_code}"
        raise NodeFailure("refused", f"Slack refused the token: {said}.", retryable=False)
    return "Slack knows the token."


async def _aws(given: Given, context: Context) -> str:
    from linkflow.nodes.http_auth import Prepared, authorized

    region = str(given.get("region") or "us-east-1")
    url = f"https://sts.{region}.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15"
    signed = await authorized(Prepared("GET", url, {}, None), {**given, "service": "sts"}, context)
    return await _get(signed.url, signed.headers, "AWS", context)


async def _smtp(given: Given, context: Context) -> str:
    from linkflow.nodes.email import server_of
    from linkflow.nodes.smtp import greet

    await greet(server_of(given, 15.0), context.http())
    return "The mail server took the sign-in." if given.get("username") else "The mail server answers."


async def _key_set(given: Given, context: Context) -> bytes:
    """The JWK Set at a credential's address, with nothing in it that is private."""
    url = str(given.get("jwks_url") or "")
    response = await context.http().request("GET", url, headers={"Accept": "application/json"}, timeout=10.0)
    if response.status_code != 200:
        raise NodeFailure("http_status", f"The key set's server answered {response.status_code}.")
    try:
        keys = msgspec.json.decode(response.content[:_MOST], type=_KeySet).keys
    except msgspec.DecodeError:
        raise NodeFailure("bad_key_set", "There is no JWK Set at this address.", retryable=False) from None
    public = [{name: value for name, value in key.items() if name in _PUBLIC} for key in keys]
    return msgspec.json.encode({"keys": [key for key in public if key.get("kty") != "oct"]})


class _KeySet(msgspec.Struct):
    keys: list[dict[str, Any]]


_MOST = 256 * 1024
_PUBLIC = frozenset(("kty", "kid", "use", "alg", "n", "e", "crv", "x", "y"))


async def _jwt(given: Given, context: Context) -> str:
    if not given.get("jwks_url"):
        return "It opens. Its keys are in it."
    count = len(msgspec.json.decode(await _key_set(given, context), type=_KeySet).keys)
    return f"The key set has {count} keys."


async def _postgres(given: Given, context: Context) -> str:
    from linkflow.nodes import sql
    from linkflow.nodes.sql_params import Bounds

    await sql.run(
        str(given["connection_string"]), [("SELECT 1", [])], egress=context.http(), bounds=Bounds(15.0, 1, 1_000),
        trusted=False, authorities=str(given.get("ca") or ""),
    )  # fmt: skip
    return "The database answers."


async def _get(url: str, headers: Mapping[str, str], peer: str, context: Context) -> str:
    response = await context.http().request("GET", url, headers=headers, follow_redirects=False, timeout=15.0)
    if response.status_code in (401, 403):
        raise NodeFailure("refused", f"{peer} refused it: status {response.status_code}.", retryable=False)
    if response.status_code >= 400:
        raise NodeFailure("http_status", f"{peer} answered {response.status_code}.")
    return f"{peer} took it."


TESTS: Mapping[str, Test] = {
    "oauth2": _token,
    "oauth2_refresh": _token,
    "oauth2_client": _token,
    "ai": _ai,
    "slack": _slack,
    "aws": _aws,
    "smtp": _smtp,
    "postgres": _postgres,
    "webhook_jwt": _jwt,
    **CHECKS,
}

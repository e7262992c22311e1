"""Tokens of OAuth 2 that are kept with their credential: one worker renews them, rotated ones are stored, and what the
server takes no more is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import msgspec
import pytest

from linkflow.clock import SystemClock
from linkflow.config import Egress
from linkflow.contracts.base import acting_as
from linkflow.contracts.secrets import credential_about
from linkflow.contracts.worker import ProbeRequest
from linkflow.domain.ids import uuid7
from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.given import Given
from linkflow.nodes.http_auth import TOKENS
from linkflow.postgres.credentials import PostgresCredentials
from linkflow.postgres.database import Database
from linkflow.postgres.variables import PostgresVariables
from linkflow.services.history import History
from linkflow.services.history.secrets import LEASE_MS, Secrets
from linkflow.services.sealing import Sealer
from linkflow.services.secret_ports import Credential, CredentialRow
from linkflow.services.worker.probing import probe
from linkflow.services.worker.tokens import StoredTokens
from linkflow.services.worker.vault import Vault
from linkflow.transports.keyrings import connect
from tests.integration.test_history import SERVICE
from tests.unit.nodes.peers import http_peer, reply

WORKSPACE, CREDENTIAL = uuid7(1, 1, 1), uuid7(1, 1, 2)


class Clock(SystemClock):
    def __init__(self) -> None:
        self.at = 1_800_000_000_000

    def now_ms(self) -> int:
        return self.at


class Server:
    """An authorization server that rotates refresh tokens, and forgets them all when one comes twice."""

    def __init__(self) -> None:
        self.valid = "refresh-token-0"
        self.given = 0
        self.forms: list[dict[str, str]] = []
        self.broken = False

    def answer(self, request: Any) -> bytes:
        form = {name: values[0] for name, values in parse_qs(request.body.decode()).items()}
        self.forms.append(form)
        if self.broken:
            return reply(503, b"{}")
        if form["grant_type"] == "refresh_token" and form["refresh_token"] != self.valid:
            self.valid = ""
            return reply(400, b'{"error": "invalid_grant"}', {"Content-Type": "application/json"})
        self.given += 1
        self.valid = f"refresh-token-{self.given}"
        told = {"access_token": f"access-token-{self.given}", "refresh_token": self.valid, "expires_in": 3600}
        return reply(200, msgspec.json.encode(told), {"Content-Type": "application/json"})


class Stage:
    """Several workers, as far as credentials go, over one History."""

    def __init__(self, database: Database, keys: Path, url: str, client: EgressClient) -> None:
        self.clock, self.database, self.client = Clock(), database, client
        self.store = PostgresCredentials(database)
        secrets = Secrets(self.store, PostgresVariables(database), self.clock)
        self.history: Any = History.__new__(History)  # only what it does with secrets is asked for here
        self.history._secrets = secrets
        self.sealer = Sealer(connect([f"file:{keys}"]), self.clock)
        self.url = url

    def vault(self, name: str) -> Vault:
        return Vault(self.history, self.sealer, self.clock, name)

    async def keep(self, kind: str) -> None:
        fields = {
            "token_url": self.url, "client_id": "me", "client_secret": "", "scope": "", "client_auth": "basic",
            **({"refresh_token": "refresh-token-0"} if kind == "oauth2_refresh" else
               {"authorize_url": self.url, "audience": "", "parameters": ""}),
        }  # fmt: skip
        made = Credential(CREDENTIAL, WORKSPACE, "Sheets", kind, "", (), (), {}, "connected", 0, "", 0, 1, 1, "", 0, 0)
        about = credential_about(WORKSPACE, CREDENTIAL, 1)
        sealed = await self.sealer.seal(msgspec.json.encode(fields), about)
        async with self.database.connection() as connection:
            await connection.execute(
                "INSERT INTO workspaces (id, name, created_at, updated_at) VALUES (%s, 'w', 0, 0) ON CONFLICT DO NOTHING",
                (WORKSPACE,),
            )
        assert await self.store.insert(CredentialRow(made, "sheets", sealed))

    async def given(self, vault: Vault) -> Given:
        sealed = await vault.ask(WORKSPACE, CREDENTIAL)
        assert sealed is not None
        return Given(sealed.kind, await vault.fields(sealed), StoredTokens(vault, sealed))

    async def token(self, vault: Vault, given: Given | None = None) -> str:
        given = given or await self.given(vault)
        context = Context(
            input=None, execution_id="", node_id="n", node_name="n", workflow_id="", workspace_id=WORKSPACE,
            idempotency_key="k", attempt=1, now_ms=self.clock.now_ms(), egress=self.client,
        )  # fmt: skip
        return await TOKENS.token(given, given.kind, context)

    async def shown(self) -> Credential:
        found = await self.store.get(WORKSPACE, CREDENTIAL)
        assert found is not None
        return found


@pytest.fixture(autouse=True)
def service() -> Iterator[None]:
    with acting_as(SERVICE):
        yield


@pytest.fixture
async def server() -> Server:
    return Server()


@pytest.fixture
async def stage(database_url: str, tmp_path: Path, server: Server) -> AsyncIterator[Stage]:
    database, client = Database(database_url, size=4), EgressClient(Egress(allow=("127.0.0.1",)))
    async with http_peer(server.answer) as peer:
        yield Stage(database, tmp_path / "keys.json", peer.url, client)
    await client.aclose()
    await database.close()


async def test_one_renews_it_and_the_others_have_it(stage: Stage, server: Server):
    await stage.keep("oauth2_refresh")
    found = await asyncio.gather(*(stage.token(stage.vault(f"w{n}")) for n in range(8)))
    assert (set(found), server.given) == ({"access-token-1"}, 1)
    assert await stage.token(stage.vault("later")) == "access-token-1"
    stage.clock.at += 3_600_000
    assert await stage.token(stage.vault("later")) == "access-token-2"
    assert [form["refresh_token"] for form in server.forms] == ["refresh-token-0", "refresh-token-1"]


async def test_a_token_that_was_called_back_is_replaced(stage: Stage, server: Server):
    await stage.keep("oauth2_refresh")
    vault = stage.vault("w")
    given = await stage.given(vault)
    assert await stage.token(vault, given) == "access-token-1"
    assert given.tokens is not None
    assert given.tokens.forget()
    assert await stage.token(vault, given) == "access-token-2"


async def test_what_the_server_takes_no_more_is_said(stage: Stage, server: Server):
    await stage.keep("oauth2_refresh")
    server.valid = "another"
    for _ in range(2):
        with pytest.raises(NodeFailure, match="Connect the credential again") as caught:
            await stage.token(stage.vault("w"))
        assert (caught.value.error.code, caught.value.error.retryable) == ("oauth_refused", False)
    found = await stage.shown()
    assert (found.status, found.status_detail, len(server.forms)) == ("revoked", "invalid_grant", 1)


async def test_a_server_that_is_broken_changes_nothing(stage: Stage, server: Server):
    await stage.keep("oauth2_refresh")
    server.broken = True
    with pytest.raises(NodeFailure) as caught:
        await stage.token(stage.vault("w"))
    assert caught.value.error.retryable
    server.broken = False
    assert await stage.token(stage.vault("other")) == "access-token-1"  # the right was given back
    assert (await stage.shown()).status == "connected"


async def test_the_right_of_a_worker_that_died_ends(stage: Stage, server: Server):
    await stage.keep("oauth2_refresh")
    assert await stage.store.claim(WORKSPACE, CREDENTIAL, "dead", stage.clock.at, stage.clock.at + LEASE_MS)
    waiting = asyncio.create_task(stage.token(stage.vault("w")))
    await asyncio.sleep(0)
    stage.clock.at += LEASE_MS + 1
    assert await asyncio.wait_for(waiting, 10) == "access-token-1"


async def test_connecting(stage: Stage, server: Server):
    await stage.keep("oauth2")
    with pytest.raises(NodeFailure, match="not connected"):
        await stage.token(stage.vault("w"))
    assert (await stage.shown()).status == "not_connected"
    request = ProbeRequest(WORKSPACE, CREDENTIAL, "connect", "code-1", "verifier-1", "http://here/callback")
    answer = await probe(request, stage.vault("w"), stage.client, stage.clock)
    assert (answer.ok, answer.message) == (True, "Connected.")
    assert server.forms[0] == {
        "grant_type": "authorization_code", "code": "code-1", "code_verifier": "verifier-1",
        "redirect_uri": "http://here/callback", "client_id": "me",
    }  # fmt: skip
    assert (await stage.shown()).status == "connected"
    assert await stage.token(stage.vault("other")) == "access-token-1"
    refused = await probe(ProbeRequest(WORKSPACE, uuid7(1, 1, 9)), stage.vault("w"), stage.client, stage.clock)
    assert (refused.ok, refused.code) == (False, "credential_missing")

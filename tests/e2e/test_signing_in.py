"""The command line signs in once and stays so; and what it does about people, as somebody types it."""

from __future__ import annotations

import asyncio
import base64
import json
import stat
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest
from click.testing import CliRunner, Result

from linkflow.cli import main
from linkflow.cli.client import Api
from linkflow.cli.keeping import SignIns
from linkflow.services.second_factor import STEP, code_at
from tests.conftest import TEST_REDIS_DATABASE, fresh_database
from tests.e2e.topologies import Topology, in_process
from tests.integration.control.provider import CLIENT, SECRET, StandIn, stand_in

PASSWORD = "Correct1horse"
BROWSER = f"""#!{sys.executable}
import sys, httpx
httpx.Client(follow_redirects=True, trust_env=False).get(sys.argv[-1])
"""


class Terminal:
    """Somebody at a command line: with a config folder of his own, and no home."""

    def __init__(self, folder: Path, url: str, **env: str) -> None:
        self.config = folder / "config"
        self.url = url
        self._home = str(folder / "home")
        self._env = {"LINKFLOW_CONFIG": str(self.config), "LINKFLOW_URL": url, **env}

    def tried(self, *words: str, typed: str = "") -> Result:
        return CliRunner(env={**self._env, "LINKFLOW_HOME": self._home}).invoke(main, words, input=typed)

    def types(self, *words: str, typed: str = "") -> str:
        done = self.tried(*words, typed=typed)
        assert done.exit_code == 0, (words, done.output, done.exception)
        return done.stdout

    def asks(self, *words: str) -> Any:
        return json.loads(self.types(*words, "--json"))

    @property
    def file(self) -> Path:
        return self.config / "sign-ins.json"

    def change(self, **entry: Any) -> None:
        kept = SignIns(self.config)
        kept.put(self.url, {**(kept.of(self.url) or {}), **entry})


def register(url: str, name: str) -> str:
    email = f"{name}@example.com"
    form = {"first_name": name, "last_name": "L", "email": email, "password": PASSWORD}
    made = httpx.post(f"{url}/api/v1/auth/register", json={**form, "password_confirmation": PASSWORD}, trust_env=False)
    assert made.status_code == 201, made.text
    return email


@pytest.fixture(scope="module")
def provider() -> Iterator[StandIn]:
    """In a thread of its own."""
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    ready, found = threading.Event(), []

    async def serve() -> None:
        async with stand_in() as made:
            found.append(made)
            ready.set()
            await over.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    ready.wait()
    yield found[0]
    loop.call_soon_threadsafe(over.set)
    thread.join()
    loop.close()


@pytest.fixture(scope="module")
def stack(
    postgres: Any, valkey: Any, migrated_template: str, tmp_path_factory: pytest.TempPathFactory, provider: StandIn
) -> Iterator[Topology]:
    oidc = {"corp": {"issuer": provider.url, "client_id": CLIENT, "client_secret": SECRET}}
    redis_url = urlunsplit(urlsplit(valkey.url)._replace(path=f"/{TEST_REDIS_DATABASE}"))
    home = tmp_path_factory.mktemp("stack")
    with fresh_database(postgres.url, migrated_template) as url, pytest.MonkeyPatch.context() as patch:
        for name in ("LINKFLOW_API_KEY", "LINKFLOW_WORKSPACE"):
            patch.delenv(name, raising=False)
        with in_process(url, redis_url, home, LINKFLOW_OIDC=json.dumps(oidc)) as running:
            yield running


def test_one_signs_in_once(stack: Topology, tmp_path: Path):
    ada = Terminal(tmp_path, stack.url)
    email = register(stack.url, "ada")
    assert ada.tried("login", "--email", email, typed="Wrong1horse\n").exit_code == 2
    told = ada.types("login", "--email", email, typed=f"{PASSWORD}\n")
    assert email in told
    assert stat.S_IMODE(ada.file.stat().st_mode) == 0o600
    assert stat.S_IMODE(ada.config.stat().st_mode) == 0o700
    assert PASSWORD not in ada.file.read_text()
    for _ in range(3):
        assert ada.asks("whoami")["user"]["email"] == email
    assert len(ada.asks("audit", "list", "--mine", "--action", "accounts.login")) == 1
    [one, _] = ada.asks("session", "list")
    assert one["user_agent"].startswith("linkflow-cli/")
    before = json.loads(ada.file.read_text())
    ada.change(expires_at=0)
    assert ada.asks("whoami")["kind"] == "session"
    assert json.loads(ada.file.read_text()) != before, "the refresh token was traded"
    ada.change(access_token="over", expires_at=2**40)
    assert ada.asks("whoami")["kind"] == "session", "also where only the server knows that it is over"
    ada.types("logout")
    assert stack.url not in ada.file.read_text()
    ada.change(**before["at"][stack.url])
    assert "linkflow login" in ada.tried("whoami").stderr, "the session is over, wherever it was copied to"


def test_one_signs_in_with_a_second_factor(stack: Topology, tmp_path: Path):
    ada = Terminal(tmp_path, stack.url)
    email = register(stack.url, "careful")
    ada.types("login", "--email", email, typed=f"{PASSWORD}\n")
    entry = SignIns(ada.config).of(stack.url) or {}
    auth = {"Authorization": f"Bearer {entry['access_token']}"}
    factor = f"{stack.url}/api/v1/user/second-factor"
    secret = base64.b32decode(
        httpx.post(factor, json={"password": PASSWORD}, headers=auth, trust_env=False).json()["secret"]
    )
    code = code_at(secret, int(time.time()) // STEP)
    confirmed = httpx.post(f"{factor}/confirm", json={"code": code}, headers=auth, trust_env=False)
    spare = confirmed.json()["recovery_codes"][0]
    assert ada.tried("login", "--email", email, typed=f"{PASSWORD}\n123456\n").exit_code == 2
    assert email in ada.types("login", "--email", email, typed=f"{PASSWORD}\n{spare}\n")


def test_commands_at_once_trade_a_refresh_token_once(stack: Topology, tmp_path: Path):
    ada = Terminal(tmp_path, stack.url)
    ada.types("login", "--email", register(stack.url, "at-once"), typed=f"{PASSWORD}\n")
    ada.change(expires_at=0)
    seen: list[str] = []

    def call() -> None:
        with Api.kept(tmp_path, stack.url, SignIns(ada.config)) as api:
            seen.append(api.get("/api/v1/user/whoami")["kind"])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == ["session"] * 4


def test_one_signs_in_by_a_provider_or_a_key(stack: Topology, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    browser = tmp_path / "bin" / "xdg-open"
    browser.parent.mkdir()
    browser.write_text(BROWSER)
    browser.chmod(0o755)
    monkeypatch.setenv("PATH", str(browser.parent), prepend=":")
    ada = Terminal(tmp_path, stack.url)
    assert "corp" in ada.tried("login", "--provider", "nobody").stderr
    ada.types("login", "--provider", "corp")
    assert ada.asks("whoami")["user"]["email"] == "ada@corp.example.com"
    assert {one["method"] for one in ada.asks("session", "list")} == {"corp"}
    secret = ada.types("key", "add", "ci", "-p", "workflow.view", "-p", "workspace.view").strip()
    [key] = ada.asks("key", "list")
    assert (key["name"], key["workspace_id"]) == ("ci", ada.asks("whoami")["workspace_id"])

    machine = Terminal(tmp_path / "machine", stack.url)
    machine.types("login", "--key", typed=f"{secret}\n")
    assert machine.asks("whoami")["key_id"] == key["id"]
    assert "permission" in machine.tried("member", "list").stderr
    runner = Terminal(tmp_path / "runner", stack.url, LINKFLOW_API_KEY=secret)
    assert runner.asks("whoami")["key_id"] == key["id"]
    assert not runner.file.exists()
    assert "still works" in machine.types("logout")
    ada.types("key", "delete", "ci")
    assert "not valid" in runner.tried("whoami").stderr


def test_people_of_a_workspace(stack: Topology, tmp_path: Path):
    ada, bob = Terminal(tmp_path / "ada", stack.url), Terminal(tmp_path / "bob", stack.url)
    for who, name in ((ada, "owner"), (bob, "bob")):
        who.types("login", "--email", register(stack.url, name), typed=f"{PASSWORD}\n")
    ada.types("role", "add", "Readers", "-p", "workflow.view", "-p", "member.view")
    link = ada.types("invite", "send", "bob@example.com", "--role", "Readers").strip()
    assert "/account/invitation#" in link
    assert "bob@example.com" in ada.types("invite", "list")
    bob.types("invite", "accept", link)
    shared = ada.asks("whoami")["workspace_id"]
    bob.types("workspace", "use", shared)
    assert bob.asks("whoami")["workspace_id"] == shared
    assert {one["email"]: one["role"] for one in bob.asks("member", "list")} == {
        "owner@example.com": "owner", "bob@example.com": "Readers",
    }  # fmt: skip
    assert bob.tried("key", "list", "--service").exit_code == 2
    ada.types("member", "set", "bob@example.com", "admin")
    ada.types("role", "set", "Readers", "--rename", "Lookers")
    ada.types("role", "delete", "Lookers")
    assert [one["name"] for one in ada.asks("role", "list")] == ["owner", "admin", "member", "viewer"]
    assert {"name": "workspace.delete", "roles": ["owner"]} in ada.asks("role", "permissions")
    service = bob.asks("key", "add", "ci", "--service", "-p", "workflow.view")
    assert service["secret"].startswith(service["key"]["hint"])
    bob.types("key", "delete", "ci", "--service")
    assert ada.tried("member", "leave", "--yes").exit_code == 2
    ada.types("member", "transfer", "bob@example.com", "--yes")
    assert ada.tried("member", "remove", "nobody@example.com").exit_code == 2
    bob.types("member", "remove", "owner@example.com")
    [change] = bob.asks("audit", "list", "--action", "workspaces.set_role")
    assert (change["via"], change["changes"]) == ("cli", [{"path": "/role", "from": "Readers", "to": "admin"}])
    assert "workspaces.set_role" in bob.types("audit", "list", "--limit", "100")
    bob.types("audit", "export", "--action", "teams.transfer", "-o", str(tmp_path / "log.jsonl"))
    [line] = (tmp_path / "log.jsonl").read_text().splitlines()
    assert json.loads(line)["actor_name"] == "owner@example.com"
    ada.types("login", "--email", "owner@example.com", typed=f"{PASSWORD}\n")
    ada.types("session", "end", "--others")
    assert len(ada.asks("session", "list")) == 1
    assert "note" not in ada.tried("logout", "--everywhere").stderr


def test_the_first_user_of_a_home_signs_in_once_too(stack: Topology, tmp_path: Path):
    home = Terminal(tmp_path, stack.url)
    for _ in range(3):
        who = home.asks("whoami")
    assert who["workspace_id"] == who["workspaces"][0]["id"]
    assert home.asks("audit", "list", "--mine", "--action", "accounts.login") == []
    assert len(home.asks("session", "list")) == 1
    kept = tmp_path / "home" / "sign-ins.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert not home.file.exists()
    home.types("logout")
    assert home.asks("whoami")["user"] == who["user"], "the home has the password"


def test_a_password_does_not_go_out_in_the_clear(tmp_path: Path):
    done = Terminal(tmp_path, "http://192.0.2.1:8080").tried("login", "--email", "a@example.com", typed="x\n")
    assert done.exit_code == 2
    assert "without TLS" in done.stderr

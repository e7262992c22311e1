"""`linkflow login`, `logout`, `whoami`, `workspace`: the work behind them."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import click
import httpx

from .client import Api, ApiError, checked, client, is_local, place, say
from .keeping import Entry, SignIns, config_folder, session_entry
from .work import connected, guarded

Json = dict[str, Any]
WAIT = 300
"""Seconds that a browser may take."""


def login(home: str, url: str, email: str, provider: str, with_key: bool, insecure: bool, as_json: bool) -> int:
    """Sign in and keep it."""

    def work() -> int:
        there = place(home, url)
        if not there.startswith("https://") and not is_local(there) and not insecure:
            raise ApiError(f"{there} is without TLS: others could read along. --insecure does it all the same.")
        with client(there) as http:
            if with_key:
                entry = _by_key(http, _secret("API key"))
            elif provider:
                entry = session_entry(_by_provider(http, provider))
            else:
                entry = session_entry(_by_password(http, email or click.prompt("E-mail", err=True)))
            spaces = checked(http.get("/api/v1/workspaces", headers=_auth(entry)))["data"]
        before = SignIns(config_folder()).of(there) or {}
        known = {one["id"] for one in spaces}
        first = spaces[0]["id"] if spaces else ""
        entry["workspace"] = before["workspace"] if before.get("workspace") in known else first
        SignIns(config_folder()).put(there, entry)
        used = next((one["name"] for one in spaces if one["id"] == entry["workspace"]), "none")
        if as_json:
            print(
                json.dumps({"url": there, "email": entry["email"] or None, "workspace_id": entry["workspace"] or None})
            )
        else:
            print(f"Signed in at {there} as {entry['email'] or 'the workspace'}. Workspace: {used}")
        return 0

    return guarded(work)


def _by_password(http: httpx.Client, email: str) -> Json:
    form = {"email": email, "password": _secret("Password")}
    return _with_code(lambda code: http.post("/api/v1/auth/login", json={**form, "code": code}))


def _with_code(ask: Callable[[str], httpx.Response]) -> Json:
    """Sign in, with a code of the second factor where one is asked for."""
    answer = ask("")
    if answer.status_code == 401 and answer.json().get("code") == "second_factor_required":
        answer = ask(click.prompt("Code of the second factor", err=True))
    found: Json = checked(answer)
    return found


def _by_key(http: httpx.Client, key: str) -> Entry:
    who = checked(http.get("/api/v1/user/whoami", headers={"Authorization": f"Bearer {key}"}))
    if who["kind"] != "key":
        raise ApiError("This is no API key.")
    return {"kind": "key", "key": key, "email": (who["user"] or {}).get("email", ""), "workspace": ""}


def _by_provider(http: httpx.Client, name: str) -> Json:
    """In a browser, which comes back to a port of ours. The code is worth nothing without our verifier."""
    known = {one["name"]: one["url"] for one in checked(http.get("/api/v1/auth/providers"))["data"]}
    if name not in known:
        raise ApiError(f"There is no provider {name!r}; there are: {', '.join(known) or 'none'}.")
    verifier = secrets.token_urlsafe(48)
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    with _Waiting() as waiting:
        asked = urlencode({"redirect": waiting.url, "challenge": challenge})
        say(f"Open in a browser on this machine:\n\n{known[name]}?{asked}\n")
        click.launch(f"{known[name]}?{asked}")
        back = waiting.result()
    if "code" not in back:
        raise ApiError(back.get("error", "Nobody came back from the provider."))
    form = {"code": back["code"], "verifier": verifier}
    return _with_code(lambda code: http.post("/api/v1/auth/oidc/exchange", json={**form, "otp": code}))


class _Waiting:
    """Waits on this machine for a browser to come back."""

    def __init__(self) -> None:
        self._found: dict[str, str] = {}
        found, path = self._found, f"/{secrets.token_urlsafe(16)}"

        class Handler(BaseHTTPRequestHandler):
            timeout = 5  # who connects and says nothing keeps nobody waiting

            def do_GET(self) -> None:
                there = urlsplit(self.path)
                ours = there.path == path
                if ours:
                    found.update({name: values[0] for name, values in parse_qs(there.query).items()})
                self.send_response(200 if ours else 404)
                self.send_header("Content-Type", "text/plain; charset=utf-8")
                self.end_headers()
                self.wfile.write(b"Go back to the command line.\n" if ours else b"Nothing is here.\n")

            def log_message(self, *_: Any) -> None:
                """What the code is goes into no log."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self._server.timeout = 1
        self.url = f"http://127.0.0.1:{self._server.server_port}{path}"

    def result(self) -> dict[str, str]:
        for _ in range(WAIT):
            if self._found:
                break
            self._server.handle_request()
        return self._found

    def __enter__(self) -> _Waiting:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()


def logout(home: str, url: str, everywhere: bool) -> int:
    """End the session, and forget it."""

    def work() -> int:
        there, kept = place(home, url), SignIns(config_folder())
        entry = kept.of(there)
        if entry is None:
            kept = SignIns(Path(home), single=True)
            entry = kept.of(there)
        if entry is None:
            say(f"Nobody is signed in at {there}.")
            return 0
        if entry["kind"] == "key":
            kept.drop(there)
            print(f"The key of {there} is forgotten. It still works: `linkflow key delete` revokes one.")
            return 0
        with Api.kept(home, there, kept) as api:
            try:
                api.post("/api/v1/auth/logout-all" if everywhere else "/api/v1/auth/logout")
            except ApiError as error:
                say(f"note: {error}")
        kept.drop(there)
        print(f"Signed out {'everywhere' if everywhere else f'at {there}'}.")
        return 0

    return guarded(work)


def whoami(home: str, url: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = api.get("/api/v1/user/whoami")
            first = found["workspaces"][0]["id"] if found["workspaces"] else None
            used = api.chosen or first
            if as_json:
                print(json.dumps({"url": api.url, "workspace_id": used, **found}, indent=2))
                return 0
            user = found["user"]
            print(f"{user['email'] if user else 'a key of the workspace'}  at {api.url}")
            if found["kind"] == "key":
                may = ", ".join(found["permissions"] or ["whatever its owner may do"])
                print(f"  by API key {found['key_id']}: {may}")
            for one in found["workspaces"]:
                mark = "*" if one["id"] == used else " "
                print(f"{mark} {one['id']}  {one['role'] or '-':<16} {one['name']}")
        return 0

    return guarded(work)


def workspaces(home: str, url: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            found = api.get("/api/v1/workspaces")["data"]
            if as_json:
                print(json.dumps(found, indent=2))
                return 0
            for one in found:
                mark = "*" if one["id"] == (api.chosen or found[0]["id"]) else " "
                print(f"{mark} {one['id']}  {one['role'] or '-':<16} {one['name']}")
        return 0

    return guarded(work)


def add_workspace(home: str, url: str, name: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            made = api.post("/api/v1/workspaces", {"name": name})["workspace"]
            print(json.dumps(made, indent=2) if as_json else f"{made['id']}  {made['name']}")
        return 0

    return guarded(work)


def use_workspace(home: str, url: str, name: str) -> int:
    """Name or id."""

    def work() -> int:
        with connected(home, url) as api:
            fitting = [one for one in api.get("/api/v1/workspaces")["data"] if name in (one["id"], one["name"])]
            if len(fitting) != 1:
                raise ApiError(
                    f"{'Several workspaces are' if fitting else 'No workspace of yours is'} called {name!r}."
                )
            api.use(fitting[0]["id"])
            print(f"{fitting[0]['id']}  {fitting[0]['name']}")
        return 0

    return guarded(work)


def _auth(entry: Entry) -> dict[str, str]:
    return {"Authorization": f"Bearer {entry.get('key') or entry['access_token']}"}


def _secret(what: str) -> str:
    """Asked for without showing it, or a line of the input."""
    if sys.stdin.isatty():
        return str(click.prompt(what, hide_input=True, err=True))
    return sys.stdin.readline().strip()

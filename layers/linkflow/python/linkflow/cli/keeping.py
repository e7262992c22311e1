"""Who somebody is at each installation: sessions and API keys in a file that nobody else can read.

One file is in the user's config folder, by address (`linkflow login`); one is in the home of a local installation, for
its first user. A refresh token is good for one use, so whoever trades it holds the file's lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import stat
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import httpx

from linkflow.local.home import locked, recall, remember

FILE = "sign-ins.json"
EARLY = 20
"""Seconds before its end an access token is traded for another one."""

Entry = dict[str, Any]
NOBODY = httpx.Auth()


def config_folder() -> Path:
    """``$LINKFLOW_CONFIG``, or ``linkflow`` where the system keeps settings."""
    if given := os.environ.get("LINKFLOW_CONFIG"):
        return Path(given)
    base = os.environ.get("XDG_CONFIG_HOME") or os.environ.get("APPDATA") or Path.home() / ".config"
    return Path(base) / "linkflow"


class SignIns:
    """Sign-ins by address of the installation. `single`: one is kept, for the same one may come up elsewhere."""

    def __init__(self, folder: Path, *, single: bool = False) -> None:
        self._path = folder / FILE
        self._single = single

    @property
    def latest(self) -> str:
        """Where somebody signed in last."""
        return str(self._read().get("latest", ""))

    def of(self, url: str) -> Entry | None:
        found = self._read().get("at", {}).get(url)
        return found if isinstance(found, dict) else None

    def urls(self) -> list[str]:
        return sorted(self._read().get("at", {}))

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Nobody else changes the file meanwhile."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with locked(self._path.with_suffix(".lock")):
            yield

    def put(self, url: str, entry: Entry) -> None:
        with self.held():
            self.write(url, entry)

    def drop(self, url: str) -> None:
        with self.held():
            self.write(url, None)

    def write(self, url: str, entry: Entry | None) -> None:
        """For whoever holds the lock."""
        whole = self._read()
        at = {} if self._single else dict(whole.get("at", {}))
        if entry is None:
            at.pop(url, None)
        else:
            at[url] = entry
        latest = url if entry is not None else whole.get("latest", "")
        remember(self._path, json.dumps({"latest": latest if latest in at else "", "at": at}, indent=2))

    def _read(self) -> dict[str, Any]:
        text = recall(self._path)
        if not text:
            return {}
        if os.name == "posix" and stat.S_IMODE(self._path.stat().st_mode) & 0o077:
            self._path.chmod(0o600)  # somebody has copied it about
        try:
            found = json.loads(text)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}


def session_entry(session: dict[str, Any], workspace: str = "") -> Entry:
    """What is kept of an answer to signing in."""
    return {
        "kind": "session", "email": session["user"]["email"], "access_token": session["access_token"],
        "refresh_token": session["refresh_token"], "expires_at": int(time.time()) + session["expires_in"],
        "workspace": workspace,
    }  # fmt: skip


class Bearer(httpx.Auth):
    """Puts the token on each call, and trades it for another when it is over. `again` signs in anew where the session
    is over as well, if that goes without asking anybody."""

    def __init__(
        self, http: httpx.Client, kept: SignIns, url: str, again: Callable[[], Entry | None] = lambda: None
    ) -> None:
        self._http = http
        self._kept = kept
        self._url = url
        self._again = again

    def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        used = self._token()
        request.headers["Authorization"] = f"Bearer {used}"
        answer = yield request
        if answer.status_code == 401 and (fresh := self._renewed(used)):
            request.headers["Authorization"] = f"Bearer {fresh}"
            yield request

    def _token(self) -> str:
        entry = self._kept.of(self._url) or {}
        if entry.get("kind") == "key":
            return str(entry["key"])
        token = str(entry.get("access_token", ""))
        return token if entry.get("expires_at", 0) > time.time() + EARLY else self._renewed(token)

    def _renewed(self, used: str) -> str:
        """Another access token; nothing where the session is over."""
        with self._kept.held():
            entry = self._kept.of(self._url) or {}
            if entry.get("kind") == "key":
                return ""
            token = str(entry.get("access_token", ""))
            if token != used:  # another command was first
                return token
            made = self._traded(entry) or self._again()
            self._kept.write(self._url, made)
            return str(made["access_token"]) if made else ""

    def _traded(self, entry: Entry) -> Entry | None:
        if not entry.get("refresh_token"):
            return None
        body = {"refresh_token": entry["refresh_token"]}
        answer = self._http.post("/api/v1/auth/refresh", json=body, auth=NOBODY)
        if answer.status_code in (401, 422):
            return None
        answer.raise_for_status()
        return session_entry(answer.json(), entry.get("workspace", ""))

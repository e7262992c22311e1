"""The API as the command line uses it: who we are is kept in the home, 0600."""

from __future__ import annotations

import base64
import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx


class ApiError(Exception):
    """The API refused; the message is what it said."""


class Account:
    """The first user of a local installation, in ``account.json``."""

    def __init__(self, home: Path) -> None:
        self._path = home / "account.json"
        found: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.url = found.get("url", "")
        self.email = found.get("email", "owner@linkflow.local.example.com")
        self.password = found.get("password") or f"Lf1-{secrets.token_urlsafe(18)}"
        self.workspace = found.get("workspace", "")
        self.token = found.get("token", "")

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = {
            "url": self.url, "email": self.email, "password": self.password, "workspace": self.workspace,
            "token": self.token,
        }  # fmt: skip
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file, indent=2)


class Api:
    """A signed-in client. Raises `ApiError` with what a problem document says."""

    def __init__(self, home: str | Path, url: str = "") -> None:
        self.account = Account(Path(home))
        self.url = (url or self.account.url or "http://127.0.0.1:8080").rstrip("/")
        self._http = httpx.Client(base_url=self.url, timeout=40.0, trust_env=False)

    def alive(self) -> bool:
        try:
            return self._http.get("/health/live", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def sign_in(self) -> None:
        """Sign in; a new installation gets its first user and workspace. A session that is still good is used again:
        sign-ins are few a minute."""
        who = self.account
        if who.token and who.workspace and who.url == self.url and self._still(who.token):
            return
        self._http.headers.pop("Authorization", None)
        answer = self._http.post("/api/v1/auth/login", json={"email": who.email, "password": who.password})
        if answer.status_code == 401:
            answer = self._http.post(
                "/api/v1/auth/register",
                json={
                    "first_name": "First", "last_name": "User", "email": who.email, "password": who.password,
                    "password_confirmation": who.password,
                },
            )  # fmt: skip
            who.workspace = ""
        session = _checked(answer)
        who.token = session["access_token"]
        self._http.headers["Authorization"] = f"Bearer {who.token}"
        spaces = self.get("/api/v1/workspaces")["data"]
        if who.workspace not in {space["id"] for space in spaces}:
            who.workspace = spaces[0]["id"]
        who.url = self.url
        who.save()

    def _still(self, token: str) -> bool:
        """Is this access token of a session good for a minute or more, and our workspace there?"""
        claims = token.split(".")[1]
        until = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["exp"]
        if until < time.time() + 60:
            return False
        self._http.headers["Authorization"] = f"Bearer {token}"
        return self._http.get(self.base).status_code == 200

    @property
    def base(self) -> str:
        return f"/api/v1/workspaces/{self.account.workspace}"

    def get(self, path: str, **params: Any) -> Any:
        return _checked(self._http.get(path, params={k: v for k, v in params.items() if v not in ("", None)}))

    def ask(self, path: str, query: Sequence[tuple[str, str]]) -> Any:
        """Like `get`, where a parameter may come several times."""
        return _checked(self._http.get(path, params=httpx.QueryParams(list(query))))

    def lines(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
        """The lines of a streamed answer. Raises `ApiError` where it breaks off."""
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    _checked(answer)
                yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise ApiError(f"The answer broke off: {error}") from error

    def post(self, path: str, body: Any = None) -> Any:
        return _checked(self._http.post(path, json={} if body is None else body))

    def put(self, path: str, body: Any) -> Any:
        return _checked(self._http.put(path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        return _checked(self._http.patch(path, json=body))

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that may say no with 422 and be no problem document."""
        answer = self._http.request(method, path, json={} if body is None else body)
        is_problem = "problem" in answer.headers.get("content-type", "")
        return answer.json() if answer.status_code == 422 and not is_problem else _checked(answer)

    def delete(self, path: str) -> Any:
        return _checked(self._http.delete(path))

    def workflows(self) -> Iterator[dict[str, Any]]:
        """All of the workspace, newest first."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.get(f"{self.base}/workflows", per_page=100, cursor=cursor)
            yield from page["data"]
            cursor = page["meta"]["next_cursor"]

    def save_workflow(self, document: Any) -> Any:
        """Create a workflow, or make a new version of the one that has its name."""
        name = document.get("name") if isinstance(document, dict) else None
        for found in self.workflows():
            if found["name"] == name:
                return self.put(f"{self.base}/workflows/{found['id']}", document)["workflow"]
        return self.post(f"{self.base}/workflows", document)["workflow"]

    def follow(self, execution_id: str) -> Iterator[list[dict[str, Any]]]:
        """Batches of events as they happen, until the run has closed."""
        after = 0
        while True:
            page = self.get(f"{self.base}/executions/{execution_id}/history", after=after, wait=10)
            events = page["data"]
            if events:
                after = events[-1]["event_id"]
                yield events
                if events[-1]["type"] in CLOSING:
                    return
            else:
                time.sleep(0.1)

    def watch(self, execution_id: str) -> Iterator[list[dict[str, Any]]]:
        """Like `follow`, with what nodes say meanwhile: in a batch of its own, of the type ``words``."""
        place = ""
        while True:
            kind = ""
            path = f"{self.base}/executions/{execution_id}/stream?words=true"
            for line in self.lines(path, {"Last-Event-ID": place} if place else {}):
                name, _, value = line.partition(": ")
                if name == "id":
                    place = value
                elif name == "event":
                    kind = value
                elif name == "data" and kind == "end":
                    return
                elif name == "data":
                    yield [{**json.loads(value), "type": kind}]
            time.sleep(0.1)

    def close(self) -> None:
        self._http.close()


CLOSING = (
    "ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled", "ExecutionTerminated",
)  # fmt: skip


def _checked(answer: httpx.Response) -> Any:
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        raise ApiError(f"HTTP {answer.status_code}") from None
    lines = [problem.get("detail") or problem.get("title") or f"HTTP {answer.status_code}"]
    faults = sorted(problem.get("errors", []), key=lambda item: item.get("severity") == "warning")
    if [item.get("detail") for item in faults] != lines:  # else all is said
        lines += [_told(item) for item in faults]
    raise ApiError("\n".join(lines))


def _told(fault: dict[str, Any]) -> str:
    mark = "warning: " if fault.get("severity") == "warning" else ""
    return f"  {mark}{fault.get('pointer', '')}: {fault.get('detail', '')}"


def say(text: str) -> None:
    """A line for people, on stderr, so that stdout stays for results."""
    print(text, file=sys.stderr, flush=True)

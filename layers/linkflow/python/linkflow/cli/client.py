"""The API as the command line uses it. Who we are is kept, 0600: see `keeping`."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from linkflow import __version__

from .keeping import NOBODY, Bearer, Entry, SignIns, config_folder, session_entry

LOCAL = "http://127.0.0.1:8080"


class ApiError(Exception):
    """The API refused; the message is what it said."""


class Account:
    """The first user of a local installation, in ``account.json``."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self._path = home / "account.json"
        found: dict[str, str] = json.loads(self._path.read_text()) if self._path.exists() else {}
        self.url = found.get("url", "")
        self.email = found.get("email", "owner@linkflow.local.example.com")
        self.password = found.get("password") or f"Lf1-{secrets.token_urlsafe(18)}"
        self.workspace = found.get("workspace", "")

    def save(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = {"url": self.url, "email": self.email, "password": self.password, "workspace": self.workspace}
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(data, file, indent=2)


def place(home: str | Path, url: str = "") -> str:
    """Which installation is meant: the one that is named, else the home's, else the one that somebody has signed in to
    last."""
    found = url or Account(Path(home)).url or SignIns(config_folder()).latest or LOCAL
    return found.rstrip("/")


def client(url: str) -> httpx.Client:
    """One that nobody has signed in with yet."""
    named = {"User-Agent": f"linkflow-cli/{__version__}"}
    return httpx.Client(base_url=url, timeout=40.0, trust_env=False, headers=named)


class Api:
    """A signed-in client. Raises `ApiError` with what a problem document says."""

    def __init__(self, home: str | Path, url: str = "") -> None:
        self.account = Account(Path(home))
        self.url = place(home, url)
        self._http = client(self.url)
        self.chosen = ""
        """The workspace's id, where it is known."""

    def alive(self) -> bool:
        try:
            return self._http.get("/health/live", timeout=2.0).status_code == 200
        except httpx.HTTPError:
            return False

    def sign_in(self) -> None:
        """By ``LINKFLOW_API_KEY``; as `linkflow login` did; or, on this machine, as the first user of the home, who is
        made where there is none. No call is made for it while a session is kept."""
        mine = SignIns(config_folder())
        if key := os.environ.get("LINKFLOW_API_KEY"):
            self._http.headers["Authorization"] = f"Bearer {key}"
            entry = mine.of(self.url) or {}
        elif kept := mine.of(self.url):
            self._http.auth, entry = Bearer(self._http, mine, self.url), kept
        else:
            self._as_first_user()
            return
        self.chosen = os.environ.get("LINKFLOW_WORKSPACE") or entry.get("workspace", "")

    @classmethod
    def kept(cls, home: str | Path, url: str, sign_ins: SignIns) -> Api:
        """By what is kept there, and by nothing else."""
        made = cls(home, url)
        made._http.auth = Bearer(made._http, sign_ins, url)
        return made

    def use(self, workspace: str) -> None:
        """This workspace from now on."""
        self.chosen = workspace
        mine = SignIns(config_folder())
        if entry := mine.of(self.url):
            mine.put(self.url, {**entry, "workspace": workspace})
        else:
            self.account.workspace = workspace
            self.account.save()

    def _as_first_user(self) -> None:
        if not is_local(self.url):
            raise ApiError(f"You are not signed in at {self.url}: linkflow login --url {self.url}")
        who, kept = self.account, SignIns(self.account.home, single=True)
        self._http.auth = Bearer(self._http, kept, self.url, self._enter)
        if kept.of(self.url) is None:
            with kept.held():
                if kept.of(self.url) is None:
                    kept.write(self.url, self._enter())
        if who.url != self.url:
            who.url = self.url
            who.save()
        self.chosen = os.environ.get("LINKFLOW_WORKSPACE") or who.workspace

    def _enter(self) -> Entry:
        """Sign in by the password of the home; a new installation gets its first user and workspace."""
        who = self.account
        form = {"email": who.email, "password": who.password}
        answer = self._http.post("/api/v1/auth/login", json=form, auth=NOBODY)
        if answer.status_code == 401:
            form |= {"first_name": "First", "last_name": "User", "password_confirmation": who.password}
            answer = self._http.post("/api/v1/auth/register", json=form, auth=NOBODY)
            who.workspace = ""
        session = checked(answer)
        if "verification" in session:
            raise ApiError(f"A mail to {who.email} has a link: follow it, then try again.")
        auth = {"Authorization": f"Bearer {session['access_token']}"}
        spaces = checked(self._http.get("/api/v1/workspaces", headers=auth, auth=NOBODY))["data"]
        if who.workspace not in {space["id"] for space in spaces}:
            who.workspace = spaces[0]["id"]
        self.chosen, who.url = who.workspace, self.url
        who.save()
        return session_entry(session, who.workspace)

    @property
    def workspace(self) -> str:
        """The id of the one that commands are about: the first, where none was chosen. Raises `ApiError` for none."""
        if not self.chosen:
            spaces = self.get("/api/v1/workspaces")["data"]
            if not spaces:
                raise ApiError("You are in no workspace. `linkflow workspace add NAME` makes one.")
            self.chosen = str(spaces[0]["id"])
        return self.chosen

    @property
    def base(self) -> str:
        return f"/api/v1/workspaces/{self.workspace}"

    def get(self, path: str, **params: Any) -> Any:
        given = {name: value for name, value in params.items() if value not in ("", None)}
        # An empty mapping would take away the query that the path has.
        return checked(self._http.get(path, params=given or None))

    def ask(self, path: str, query: Sequence[tuple[str, str]]) -> Any:
        """Like `get`, where a parameter may come several times."""
        return checked(self._http.get(path, params=httpx.QueryParams(list(query))))

    def content(self, path: str) -> bytes:
        """An answer that is no JSON. Raises `ApiError`."""
        answer = self._http.get(path)
        if not answer.is_success:
            checked(answer)
        return answer.content

    def lines(self, path: str, headers: Mapping[str, str] | None = None) -> Iterator[str]:
        """The lines of a streamed answer. Raises `ApiError` where it breaks off."""
        try:
            with self._http.stream("GET", path, headers=headers) as answer:
                if not answer.is_success:
                    answer.read()
                    checked(answer)
                yield from answer.iter_lines()
        except httpx.HTTPError as error:
            raise ApiError(f"The answer broke off: {error}") from error

    def post(self, path: str, body: Any = None) -> Any:
        return checked(self._http.post(path, json={} if body is None else body))

    def put(self, path: str, body: Any) -> Any:
        return checked(self._http.put(path, json=body))

    def patch(self, path: str, body: Any) -> Any:
        return checked(self._http.patch(path, json=body))

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The body of an answer that may say no with 422 and be no problem document."""
        answer = self._http.request(method, path, json={} if body is None else body)
        is_problem = "problem" in answer.headers.get("content-type", "")
        return answer.json() if answer.status_code == 422 and not is_problem else checked(answer)

    def upload(self, path: str, content: bytes) -> Any:
        """Send a file: JSON or zip."""
        kind = "application/zip" if content[:2] == b"PK" else "application/json"
        return checked(self._http.post(path, content=content, headers={"Content-Type": kind}))

    def download(self, path: str, body: Any) -> bytes:
        """The file that an answer is."""
        answer = self._http.post(path, json=body)
        checked(answer) if "json" in answer.headers.get("content-type", "") else answer.raise_for_status()
        return answer.content

    def delete(self, path: str) -> Any:
        return checked(self._http.delete(path))

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

    def __enter__(self) -> Api:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


CLOSING = (
    "ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled", "ExecutionTerminated",
)  # fmt: skip


def is_local(url: str) -> bool:
    """Is it on this machine?"""
    host = httpx.URL(url).host
    return host in ("localhost", "::1") or host.startswith("127.")


def checked(answer: httpx.Response) -> Any:
    """What an answer says. Raises `ApiError` where it is no success."""
    if answer.is_success:
        return answer.json() if answer.content else None
    try:
        problem = answer.json()
    except ValueError:
        raise ApiError(f"HTTP {answer.status_code}") from None
    if answer.status_code == 401:
        problem["detail"] = f"{problem.get('detail', '')} (`linkflow login` signs in.)".strip()
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

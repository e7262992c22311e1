"""Somebody who uses the product over its HTTP API, as the console and the command line do."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

CLOSED = ("completed", "failed", "cancelled", "timed_out", "terminated")
CLOSING = (
    "ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled", "ExecutionTerminated",
)  # fmt: skip
Json = dict[str, Any]


class Person:
    """A registered user with a workspace. Every call fails the test with the problem document if it is refused.

    `patience` is how many seconds an API that does not answer (because it was killed a moment ago) is asked again;
    starts carry an Idempotency-Key, so asking again is safe.
    """

    def __init__(self, url: str, patience: float = 0.0, headers: dict[str, str] | None = None) -> None:
        self.url = url
        self.patience = patience
        self.http = httpx.Client(base_url=url, timeout=40.0, trust_env=False, headers=headers)
        self.email = f"{secrets.token_hex(6)}@example.com"
        password = f"Aa1-{secrets.token_urlsafe(12)}"
        names = {"first_name": "Test", "last_name": "Person"}
        form = {**names, "email": self.email, "password": password, "password_confirmation": password}
        session = self.post("/api/v1/auth/register", form)
        self.http.headers["Authorization"] = f"Bearer {session['access_token']}"
        made = self.post("/api/v1/workspaces", {"name": f"Workspace of {self.email}"})
        self.workspace = made["workspace"]["id"]
        self.base = f"/api/v1/workspaces/{self.workspace}"

    def close(self) -> None:
        self.http.close()

    # HTTP

    def send(self, method: str, path: str, **how: Any) -> httpx.Response:
        until = time.monotonic() + self.patience
        while True:
            try:
                answer = self.http.request(method, path, **how)
                if not _passing(answer) or time.monotonic() > until:
                    return answer
            except httpx.HTTPError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.1)

    def get(self, path: str, **params: Any) -> Any:
        return _checked(self.send("GET", path, params=params))

    def post(self, path: str, body: Any = None, **headers: str) -> Any:
        return _checked(self.send("POST", path, json={} if body is None else body, headers=headers))

    # Workflows

    def save(self, document: Json) -> Json:
        """Import a workflow."""
        found: Json = self.post(f"{self.base}/workflows", document)["workflow"]
        return found

    def activate(self, workflow_id: str, active: bool = True) -> Json:
        found: Json = self.post(f"{self.base}/workflows/{workflow_id}/{'' if active else 'de'}activate")["workflow"]
        return found

    def hook(self, document: Json) -> str:
        """Import, switch on, and give the webhook's address."""
        active = self.activate(self.save(document)["id"])
        return next(str(t["url"]) for t in active["triggers"] if t["type"] == "webhook")

    def knock(self, url: str, body: Any = None, **headers: str) -> httpx.Response:
        """Call a webhook as a stranger. A key makes a repeated knock harmless."""
        key = {"Idempotency-Key": secrets.token_hex(8)} if self.patience else {}
        return self.send(
            "POST", url, json={} if body is None else body, headers={**key, "Authorization": "", **headers}
        )

    def start(self, workflow_id: str, data: Any = None, **body: Any) -> str:
        """Start a run by hand; its id."""
        key = {"Idempotency-Key": secrets.token_hex(8)}
        found = self.post(f"{self.base}/workflows/{workflow_id}/execute", {"input": data or {}, **body}, **key)
        return str(found["execution"]["id"])

    def run(self, document: Json, data: Any = None, timeout: float = 30.0) -> Run:
        """Import a workflow, run it by hand, and wait for its end."""
        return self.end(self.start(self.save(document)["id"], data), timeout)

    # Runs

    def follow(self, execution: str, until: Callable[[list[Json]], bool], timeout: float = 30.0) -> list[Json]:
        """A run's events, read as they happen until `until` is satisfied with those so far."""
        events: list[Json] = []
        deadline = time.monotonic() + timeout
        while not until(events):
            left = deadline - time.monotonic()
            assert left > 0, f"{execution} got no further in {timeout:g} s than {_short(events)}"
            after = events[-1]["event_id"] if events else 0
            page = self.get(f"{self.base}/executions/{execution}/history", after=after, wait=min(5.0, left), limit=1000)
            events += page["data"]
        return events

    def wait_event(self, execution: str, type: str, node: str = "", timeout: float = 30.0) -> list[Json]:
        """Until there is an event of this type (for this node)."""

        def there(events: list[Json]) -> bool:
            return any(e["type"] == type and (not node or e["attributes"]["node"] == node) for e in events)

        return self.follow(execution, there, timeout)

    def end(self, execution: str, timeout: float = 30.0) -> Run:
        """Wait for the end of a run; what the API says of it then."""
        events = self.follow(execution, lambda found: bool(found) and found[-1]["type"] in CLOSING, timeout)
        shown = self.get(f"{self.base}/executions/{execution}")["execution"]
        rows = self.get(f"{self.base}/executions/{execution}/nodes", inline=1_048_576)["data"]
        return Run(shown, events, {row["key"]: row for row in rows})


class Run:
    """A closed run: `shown` as the API has it, its events, its node runs by key."""

    def __init__(self, shown: Json, events: list[Json], nodes: dict[str, Json]) -> None:
        self.shown, self.events, self.nodes = shown, events, nodes
        self.id: str = shown["id"]
        self.status: str = shown["status"]
        self.result: Any = shown["result"]
        self.error: Any = shown["error"]

    def statuses(self) -> dict[str, str]:
        return {key: row["status"] for key, row in self.nodes.items()}

    def of(self, type: str, node: str = "") -> list[Json]:
        """Events of a type."""
        return [e for e in self.events if e["type"] == type and (not node or e["attributes"].get("node") == node)]

    def check(self, status: str = "completed") -> Run:
        """Fails unless it ended so, and its event ids are 1, 2, 3 …"""
        assert self.status == status, f"{self.status}: {self.error} after {_short(self.events)}"
        assert [e["event_id"] for e in self.events] == list(range(1, len(self.events) + 1))
        return self


def _passing(answer: httpx.Response) -> bool:
    """May the same call succeed in a moment? So a repeated one may that finds its first try under way."""
    return answer.status_code in (500, 502, 503, 504) or (answer.status_code == 409 and "under way" in answer.text)


def _checked(answer: httpx.Response) -> Any:
    assert answer.is_success, f"{answer.request.method} {answer.request.url}: {answer.status_code} {answer.text}"
    return answer.json() if answer.content else None


def _short(events: list[Json]) -> list[str]:
    return [f"{e['type']} {e['attributes'].get('node', '')}".strip() for e in events]

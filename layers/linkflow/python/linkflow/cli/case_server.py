"""Running test cases on a server, over its API."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any

from linkflow.domain.cases.facts import Facts, facts_of
from linkflow.domain.cases.model import Case

from .client import CLOSING, Api, ApiError
from .work import connected


class Server:
    """A server that runs cases. A workflow that a test brings along is there for as long as its test takes."""

    def __init__(self, home: str, url: str, timeout: float) -> None:
        self._connection = connected(home, url)
        self._timeout = timeout
        self._api: Api | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Server:
        self._api = self._connection.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.__exit__(kind, error, at)

    @property
    def api(self) -> Api:
        if self._api is None:
            raise ApiError("Not connected.")
        return self._api

    def run(self, case: Case, document: dict[str, Any] | None) -> Facts:
        """Run a case and wait for its end. Raises `ApiError`."""
        api, made = self.api, ""
        id = case.source.id
        if not id:
            body = dict(document or {})
            inner = body.get("workflow", body) if "nodes" not in body else body
            inner = {**inner, "name": f"Test: {case.name}"[:255]}
            made = id = str(api.post(f"{api.base}/workflows", inner)["workflow"]["id"])
        try:
            return self._run(id, case)
        finally:
            if made:
                api.delete(f"{api.base}/workflows/{made}")

    def _run(self, workflow_id: str, case: Case) -> Facts:
        ask = {
            "input": case.input, "trigger_node": case.trigger, "version": case.source.version, "mocks": case.raw_mocks,
            "up_to": case.up_to, "skip_delays": True, "unmocked": "fail", "allow": list(case.allow),
        }  # fmt: skip
        path = f"{self.api.base}/workflows/{workflow_id}/test?wait=5"
        run = self.api.post(path, ask)["execution"]
        return facts_of(self._events(str(run["id"])))

    def _events(self, execution_id: str) -> list[dict[str, Any]]:
        """All events, flat, as soon as the run has ended; of one that does not end in time, those so far."""
        api, path = self.api, f"{self.api.base}/executions/{execution_id}/history"
        events: list[dict[str, Any]] = []
        until = time.monotonic() + self._timeout
        while True:
            left = until - time.monotonic()
            after = events[-1]["event_id"] if events else 0
            page = api.get(path, after=after, limit=1000, wait=max(0.0, min(5.0, left)))
            events += [{**one, **one["attributes"]} for one in page["data"]]
            if (events and events[-1]["type"] in CLOSING) or left <= 0:
                break
        if not events or events[-1]["type"] not in CLOSING:
            api.post(f"{api.base}/executions/{execution_id}/terminate", {"reason": "The test took too long."})
        filled: list[dict[str, Any]] = self._filled(events)
        return filled

    def _filled(self, value: Any) -> Any:
        """With payloads that were too large to come along."""
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if not isinstance(value, dict):
            return value
        if list(value) == ["$blob"]:
            return self._filled(self.api.get(value["$blob"]["href"]))
        return {name: self._filled(one) for name, one in value.items()}

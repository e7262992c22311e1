"""The client that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self

import httpx

from .calls import UNSET, WORKSPACE, Answer, Call, pause_after, pause_after_error, read
from .errors import NoAnswer, RunFailed, StillRunning, Unauthenticated
from .generated.blocking import Parts

CLOSING = frozenset(
    {"ExecutionCompleted", "ExecutionFailed", "ExecutionTimedOut", "ExecutionCancelled", "ExecutionTerminated"}
)
"""Types of the last event of a run."""
WAIT = 20
"""Seconds of one long poll."""


class LinkFlow(Parts):
    """The API of one LinkFlow, as somebody: with an API key (`key`), or an e-mail address and a password.

    `workspace` is an id; left out it is the first of the caller's. Calls that may be sent twice without harm are tried
    again, `retries` times, after a broken connection, 429, 502, 503 and 504; each POST has an Idempotency-Key of its
    own, so that is nearly all of them. Raises `ApiError` for what the API refuses, `NoAnswer` where there is none.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8080", *, key: str = "", email: str = "", password: str = "",
        workspace: str = "", timeout: float = 40.0, retries: int = 4, transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        super().__init__(self.call)
        self._http = httpx.Client(base_url=url.rstrip("/"), timeout=timeout, transport=transport)
        self._key, self._email, self._password = key, email, password
        self._token = key
        self._workspace = workspace
        self._retries = retries
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of its connections."""
        self._http.close()

    @property
    def workspace(self) -> str:
        """The id of the workspace that calls are about."""
        if not self._workspace:
            found = self.request("GET", "/api/v1/workspaces").data["data"]
            if not found:
                raise LookupError("The caller is in no workspace.")
            self._workspace = found[0]["id"]
        return self._workspace

    def request(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = UNSET,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Any call, with status and headers (`Answer.etag`) of its answer."""
        call = Call(method, tuple(path.strip("/").split("/")), query or {}, body, headers or {}, method == "POST")
        return self._answer(call)

    def call(self, call: Call) -> Any:
        """The body of an answer."""
        return self._answer(call).data

    def run(
        self, workflow_id: str, input: Mapping[str, Any] | None = None, *, timeout: float = 300.0, **more: Any
    ) -> Any:
        """Run a workflow and give its result. Raises `RunFailed`, and `StillRunning` after `timeout` seconds."""
        started = self.workflows.execute(workflow_id, input=dict(input or {}), **more)
        return self.wait(str(started["execution"]["id"]), timeout=timeout).get("result")

    def wait(self, execution_id: str, *, timeout: float = 300.0) -> Mapping[str, Any]:
        """The run, when it has completed. Raises `RunFailed`, and `StillRunning` after `timeout` seconds."""
        for _ in self.follow(execution_id, timeout=timeout):
            pass
        run: Mapping[str, Any] = self.executions.show(execution_id)["execution"]
        if run["status"] != "completed":
            raise RunFailed(run)
        return run

    def follow(self, execution_id: str, *, after: int = 0, timeout: float = 300.0) -> Iterator[Mapping[str, Any]]:
        """Its events as they happen, until it has closed. Raises `StillRunning` after `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            left = until - time.monotonic()
            wait = max(0.0, min(WAIT, left))
            for event in self.executions.history(execution_id, after=after, wait=wait)["data"]:
                after = int(event["event_id"] or 0)
                yield event
                if event["type"] in CLOSING:
                    return
            if left <= 0:
                raise StillRunning(execution_id)

    def _answer(self, call: Call) -> Answer:
        call = call.prepared(self.workspace if WORKSPACE in call.parts else "")
        is_sign_in = call.parts[:3] == ("api", "v1", "auth")
        if not self._token and self._email and not is_sign_in:
            self._sign_in()
        try:
            return self._tried(call)
        except Unauthenticated:
            if self._key or not self._email or is_sign_in:
                raise
            self._sign_in()  # the token was old
            return self._tried(call)

    def _tried(self, call: Call) -> Answer:
        tried = 0
        while True:
            error: httpx.TransportError | None = None
            try:
                response = self._http.send(call.request(self._http, self._token))
                wait = pause_after(call, response, tried)
            except httpx.TransportError as caught:
                error, wait = caught, pause_after_error(call, caught, tried)
            if wait is None or tried >= self._retries:
                if error is not None:
                    raise NoAnswer(f"{call.method} {self._http.base_url}: {error}") from error
                return read(response)
            tried += 1
            self._sleep(wait)

    def _sign_in(self) -> None:
        form = {"email": self._email, "password": self._password}
        self._token = ""
        found = self._tried(Call("POST", ("api", "v1", "auth", "login"), body=form)).data
        self._token = str(found["access_token"])


__all__ = ["LinkFlow"]

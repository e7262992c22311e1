"""What the API refuses, as exceptions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


class ClientError(Exception):
    """Base of all that this package raises."""


class NoAnswer(ClientError):
    """No answer came, also after trying again."""


class RunFailed(ClientError):
    """A run that was waited for ended in another way than completed. `execution` is what the API shows of it."""

    def __init__(self, execution: Mapping[str, Any]) -> None:
        error = execution.get("error") or {}
        said = f": {error.get('message')}" if isinstance(error, Mapping) and error.get("message") else ""
        super().__init__(f"The run {execution.get('id')} is {execution.get('status')}{said}")
        self.execution = execution
        self.status = str(execution.get("status"))


class StillRunning(ClientError):
    """A run that was waited for goes on."""

    def __init__(self, execution_id: str) -> None:
        super().__init__(f"The run {execution_id} goes on.")
        self.execution_id = execution_id


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong in a request: where (a JSON pointer), a stable code, and what to do."""

    pointer: str
    code: str
    detail: str


class ApiError(ClientError):
    """The API said no: its problem document (RFC 9457). `code` is stable, `faults` has every fault at once."""

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.code = str(problem.get("code") or "")
        self.detail = str(problem.get("detail") or problem.get("title") or f"HTTP {status}")
        self.request_id = str(problem.get("request_id") or "")
        self.retry_after = retry_after
        self.problem = problem
        self.faults = tuple(_faults(problem.get("errors")))
        lines = [f"{self.detail} ({status} {self.code})" if self.code else self.detail]
        super().__init__("\n".join([*lines, *(f"  {one.pointer}: {one.detail}" for one in self.faults)]))


class Unauthenticated(ApiError):
    """401: no token, or one that is not good (any more)."""


class Forbidden(ApiError):
    """403: the role may not."""


class NotFound(ApiError):
    """404: there is no such thing, or it is another workspace's."""


class Conflict(ApiError):
    """409: it clashes with what is there."""


class PreconditionFailed(ApiError):
    """412: it was changed meanwhile."""


class InvalidInput(ApiError):
    """400, 413, 415, 422: the request is wrong."""


class Locked(ApiError):
    """423: it is locked against change."""


class RateLimited(ApiError):
    """429: too many calls, also after waiting; `retry_after` is seconds."""


class ServerError(ApiError):
    """5xx: it is not the caller's fault."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidInput, 401: Unauthenticated, 403: Forbidden, 404: NotFound, 409: Conflict, 412: PreconditionFailed,
    413: InvalidInput, 415: InvalidInput, 422: InvalidInput, 423: Locked, 429: RateLimited,
}  # fmt: skip


def error_of(status: int, problem: Any, retry_after: float | None) -> ApiError:
    """The exception for an answer that is no success."""
    made = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    return made(status, problem if isinstance(problem, Mapping) else {}, retry_after)


def _faults(found: Any) -> list[Fault]:
    given = found if isinstance(found, Sequence) and not isinstance(found, str) else ()
    return [
        Fault(str(one.get("pointer", "")), str(one.get("code", "")), str(one.get("detail", "")))
        for one in given
        if isinstance(one, Mapping)
    ]

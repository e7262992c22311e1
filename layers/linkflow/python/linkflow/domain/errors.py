"""The one error tree.

Every error that crosses a seam is one of these. `code` is stable and machine-readable, `message` is for people and says
what to do, `retryable` says whether the same call may succeed later. HTTP status codes belong to `linkflow.http`, gRPC
ones to `linkflow.transports`; neither appears here.

    LinkFlowError
     ├── InvalidInput          the request is wrong; `problems` lists every fault at once
     │    ├── InvalidDefinition
     │    └── PolicyViolation  the workspace's policy forbids it; `violations`
     ├── Unauthenticated       who are you?
     ├── Forbidden             you may not
     ├── NotFound              there is no such thing (also: it is another tenant's)
     ├── Conflict              it clashes with what is there
     │    ├── VersionConflict  the fence: somebody else wrote first
     │    ├── Locked           it is locked against change
     │    └── NoSlot           a workflow's concurrency limit; `key`, `limit`
     ├── LimitExceeded         a limit of the product
     │    ├── RateLimited      too many calls; `retry_after` seconds
     │    │    ├── TooManyStarts  a workflow's own rate limit; `key`, `limit`, `retry_after`
     │    │    └── QueueFull   too much waits in a task queue; `queues`, `retry_after`
     │    └── PayloadTooLarge
     ├── Unavailable           a part does not answer now (retryable)
     │    └── DeadlineExceeded
     ├── CannotStart           a local server cannot be started
     └── Internal              our fault
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from msgspec import Struct


class Problem(Struct, frozen=True, omit_defaults=True):
    """One fault in an input: where (a JSON Pointer such as ``/nodes/2/config/url``), a stable code, and what to do."""

    path: str
    code: str
    message: str
    severity: str = "error"  # error | warning


class LinkFlowError(Exception):
    """Base of every error LinkFlow raises on purpose."""

    code: ClassVar[str] = "error"
    retryable: ClassVar[bool] = False

    def __init__(
        self, message: str, *, problems: Iterable[Problem] = (), details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.problems = tuple(problems)
        self.details: dict[str, Any] = details or {}

    def to_data(self) -> ErrorData:
        """The error as data, for a wire."""
        return ErrorData(code=self.code, message=self.message, problems=self.problems, details=self.details)


class ErrorData(Struct, frozen=True, omit_defaults=True):
    """How an error crosses a process: `raise_error` turns it back into the class with that code."""

    code: str
    message: str
    problems: tuple[Problem, ...] = ()
    details: dict[str, Any] = {}


class InvalidInput(LinkFlowError):
    code = "invalid_input"


class InvalidDefinition(InvalidInput):
    code = "invalid_definition"


class PolicyViolation(InvalidInput):
    """What the workspace's policy forbids: `details` have ``violations``, as the problems, with pointers."""

    code = "policy_violation"

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> PolicyViolation:
        """For these violations."""
        found = tuple(problems)
        told = [{"pointer": one.path, "code": one.code, "detail": one.message} for one in found]
        text = found[0].message if len(found) == 1 else f"The workspace's policy forbids this in {len(found)} places."
        return cls(text, problems=found, details={"violations": told})


class Unauthenticated(LinkFlowError):
    code = "unauthenticated"


class Forbidden(LinkFlowError):
    code = "forbidden"


class NotFound(LinkFlowError):
    code = "not_found"


class Conflict(LinkFlowError):
    code = "conflict"


class VersionConflict(Conflict):
    code = "version_conflict"
    retryable = True


class Locked(Conflict):
    code = "locked"


class Released(Conflict):
    """What runs in another environment than production stays as it was released: `details` have ``environment``,
    ``workflow_id`` and ``node_id``."""

    code = "released"


class NoSlot(Conflict):
    """As many runs of a concurrency key are open as may be: `details` have ``key`` and ``limit``."""

    code = "concurrency_limit"


class LimitExceeded(LinkFlowError):
    code = "limit_exceeded"


class RateLimited(LimitExceeded):
    """`details["retry_after"]`: seconds until the next call may pass."""

    code = "rate_limited"
    retryable = True


class TooManyStarts(RateLimited):
    """The workflow's own rate limit refused a start: `details` have ``key``, ``limit`` and ``retry_after`` (seconds).
    Not retryable: whoever is not a person at a door takes it for an answer."""

    code = "start_rate_limited"
    retryable = False


class QueueFull(RateLimited):
    """The workspace has more than its share of a task queue that is full: `details` have ``queues`` and
    ``retry_after`` (seconds). Runs that are under way go on; their tasks wait in the database."""

    code = "queue_full"


class PayloadTooLarge(LimitExceeded):
    code = "payload_too_large"


class Unavailable(LinkFlowError):
    code = "unavailable"
    retryable = True


class DeadlineExceeded(Unavailable):
    code = "deadline_exceeded"


class CannotStart(LinkFlowError):
    code = "cannot_start"


class Internal(LinkFlowError):
    code = "internal"


def _tree(cls: type[LinkFlowError]) -> dict[str, type[LinkFlowError]]:
    found = {cls.code: cls}
    for sub in cls.__subclasses__():
        found.update(_tree(sub))
    return found


def error_from(data: ErrorData) -> LinkFlowError:
    """The exception that `data` describes; an unknown code becomes `Internal`."""
    cls = _tree(LinkFlowError).get(data.code, Internal)
    return cls(data.message, problems=data.problems, details=dict(data.details))

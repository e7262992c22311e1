"""A typed client of the API (docs/client.md).

from linkflow.client import LinkFlow

with LinkFlow("https://linkflow.example.com", key="lf_…") as flow:
    total = flow.run(workflow_id, {"order": 7})
"""

from .awaiting import AsyncLinkFlow
from .blocking import LinkFlow
from .calls import UNSET, Answer
from .errors import (
    ApiError,
    ClientError,
    Conflict,
    Fault,
    Forbidden,
    InvalidInput,
    Locked,
    NoAnswer,
    NotFound,
    PreconditionFailed,
    RateLimited,
    RunFailed,
    ServerError,
    StillRunning,
    Unauthenticated,
)

__all__ = [
    "UNSET",
    "Answer",
    "ApiError",
    "AsyncLinkFlow",
    "ClientError",
    "Conflict",
    "Fault",
    "Forbidden",
    "InvalidInput",
    "LinkFlow",
    "Locked",
    "NoAnswer",
    "NotFound",
    "PreconditionFailed",
    "RateLimited",
    "RunFailed",
    "ServerError",
    "StillRunning",
    "Unauthenticated",
]

"""One call: what is sent, when it is tried again, and what its answer means. No I/O: both clients use it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

import httpx

from .errors import error_of


class Unset(Enum):
    """Stands for an argument that is not given, where None means something."""

    UNSET = 0


UNSET: Final = Unset.UNSET
WORKSPACE: Final = "{workspace_id}"
"""In a path: the client's workspace."""

_WORTH = frozenset({429, 502, 503, 504})
"""Answers after which the same call may go well."""
_UNDER_WAY = "under way"
"""A 409 says so where the first call with an Idempotency-Key has not been answered yet."""
FIRST, LONGEST = 0.2, 10.0
"""Seconds between tries."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request. `parts` is the path in segments, not encoded; `keyed`: it takes an Idempotency-Key."""

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Any = UNSET
    headers: Mapping[str, str] = field(default_factory=dict)
    keyed: bool = False

    @property
    def is_repeatable(self) -> bool:
        """Does it do no harm to send it twice?"""
        return self.method in ("GET", "HEAD", "PUT", "DELETE") or "Idempotency-Key" in self.headers

    def prepared(self, workspace: str) -> Call:
        """With the workspace in its path, and a key, the same for every try."""
        parts = tuple(workspace if part == WORKSPACE else part for part in self.parts)
        headers = dict(self.headers)
        if self.keyed and "Idempotency-Key" not in headers:
            headers["Idempotency-Key"] = str(uuid.uuid4())
        return Call(self.method, parts, self.query, self.body, headers, self.keyed)

    def request(self, client: httpx.Client | httpx.AsyncClient, token: str) -> httpx.Request:
        """As httpx sends it."""
        headers = {**self.headers, **({"Authorization": f"Bearer {token}"} if token else {})}
        query: list[tuple[str, str | int | float | bool | None]] = [
            (name, _text(one)) for name, value in self.query.items() for one in _many(value)
        ]
        content = None if self.body is UNSET else json.dumps(self.body, default=_plain).encode()
        if content is not None:
            headers["Content-Type"] = "application/json"
        path = "/" + "/".join(quote(part, safe="") for part in self.parts)
        return client.build_request(self.method, path, params=query or None, content=content, headers=headers)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `data` is the JSON body, or bytes of another kind."""

    status: int
    headers: Mapping[str, str]
    data: Any

    @property
    def etag(self) -> str:
        """For ``If-Match``."""
        return str(self.headers.get("etag", ""))


def read(response: httpx.Response) -> Answer:
    """Raises `ApiError` where it is no success."""
    kind = response.headers.get("content-type", "").partition(";")[0]
    data: Any = response.content
    if kind.endswith("json") and kind != "application/x-ndjson" and data:
        try:
            data = response.json()
        except ValueError:
            data = response.content
    if response.is_success or response.status_code in (302, 304):
        return Answer(response.status_code, response.headers, data if response.content else None)
    raise error_of(response.status_code, data, retry_after(response))


def retry_after(response: httpx.Response) -> float | None:
    """Seconds that the answer asks to wait."""
    given = response.headers.get("retry-after", "")
    return float(given) if given.isdecimal() else None


def pause_after(call: Call, response: httpx.Response, tried: int) -> float | None:
    """Seconds until another try; None where the answer stands."""
    busy = response.status_code == 409 and call.keyed and _UNDER_WAY in response.text
    if response.status_code not in _WORTH and not busy:
        return None
    refused = response.status_code in (429, 503) and "retry-after" in response.headers  # before anything was done
    if not (call.is_repeatable or refused):
        return None
    return max(retry_after(response) or 0.0, pause(tried))


def pause_after_error(call: Call, error: httpx.TransportError, tried: int) -> float | None:
    """The same where no answer came."""
    sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    return None if sent and not call.is_repeatable else pause(tried)


def pause(tried: int) -> float:
    """Seconds behind the try of this number, from 0."""
    return min(LONGEST, FIRST * 2.0**tried)


def given(**values: Any) -> dict[str, Any]:
    """What was given. A name that Python has taken ends in an underscore here."""
    return {name.removesuffix("_"): value for name, value in values.items() if value is not UNSET}


def _many(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple | set | frozenset) else [value]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} cannot be sent as JSON.")

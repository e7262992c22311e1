"""Calls of somebody else's JSON API: one way to ask, to fail, to wait as told, and to keep secrets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import unquote

from msgspec import Struct

from linkflow.nodes.about import GOING_OUT, Fault
from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.fields import header_key
from linkflow.nodes.hiding import Hiding, secrets_in
from linkflow.nodes.http_bodies import encode, origin, with_query
from linkflow.nodes.replies import EXCERPT, LONGEST_WAIT_MS, body_of, is_retryable, retry_after_ms, text_of

MAX_PAGES = 1000


class Trouble(Struct, frozen=True):
    """Why an answer is no success.

    `why` is the service's own code or sentence; `is_limit` says that it asks to wait, `wait_ms` how long (0: as
    ``Retry-After`` says); `retryable` None is told from the status.
    """

    why: str = ""
    is_limit: bool = False
    wait_ms: int = 0
    retryable: bool | None = None
    details: Mapping[str, Any] = {}


class Api:
    """Calls of one service for one node run. Subclasses say what is particular about it."""

    name: str = "The service"
    code: ClassVar[str] = "service"
    base_url: ClassVar[str] = ""

    def __init__(
        self, context: Context, secrets: Mapping[str, Any], headers: Mapping[str, str] | None = None, *,
        credential: Mapping[str, Any] | None = None, timeout: float = 30.0,
    ) -> None:  # fmt: skip
        """`secrets` are the credential, with `base_url` where it has an address of its own; `headers` go with every
        call. A `credential` signs calls in a way of `http_auth`."""
        self.context = context
        # The address comes from where the secret comes from, never from the config: it goes to its owner alone.
        self.base = str(secrets.get("base_url") or self.base_url).rstrip("/")
        self.headers = dict(headers or {})
        self.credential = credential
        self.timeout = timeout
        self.hiding = Hiding(secrets_in(secrets))

    async def ask(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None,
        body_type: str = "json", headers: Mapping[str, str] | None = None, nth: str | None = None,
    ) -> Any:  # fmt: skip
        """What the service answers: JSON, text, or null for nothing.

        `path` is behind the service's address, or a whole address; to another origin nothing secret goes along. With
        `nth` the call carries an idempotency key, made of the node run's. Raises `NodeFailure`.
        """
        response = await self.send(method, path, query=query, body=body, body_type=body_type, headers=headers, nth=nth)
        return self.hiding.value(self.read(response))

    async def ask_object(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        """What the service answers, which has to be an object. Arguments as those of `ask`."""
        answer = await self.ask(method, path, **more)
        if not isinstance(answer, dict):
            raise NodeFailure(f"{self.code}_error", f"{self.name} gave an answer that is no JSON object.")
        return answer

    async def send(
        self, method: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None,
        body_type: str = "json", headers: Mapping[str, str] | None = None, nth: str | None = None,
    ) -> EgressResponse:  # fmt: skip
        """The answer as it came; one that is an error is raised."""
        content, kind = (body, "") if isinstance(body, bytes) else encode(body, body_type)
        is_whole = path.startswith(("http://", "https://"))
        url = with_query(path if is_whole else f"{self.base}{path}", dict(query or {}))
        is_ours = not is_whole or origin(path) == origin(self.base)
        sent = {**(self.headers if is_ours else {}), **({"Content-Type": kind} if kind else {}), **(headers or {})}
        if nth is not None:
            key = self.context.idempotency_key + (f"/{nth}" if nth else "")
            sent["Idempotency-Key"] = header_key(key)
        try:
            response = await self._go(method, url, sent, content, is_ours)
            if (trouble := self.trouble(response)) is not None:
                raise self.failure(trouble, response)
        except NodeFailure as failure:
            raise self.hiding.failure(failure) from None
        return response

    async def _go(
        self, method: str, url: str, headers: dict[str, str], content: bytes | None, is_ours: bool
    ) -> EgressResponse:
        if self.credential is None or not is_ours:
            return await self._request(method, url, headers, content)
        from linkflow.nodes.http_auth import TOKENS, WITH_TOKENS, Prepared, authorized, kind_of

        request = Prepared(method, url, headers, content)
        for _ in range(2):
            signed = await authorized(request, self.credential, self.context)
            response = await self._request(signed.method, signed.url, signed.headers, signed.content)
            # A token from an earlier call may have been called back: it is fetched anew, once.
            has_token = kind_of(self.credential) in WITH_TOKENS
            if response.status_code != 401 or not has_token or not TOKENS.forget(self.credential, self.context):
                break
        return response

    async def _request(self, method: str, url: str, headers: dict[str, str], content: bytes | None) -> EgressResponse:
        return await self.context.http().request(
            method, url, headers=headers, content=content, timeout=self.timeout, follow_redirects=False
        )

    def read(self, response: EgressResponse) -> Any:
        """The answer's body."""
        try:
            return body_of(response)
        except NodeFailure:
            return text_of(response)

    def told(self, response: EgressResponse, field: str = "") -> dict[str, Any]:
        """The object that was answered, or the one in its `field`; empty where there is none."""
        found = self.read(response)
        if field:
            found = found.get(field) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else {}

    def trouble(self, response: EgressResponse) -> Trouble | None:
        """Why this answer is no success, if it is none."""
        if response.status_code < 300:
            return None
        return Trouble(self.reason(response), is_limit=response.status_code == 429)

    def reason(self, response: EgressResponse) -> str:
        """What an error's body says, in short."""
        return ""

    def failure(self, trouble: Trouble, response: EgressResponse) -> NodeFailure:
        """What a trouble comes to."""
        status = response.status_code
        said = f"{self.name} answered {status}" if status >= 300 else f"{self.name} refused"
        # What is secret goes before anything is cut: a part of it would not be known again.
        why, body = self.hiding.text(trouble.why).rstrip("."), self.hiding.text(text_of(response))
        text = f"{said}: {why}." if why else f"{said}."
        again = is_retryable(status) if status >= 300 else False
        return NodeFailure(
            f"{self.code}_{'rate_limited' if trouble.is_limit else 'error'}",
            text[:EXCERPT],
            retryable=trouble.is_limit or (again if trouble.retryable is None else trouble.retryable),
            retry_after=min(trouble.wait_ms, LONGEST_WAIT_MS) or retry_after_ms(response.headers, self.context.now_ms),
            details={"status": status, "body": body[:EXCERPT], **trouble.details},
        )


def faults(name: str, code: str, *, credential: str = "There is no credential.") -> tuple[Fault, ...]:
    """What every node of a service may fail with."""
    return (
        Fault(f"{code}_error", f"{name} refused, or cannot be understood; retryable for 408 and 5xx.", True),
        Fault(f"{code}_rate_limited", f"{name} asks to wait, as long as it says.", True),
        Fault("no_credential", credential),
        Fault("invalid_params", "A field names nothing that can be asked for."),
        *GOING_OUT,
    )


def set_up(name: str, fix: str) -> NodeFailure:
    """For a node that has nobody to be."""
    return NodeFailure("no_credential", f"{name} is not set up: {fix}.", retryable=False)


def relative(path: str) -> str:
    """A path that stays behind the service's address. Raises `NodeFailure` ``invalid_params``."""
    found = "/" + path.strip().lstrip("/")
    if any(part in (".", "..") for part in unquote(found.partition("?")[0]).split("/")):
        raise NodeFailure("invalid_params", "`path` must not go up with dots.", retryable=False)
    return found


Page = Callable[[Any], Awaitable[tuple[list[Any], Any]]]
"""Gives the items behind a cursor (null: the first), and the next cursor, if there are more."""


async def gather(page: Page, most: int, name: str) -> dict[str, Any]:
    """Up to `most` items of all pages: ``{items, count, more}``. `more` says that there are others."""
    items: list[Any] = []
    cursor: Any = None
    for _ in range(MAX_PAGES):
        found, cursor = await page(cursor)
        items += found
        if not cursor or len(items) >= most:
            kept = items[:most]
            return {"items": kept, "count": len(kept), "more": bool(cursor) or len(items) > most}
    raise NodeFailure("invalid_params", f"{name} gives more than {MAX_PAGES} pages.", retryable=False)


LISTED: dict[str, Any] = {
    "items": {"type": "array", "description": "What a list or a search found."},
    "count": {"type": "integer"},
    "more": {"type": "boolean", "description": "There are others beyond `limit`."},
}
"""Fields of what lists hand on, for `produces`."""

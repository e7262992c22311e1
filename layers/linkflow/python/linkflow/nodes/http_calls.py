"""Calls of the HTTP node: one, the pages of one, or many at a rate."""

from __future__ import annotations

import asyncio
import base64
import re
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit, urlunsplit

import msgspec

from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.connections import credential
from linkflow.nodes.fields import header_key
from linkflow.nodes.given_files import stored
from linkflow.nodes.going import Going, Proxy, Tls
from linkflow.nodes.http_auth import TOKENS, WITH_TOKENS, Prepared, authorized, kind_of, with_parameter
from linkflow.nodes.http_bodies import encode, origin, with_query
from linkflow.nodes.http_request import PROXY_SLOT, SLOT, TLS_SLOT
from linkflow.nodes.paths import MISSING, get
from linkflow.nodes.replies import body_of, content_type, failure, is_retryable, next_link
from linkflow.nodes.storage import shown

if TYPE_CHECKING:
    from linkflow.nodes.http_request import HttpParams, Pagination

MAX_TOTAL = 32 * 1024 * 1024
"""Bytes that the pages of one call, or the answers of many, may come to."""
USUAL_REDIRECTS = Going().max_redirects


async def call(params: HttpParams, context: Context, nth: str = "") -> dict[str, Any]:
    """The output of one call; `nth` tells it from others of the same node run."""
    started = time.perf_counter()
    if params.body_file:
        [body] = await stored([params.body_file], context)
        params = params.model_copy(update={"body": body, "body_type": "binary"})
    client = _Client(params, context, nth)
    output = await (_Pages(client, params.pagination, context).run() if params.pagination else client.one())
    return {**output, "duration_ms": round((time.perf_counter() - started) * 1000)}


class Rate:
    """Gives turns, so many a second; 0 is no bound."""

    def __init__(self, per_second: float) -> None:
        self._gap = 1 / per_second if per_second else 0.0
        self._due = 0.0

    def wait(self, now: float) -> float:
        """Seconds until the turn of whoever asks now."""
        turn = max(self._due, now)
        self._due = turn + self._gap
        return turn - now


async def many(params: HttpParams, context: Context) -> dict[str, Any]:
    """The output of a batch: its results in order. With `collect` a failed one is ``{"error": …}``."""
    batch = params.batch
    assert batch is not None  # noqa: S101  # the caller looked
    started, results = time.perf_counter(), [None] * len(batch.requests)
    slots = asyncio.Semaphore(batch.concurrency)
    rate = Rate(batch.per_second)
    size = done = 0

    async def one(place: int) -> None:
        nonlocal size, done
        async with slots:
            if wait := rate.wait(time.perf_counter()):
                await asyncio.sleep(wait)
            given = batch.requests[place].model_dump(exclude_unset=True)
            try:
                found: Any = await call(
                    params.model_copy(update=_typed(batch.requests[place], given)), context, str(place)
                )
            except NodeFailure as error:
                if batch.on_error == "stop":
                    raise
                found = {"error": msgspec.to_builtins(error.error)}
            size += len(msgspec.json.encode(found))
            if size > MAX_TOTAL:
                raise NodeFailure("http_too_large", f"The answers come to over {MAX_TOTAL:,} bytes.", retryable=False)
            results[place] = found
            done += 1
            await context.heartbeat({"done": done, "of": len(results)})

    try:
        async with asyncio.TaskGroup() as group:
            for place in range(len(results)):
                group.create_task(one(place))
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    failed = sum("error" in (result or {}) for result in results)
    taken = round((time.perf_counter() - started) * 1000)
    return {"results": results, "count": len(results), "failed": failed, "duration_ms": taken}


def _typed(request: Any, given: Mapping[str, Any]) -> dict[str, Any]:
    return {"batch": None, **{name: getattr(request, name) for name in given}}


class _Client:
    """One configured call."""

    def __init__(self, params: HttpParams, context: Context, nth: str) -> None:
        self.params, self.context, self.nth = params, context, nth
        self.url = with_query(params.url, params.query)
        self.body = params.body
        self.secret = credential(context, SLOT) if params.auth.type == "none" else None
        self.going = _going(params, context)

    @property
    def peer(self) -> str:
        return urlsplit(self.params.url).hostname or "The server"

    async def one(self) -> dict[str, Any]:
        response = await self.ask(self.url, self.body, self.nth)
        if not self.params.save_as or response.status_code >= 400:
            return self.output(response)
        kind = response.headers.get("content-type", "")
        info = await self.context.storage().put(self.params.save_as, response.content, kind)
        return self.output(response, shown(info))

    async def ask(self, url: str, body: Any, nth: str, trusted: bool = True) -> EgressResponse:
        """One request with its redirects. One that is not `trusted` goes without what is secret.

        Raises `NodeFailure` for a status that is an error.
        """
        request = await self._request(url, body, nth, trusted)
        response = await self._send(request)
        if response.status_code == 401 and self.secret is not None and trusted and self._forget():
            response = await self._send(await self._request(url, body, nth, trusted))
        if response.status_code >= 400 and not self.params.never_error:
            found = failure("http_status", self.peer, response, self.context.now_ms)
            retryable = self._is_retryable(response.status_code)
            found.error = msgspec.structs.replace(found.error, retryable=retryable)
            raise found
        return response

    def _forget(self) -> bool:
        """A token from an earlier call may have been called back."""
        return kind_of(self.secret or {}) in WITH_TOKENS and TOKENS.forget(self.secret or {}, self.context)

    def _is_retryable(self, status: int) -> bool:
        wanted = self.params.retry_on
        if wanted is None:
            return is_retryable(status)
        return any(one in (str(status), f"{status // 100}xx") for one in wanted)

    async def _request(self, url: str, body: Any, nth: str, trusted: bool) -> Prepared:
        params = self.params
        content, kind = encode(body, params.body_type)
        headers = dict(params.headers) if trusted else {}
        given = {name.lower() for name in headers}
        if kind and "content-type" not in given:
            headers["Content-Type"] = kind
        if params.method not in ("GET", "HEAD", "OPTIONS") and "idempotency-key" not in given:
            key = self.context.idempotency_key + (f"/{nth}" if nth else "")
            headers["Idempotency-Key"] = header_key(key)
        request = Prepared(params.method, url, headers, content)
        if not trusted:
            return request
        if self.secret is not None:
            return await authorized(request, self.secret, self.context)
        request = request.with_headers(params.auth.headers())
        for name, value in params.auth.query().items():
            request = Prepared(request.method, with_parameter(request.url, name, value), request.headers, content)
        return request

    async def _send(self, request: Prepared) -> EgressResponse:
        params = self.params
        return await self.context.http().request(
            request.method, request.url, headers=request.headers, content=request.content, timeout=params.timeout,
            follow_redirects=params.follow_redirects, verify=params.verify_tls, going=self.going,
        )  # fmt: skip

    def read(self, response: EgressResponse) -> Any:
        if self.params.response_type != "binary":
            return body_of(response, self.params.response_type)
        kind, _ = content_type(response.headers)
        return {
            "base64": base64.b64encode(response.content).decode(),
            "content_type": kind,
            "size": len(response.content),
            "filename": _filename(response),
        }

    def output(self, response: EgressResponse, body: Any = None) -> dict[str, Any]:
        body = self.read(response) if body is None else body
        status = response.status_code
        return {
            "status": status, "status_code": status, "headers": dict(response.headers), "body": body, "data": body,
        }  # fmt: skip


def _filename(response: EgressResponse) -> str:
    """A file's name as the peer says it, without any folder."""
    found = re.search(r'filename="?([^";]+)"?', response.headers.get("content-disposition", ""))
    name = found[1] if found else urlsplit(response.url).path
    return name.replace("\\", "/").rpartition("/")[2].strip()[:255]


def _going(params: HttpParams, context: Context) -> Going | None:
    """How it goes out, if other than usual."""
    tls, proxy = credential_of(context, TLS_SLOT), credential_of(context, PROXY_SLOT)
    authorities = params.tls_ca or str(tls.get("ca") or "")
    special = None
    if authorities or tls:
        certificate, key = str(tls.get("certificate") or ""), str(tls.get("key") or "")
        special = Tls(params.verify_tls, authorities, certificate, key)
    way = None
    if address := params.proxy or str(proxy.get("url") or ""):
        own = proxy if not params.proxy or params.proxy == proxy.get("url") else {}
        way = Proxy(address, str(own.get("username") or ""), str(own.get("password") or ""))
    if special is None and way is None and not params.max_size and params.max_redirects == USUAL_REDIRECTS:
        return None
    return Going(params.max_redirects, params.max_size, special, way)


def credential_of(context: Context, slot: str) -> Mapping[str, Any]:
    """The credential in exactly this slot."""
    return context.credentials.get(slot) or {}


class _Pages:
    """The pages of one call, one after the other."""

    def __init__(self, client: _Client, plan: Pagination, context: Context) -> None:
        self.client, self.plan, self.context = client, plan, context
        self.items: list[Any] = []
        self.seen: set[str] = set()
        self.size = 0

    async def run(self) -> dict[str, Any]:
        client, plan = self.client, self.plan
        url, body, count = *self._first(), 0
        trusted = True
        while True:
            nth = "/".join(filter(None, (client.nth, f"page{count}" if count else "")))
            response = await client.ask(url, body, nth, trusted)
            count += 1
            found = self._keep(response)
            following = self._next(response, found, url, body, count)
            if following is None or response.status_code >= 400:
                break
            if count >= plan.max_pages:
                text = f"There are more than {plan.max_pages} pages; raise `max_pages`."
                raise NodeFailure("http_too_many_pages", text, retryable=False)
            url, body = following
            trusted = origin(url) == origin(client.url)
            await self.context.heartbeat({"pages": count, "items": len(self.items)})
            if plan.interval:
                await asyncio.sleep(plan.interval)
        last = client.output(response)
        return {**last, "body": self.items, "data": self.items, "pages": count}

    def _first(self) -> tuple[str, Any]:
        client, plan = self.client, self.plan
        url, body = client.url, client.body
        if plan.size and plan.size_param:
            url, body = self._put(url, body, plan.size_param, plan.size)
        if plan.mode in ("page", "offset"):
            url, body = self._put(url, body, plan.name, plan.first)
        return url, body

    def _put(self, url: str, body: Any, name: str, value: Any) -> tuple[str, Any]:
        if self.plan.where == "body":
            return url, {**(body if isinstance(body, dict) else {}), name: value}
        parts = urlsplit(url)
        pairs = [pair for pair in parse_qsl(parts.query, keep_blank_values=True) if pair[0] != name]
        return urlunsplit(parts._replace(query=urlencode([*pairs, (name, str(value))]))), body

    def _keep(self, response: EgressResponse) -> int:
        """Take the items of a page. Returns how many there are."""
        self.size += len(response.content)
        if self.size > MAX_TOTAL:
            raise NodeFailure("http_too_large", f"The pages come to over {MAX_TOTAL:,} bytes.", retryable=False)
        body = self.client.read(response)
        found = get(body, self.plan.items) if self.plan.items else body
        if found is MISSING or found is None:
            return 0
        items = found if isinstance(found, list) else [found]
        self.items += items
        if len(self.items) > self.plan.max_items:
            text = f"There are more than {self.plan.max_items} items; raise `max_items`."
            raise NodeFailure("http_too_many_pages", text, retryable=False)
        return len(items)

    def _next(self, response: EgressResponse, found: int, url: str, body: Any, count: int) -> tuple[str, Any] | None:
        plan = self.plan
        if plan.mode == "link":
            address = next_link(response.headers.get("link", ""))
            return (self._unseen(urljoin(response.url, address)), None) if address else None
        if plan.mode == "cursor":
            value = get(self.client.read(response), plan.cursor)
            if value is MISSING or value in (None, "", False):
                return None
            text = str(value)
            if text.startswith(("http://", "https://", "/")):
                return self._unseen(urljoin(response.url, text)), body
            self._unseen(text)
            return self._put(url, body, plan.name, value)
        if not found or (plan.size and found < plan.size):
            return None
        step = count if plan.mode == "page" else len(self.items)
        return self._put(url, body, plan.name, plan.first + step)

    def _unseen(self, mark: str) -> str:
        if mark in self.seen:
            raise NodeFailure("http_too_many_pages", "The pages lead back to one that was there.", retryable=False)
        self.seen.add(mark)
        return mark

"""One call of a model over HTTP: signed, made again where that may help, streamed where somebody watches."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from linkflow.domain.policy import model_fault
from linkflow.domain.steps import BILLIONTH
from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.fields import header_key
from linkflow.nodes.models.params import ModelParams
from linkflow.nodes.models.peers import Peer
from linkflow.nodes.models.streams import FRAMES, Events, Frames
from linkflow.nodes.models.talk import Answer, Ask, Request, Streamed
from linkflow.nodes.replies import failure, parse_json, retry_after_ms

LONGEST_WAIT = 10.0
"""Seconds that a node waits in place before it calls again; what takes longer is for the retry policy."""
FIRST_WAIT = 0.5

_BROKEN = (ValueError, KeyError, TypeError, IndexError, AttributeError)

Hear = Callable[[str], None]


async def ask(peer: Peer, question: Ask, params: ModelParams, context: Context, id: str, hear: Hear | None) -> Answer:
    """Ask once, and again where the provider cannot now. `id` names the call within the node run; `hear` gets the text
    while it comes. Raises `NodeFailure`; see `faults`."""
    request = peer.provider.request(question, peer.model, peer.key)
    streamed = peer.provider.stream(request) if hear is not None else None
    if streamed is None or hear is None:
        data = await post(peer, request, params, context, id)
    else:
        data = await _streamed(peer, *streamed, params, context, id, hear)
    try:
        answer = peer.provider.answer(data)
    except _BROKEN:
        raise _no_answer() from None
    if hear is not None and streamed is None and answer.text:
        hear(answer.text)
    if answer.refused:
        details = {"why": answer.refused[:500]}
        text = f"The model would not answer: {answer.refused[:200]}."
        raise NodeFailure("ai_refused", text, retryable=False, details=details)
    return answer


async def post(peer: Peer, request: Request, params: ModelParams, context: Context, id: str) -> Any:
    """The JSON that the provider answers a request with."""
    response = await _sent(peer, request, params, context, id, None)
    try:
        return parse_json(response.content)
    except ValueError:
        raise _no_answer() from None


async def _streamed(
    peer: Peer, request: Request, pieces: Streamed, params: ModelParams, context: Context, id: str, hear: Hear
) -> Any:
    events: Events | Frames = Frames() if request.headers.get("Accept") == FRAMES else Events()
    broken: list[Exception] = []

    def watch(status: int, headers: Mapping[str, str], data: bytes) -> bool:
        if status >= 300:
            return False
        try:
            for event in events.feed(data):
                if event != "[DONE]" and (text := pieces.feed(msgspec.json.decode(event))):
                    hear(text)
        except _BROKEN as error:
            broken.append(error)
        return bool(broken)

    response = await _sent(peer, request, params, context, id, watch)
    kind = response.headers.get("content-type", "")
    if "text/event-stream" not in kind and FRAMES not in kind:  # a server that streams nothing
        try:
            return parse_json(response.content)
        except ValueError:
            raise _no_answer() from None
    try:
        if broken:
            raise broken[0]
        return pieces.whole()
    except _BROKEN:
        raise _no_answer() from None


async def _sent(
    peer: Peer, request: Request, params: ModelParams, context: Context, id: str,
    watch: Callable[[int, Mapping[str, str], bytes], bool] | None,
) -> EgressResponse:  # fmt: skip
    _check(peer, context)
    content = msgspec.json.encode(request.body)
    url = peer.base_url.rstrip("/") + request.path
    key = header_key(f"{context.idempotency_key}/{id}" if id else context.idempotency_key)
    headers = {"Content-Type": "application/json", "Idempotency-Key": key, **request.headers}
    if watch is not None:
        headers = {"Accept": "text/event-stream", **headers, "Accept-Encoding": "identity"}
    if peer.keys is not None:
        from linkflow.nodes.sigv4 import canonical_url, signed

        url = canonical_url(url)
        headers |= signed("POST", url, headers, content, peer.keys, context.now_ms)
    for left in range(params.retries, -1, -1):
        # Redirects are not followed: a key is for the place it was meant for.
        response = await context.http().request(
            "POST", url, headers=headers, content=content, timeout=params.timeout, follow_redirects=False, watch=watch
        )
        if response.status_code < 300:
            return response
        failed = _failure(peer, response, context.now_ms)
        wait = _wait(response, params.retries - left, context)
        if not left or not failed.error.retryable or wait > LONGEST_WAIT:
            raise failed
        context.log(f"The provider answered {response.status_code}; once more in {wait:g} s.")
        await asyncio.sleep(wait)
    raise AssertionError


def _check(peer: Peer, context: Context) -> None:
    """The workspace's policy: may this model be asked, and does the run still have money for it?"""
    policy = context.policy
    if fault := model_fault(policy, peer.model, peer.provider.name):
        raise NodeFailure("policy_violation", fault, retryable=False)
    most = policy.max_cost_per_run
    if most and context.spent >= most * BILLIONTH:
        spent = context.spent / BILLIONTH
        text = f"The workspace's policy allows {most:g} dollars a run, and this one has spent {spent:g}."
        raise NodeFailure("policy_violation", text, retryable=False)


def _wait(response: EgressResponse, tried: int, context: Context) -> float:
    """Seconds until the next call: as the provider says, else longer each time."""
    if "retry-after" in response.headers:
        return retry_after_ms(response.headers, context.now_ms) / 1000
    return float(FIRST_WAIT * 2**tried * (1 + context.random()))


_CODES = {401: "ai_bad_key", 403: "ai_bad_key", 404: "ai_unknown_model", 429: "ai_rate_limited"}


def _failure(peer: Peer, response: EgressResponse, now_ms: int) -> NodeFailure:
    """What an answer of 300 or more is."""
    status = response.status_code
    try:
        body = parse_json(response.content)
    except ValueError:
        body = None
    code = peer.provider.fault(status, body) or _CODES.get(status, "ai_unavailable" if status >= 500 else "ai_error")
    found = failure(code, "The model's provider", response, now_ms)
    if code in ("ai_quota", "ai_context_too_long"):
        found.error = msgspec.structs.replace(found.error, retryable=False)
    if text := _TEXTS.get(code):
        found.error = msgspec.structs.replace(found.error, message=f"{text} ({status}, model {peer.model[:100]!r})")
    return found


_TEXTS = {
    "ai_bad_key": "The provider does not accept the key: check the credential, and what the key may do.",
    "ai_rate_limited": "The provider wants fewer calls.",
    "ai_quota": "The account's quota or credit is used up.",
    "ai_context_too_long": "The question is longer than the model can read: send less, or take another model.",
    "ai_unknown_model": "The provider does not have this model, or not for this key.",
    "ai_unavailable": "The provider cannot answer now.",
}


def _no_answer() -> NodeFailure:
    return NodeFailure("ai_bad_answer", "The provider's answer is not what its protocol says, or broke off.")

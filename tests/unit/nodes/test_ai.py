from __future__ import annotations

from typing import Any

import pytest

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import codes, http_peer, reply, run

OPENAI = {
    "model": "gpt-x",
    "choices": [{"message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
ANTHROPIC = {
    "model": "claude-x",
    "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}],
    "stop_reason": "end_turn",
    "usage": {"input_tokens": 3, "output_tokens": 2},
}
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}


async def test_openai(egress: EgressClient):
    async with http_peer(lambda _: reply(200, OPENAI)) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": f"{peer.url}/v1/", "model": "m"}}
        config = {"prompt": "Hi", "system_prompt": "Be brief", "temperature": 0}
        outcome = await run("ai", config, egress=egress, connections=secrets)
    assert outcome.output == {"content": "Hello", "model": "gpt-x", "finish_reason": "stop", "usage": USAGE}
    [request] = peer.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer k")
    assert request.headers["idempotency-key"] == "exec/n1"
    assert request.json() == {
        "model": "m",
        "messages": [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}],
        "max_completion_tokens": 1024,
        "temperature": 0,
    }


async def test_anthropic(egress: EgressClient):
    async with http_peer(lambda _: reply(200, ANTHROPIC)) as peer:
        secrets = {"ai": {"provider": "anthropic", "api_key": "k", "base_url": peer.url}}
        messages = [
            {"role": "system", "content": "S"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": "A"},
        ]
        config = {"messages": messages, "prompt": "Hi", "max_tokens": 9, "model": "m"}
        outcome = await run("ai", config, egress=egress, credentials=secrets)
    assert outcome.output == {"content": "Hello", "model": "claude-x", "finish_reason": "end_turn", "usage": USAGE}
    [request] = peer.requests
    assert (request.path, request.headers["x-api-key"]) == ("/messages", "k")
    assert request.json() == {
        "model": "m",
        "messages": [*messages[1:], {"role": "user", "content": "Hi"}],
        "system": "S",
        "max_tokens": 9,
    }


@pytest.mark.parametrize("where", ["connections", "credentials"])
async def test_a_key_never_goes_to_an_endpoint_of_the_config(egress: EgressClient, where: str):
    async with http_peer(lambda _: reply(200, OPENAI)) as peer:
        more: dict[str, Any] = {where: {"ai": {"api_key": "secret", "base_url": "http://127.0.0.1:1"}}}
        await run("ai", {"prompt": "x", "endpoint": peer.url}, egress=egress, **more)
        await run("ai", {"prompt": "x", "endpoint": peer.url, "api_key": "own"}, egress=egress, **more)
    first, second = peer.requests
    assert "secret" not in str(peer.requests)
    assert first.headers.get("authorization") is None
    assert second.headers["authorization"] == "Bearer own"
    assert second.json()["max_tokens"] == 1024


async def test_a_key_of_the_config_never_goes_to_the_connections_address(egress: EgressClient):
    async with http_peer() as peer:
        more: dict[str, Any] = {"connections": {"ai": {"api_key": "secret", "base_url": peer.url}}}
        with pytest.raises(NodeFailure):
            await run("ai", {"prompt": "x", "api_key": "own", "provider": "compatible"}, egress=egress, **more)
        assert peer.requests == []


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        (reply(401, {"error": "bad key"}), "ai_error", False),
        (reply(429, b"", {"Retry-After": "2"}), "ai_error", True),
        (reply(529, b""), "ai_error", True),
        (reply(200, {"choices": []}), "ai_bad_answer", True),
        (reply(200, b"<html>"), "ai_bad_answer", True),
        (reply(307, b"", {"Location": "http://127.0.0.1:1/"}), "ai_error", False),
    ],
)
async def test_failures(egress: EgressClient, answer: bytes, code: str, retryable: bool):
    async with http_peer(lambda _: answer) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        with pytest.raises(NodeFailure) as caught:
            await run("ai", {"prompt": "x"}, egress=egress, credentials=secrets)
    assert (caught.value.error.code, caught.value.error.retryable) == (code, retryable)


async def test_what_is_missing(egress: EgressClient):
    assert codes("ai", {}) == [("", "invalid_value")]
    with pytest.raises(NodeFailure) as caught:
        await run("ai", {"prompt": "x"}, egress=egress)
    assert caught.value.error.code == "no_credential"
    secrets = {"ai": {"api_key": "k", "provider": "openai"}}
    with pytest.raises(NodeFailure) as caught:
        await run("ai", {"prompt": "x", "provider": "anthropic"}, egress=egress, credentials=secrets)
    assert caught.value.error.code == "ai_wrong_provider"

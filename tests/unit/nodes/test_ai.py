from __future__ import annotations

import base64
from typing import Any

import pytest

from linkflow.domain.policy import Policy
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.registry import Registry
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
USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5, "cached_tokens": 0}


async def test_openai(egress: EgressClient):
    async with http_peer(lambda _: reply(200, OPENAI)) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": f"{peer.url}/v1/", "model": "m"}}
        config = {"prompt": "Hi", "system_prompt": "Be brief", "temperature": 0}
        outcome = await run("ai", config, egress=egress, connections=secrets)
    assert outcome.output == {
        "content": "Hello", "model": "gpt-x", "finish_reason": "stop", "usage": USAGE, "cost_usd": None,
    }  # fmt: skip
    [request] = peer.requests
    assert (request.path, request.headers["authorization"]) == ("/v1/chat/completions", "Bearer k")
    assert request.headers["idempotency-key"] == "exec/n1/model/1"
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
    assert outcome.output == {
        "content": "Hello", "model": "claude-x", "finish_reason": "end_turn", "usage": USAGE, "cost_usd": None,
    }  # fmt: skip
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
        (reply(401, {"error": "bad key"}), "ai_bad_key", False),
        (reply(429, b"", {"Retry-After": "2"}), "ai_rate_limited", True),
        (reply(429, {"error": {"code": "insufficient_quota", "message": "Pay."}}), "ai_quota", False),
        (reply(404, {"error": {"code": "model_not_found", "message": "?"}}), "ai_unknown_model", False),
        (reply(400, {"error": {"code": "context_length_exceeded", "message": "?"}}), "ai_context_too_long", False),
        (reply(400, {"error": "This model's maximum context length is 8192 tokens"}), "ai_context_too_long", False),
        (reply(400, {"error": {"message": "What?"}}), "ai_error", False),
        (reply(529, b""), "ai_unavailable", True),
        (reply(200, {"choices": [{"message": {"refusal": "I will not."}}]}), "ai_refused", False),
        (reply(200, {"choices": [{"message": {}, "finish_reason": "content_filter"}]}), "ai_refused", False),
        (reply(200, {"choices": []}), "ai_bad_answer", True),
        (reply(200, b"<html>"), "ai_bad_answer", True),
        (reply(307, b"", {"Location": "http://127.0.0.1:1/"}), "ai_error", False),
    ],
)
async def test_failures(egress: EgressClient, answer: bytes, code: str, retryable: bool):
    async with http_peer(lambda _: answer) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        with pytest.raises(NodeFailure) as caught:
            await run("ai", {"prompt": "x", "retries": 0}, egress=egress, credentials=secrets)
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


async def test_a_call_that_may_do_better_is_made_again_at_once(egress: EgressClient):
    answers = [reply(503, {}, {"Retry-After": "0"}), reply(429, {}, {"Retry-After": "0"}), reply(200, OPENAI)]
    async with http_peer(lambda _: answers.pop(0)) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        outcome = await run("ai", {"prompt": "x"}, egress=egress, credentials=secrets)
    assert outcome.output["content"] == "Hello"
    assert len({request.headers["idempotency-key"] for request in peer.requests}) == 1


async def test_what_takes_long_is_left_to_the_retry_policy(egress: EgressClient):
    async with http_peer(lambda _: reply(429, {}, {"Retry-After": "3600"})) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        with pytest.raises(NodeFailure) as caught:
            await run("ai", {"prompt": "x"}, egress=egress, credentials=secrets)
    assert (len(peer.requests), caught.value.retry_after) == (1, 3_600_000)


@pytest.mark.parametrize("type", ["ai", "ai_embeddings", "ai_classify", "ai_agent"])
@pytest.mark.parametrize("provider", ["openai", "compatible", "anthropic", "bedrock"])
@pytest.mark.parametrize("redirect", [False, True])
async def test_a_planted_platform_key_never_reaches_an_endpoint_of_an_author(
    egress: EgressClient, type: str, provider: str, redirect: bool
):
    """The author's endpoint is called, and redirects there and back; the key is nowhere in what was sent."""
    planted = {"api_key": "planted-key", "access_key_id": "planted-key", "secret_access_key": "planted-key"}
    config = {"prompt": "x", "input": "x", "classes": ["a"], "provider": provider, "retries": 0}
    wanted = {
        "ai": ("prompt",),
        "ai_embeddings": ("input",),
        "ai_classify": ("classes", "input"),
        "ai_agent": ("prompt",),
    }
    async with http_peer(lambda _: reply(200, OPENAI)) as theirs:
        async with http_peer(
            lambda r: reply(307, b"", {"Location": theirs.url}) if redirect else reply(200, {})
        ) as peer:
            given = {name: config[name] for name in (*wanted[type], "provider", "retries")}
            for endpoint in (
                {"endpoint": peer.url},
                {"base_url": f"{peer.url}/v1"},
                {"endpoint": peer.url, "api_key": "own"},
            ):
                if type == "ai_embeddings" and provider == "anthropic":
                    continue
                for place in ("connections", "credentials"):
                    more: dict[str, Any] = {place: {"ai": {**planted, "base_url": "http://127.0.0.1:1"}}}
                    with pytest.raises(NodeFailure):
                        await run(type, {**given, **endpoint}, egress=egress, **more)
        assert "planted" not in str(peer.requests)
        assert theirs.requests == []
        assert peer.requests or provider in ("bedrock", "anthropic")


async def test_a_connection_s_own_place_may_not_lead_its_key_elsewhere(egress: EgressClient):
    async with http_peer() as theirs, http_peer(lambda _: reply(307, b"", {"Location": theirs.url})) as peer:
        more: dict[str, Any] = {"connections": {"ai": {"api_key": "planted-key", "base_url": peer.url}}}
        with pytest.raises(NodeFailure):
            await run("ai", {"prompt": "x", "retries": 0}, egress=egress, **more)
    assert (len(peer.requests), theirs.requests) == (1, [])


async def test_pictures_and_the_settings_of_an_answer(egress: EgressClient):
    png = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
    config = {
        "prompt": "What is it?", "attachments": [{"url": "https://x.example/a.jpg"}, {"data": png}],
        "messages": [{"role": "user", "content": [{"type": "text", "text": "T"}, {"type": "input_audio", "x": 1}]}],
        "stop": ["END"], "seed": 7, "top_p": 0.5, "model": "m",
    }  # fmt: skip
    async with http_peer(lambda _: reply(200, OPENAI)) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        await run("ai", config, egress=egress, credentials=secrets)
    body = peer.requests[0].json()
    assert body["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "T"}, {"type": "input_audio", "x": 1}]},
        {
            "role": "user",
            "content": [
                {"type": "image_url", "image_url": {"url": "https://x.example/a.jpg"}},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{png}"}},
                {"type": "text", "text": "What is it?"},
            ],
        },
    ]
    assert (body["stop"], body["seed"], body["top_p"]) == (["END"], 7, 0.5)
    with pytest.raises(NodeFailure) as caught:
        await run("ai", {"prompt": "x", "attachments": [{"data": "?"}]}, egress=egress, credentials=secrets)
    assert caught.value.error.code == "ai_bad_image"


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"], "additionalProperties": False}


def said(text: str) -> dict[str, Any]:
    return {**OPENAI, "choices": [{"message": {"content": text}, "finish_reason": "stop"}]}


async def test_an_answer_that_misses_the_schema_is_sent_back_with_what_is_wrong(egress: EgressClient):
    answers = [said("no JSON"), said('{"n": "one"}'), said('```json\n{"n": 1}\n```')]
    async with http_peer(lambda _: reply(200, answers.pop(0))) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        config = {"prompt": "x", "output_schema": SCHEMA, "prices": {"input": 1, "output": 2}}
        outcome = await run("ai", config, egress=egress, credentials=secrets)
    assert outcome.output["data"] == {"n": 1}
    assert (outcome.output["usage"]["total_tokens"], outcome.output["cost_usd"]) == (15, 3 * 7e-6)
    first, _, last = [request.json() for request in peer.requests]
    assert first["response_format"]["json_schema"] == {"name": "answer", "schema": SCHEMA, "strict": True}
    assert [message["role"] for message in last["messages"]] == ["user", "assistant", "user", "assistant", "user"]
    assert "/n: 'one' is not of type 'integer'" in last["messages"][-1]["content"]


async def test_after_the_last_repair_the_problems_are_told(egress: EgressClient):
    async with http_peer(lambda _: reply(200, said('{"n": null, "m": 1}'))) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        config = {"prompt": "x", "output_schema": SCHEMA, "repairs": 1}
        with pytest.raises(NodeFailure) as caught:
            await run("ai", config, egress=egress, credentials=secrets)
    error = caught.value.error
    assert (error.code, error.retryable, caught.value.fresh, len(peer.requests)) == (
        "ai_invalid_output",
        False,
        True,
        2,
    )
    assert {problem["path"] for problem in error.details["problems"]} == {"", "/n"}


async def test_a_server_of_unknown_skill_is_told_the_schema_in_words(egress: EgressClient):
    async with http_peer(lambda _: reply(200, said("[1, 2]"))) as peer:
        config = {"prompt": "x", "endpoint": peer.url, "output_schema": {"type": "array"}, "system": "Be brief."}
        outcome = await run("ai", config, egress=egress)
        native = await run("ai", {**config, "structured": "native"}, egress=egress)
    assert outcome.output["data"] == [1, 2]
    first, second = [request.json() for request in peer.requests]
    assert "response_format" not in first
    assert first["messages"][0]["content"].startswith("Be brief.\n\nAnswer with JSON alone")
    assert second["tools"][0]["function"]["parameters"]["required"] == ["value"], "an answer that is no object"
    assert native.output["data"] == [1, 2]


@pytest.mark.parametrize(
    "schema",
    [{"type": "nothing"}, {"$ref": "#/nowhere"}, {"$ref": "https://evil.example/s.json"}, {"pattern": 7},
     {"description": "x" * 70_000}],
)  # fmt: skip
def test_what_is_no_schema_is_refused_when_the_workflow_is_saved(schema: dict[str, Any]):
    assert codes("ai", {"prompt": "x", "output_schema": schema}) == [("", "invalid_value")]


async def test_embeddings_in_batches(egress: EgressClient):
    def vectors(request: Any) -> bytes:
        texts = request.json()["input"]
        data = [{"index": n, "embedding": [len(text), 0.1]} for n, text in enumerate(texts)][::-1]
        return reply(200, {"data": data, "usage": {"prompt_tokens": len(texts)}})

    async with http_peer(vectors) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        config = {"input": ["a", "bb", "ccc"], "batch_size": 2}
        many = await run("ai_embeddings", config, egress=egress, credentials=secrets)
        one = await run("ai_embeddings", {"text": "dddd", "model": "m"}, egress=egress, credentials=secrets)
    assert many.output["embeddings"] == [[1.0, 0.1], [2.0, 0.1], [3.0, 0.1]]
    assert (many.output["model"], many.output["usage"]["prompt_tokens"], many.output["cost_usd"]) == (
        "text-embedding-3-small", 3, 6e-08,
    )  # fmt: skip
    assert (one.output["embedding"], one.output["cost_usd"]) == ([4.0, 0.1], None)
    assert [len(request.json()["input"]) for request in peer.requests] == [2, 1, 1]
    anthropic = {"ai": {"api_key": "k", "provider": "anthropic"}}
    with pytest.raises(NodeFailure) as caught:
        await run("ai_embeddings", {"text": "x"}, egress=egress, credentials=anthropic)
    assert caught.value.error.code == "ai_no_embeddings"
    assert codes("ai_embeddings", {"input": ["x", ""]}) == [("/input", "invalid_value")]


async def test_vectors_that_are_none(egress: EgressClient):
    async with http_peer(lambda _: reply(200, {"data": [{"index": 0, "embedding": ["x"]}]})) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        with pytest.raises(NodeFailure) as caught:
            await run("ai_embeddings", {"text": "x"}, egress=egress, credentials=secrets)
    assert caught.value.error.code == "ai_bad_answer"


async def test_a_class_is_a_way_and_nothing_else_is_an_answer(egress: EgressClient):
    answers = [said('{"reason": "r", "class": "elsewhere"}'), said('{"reason": "r", "class": "none"}')]
    async with http_peer(lambda _: reply(200, answers.pop(0))) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url}}
        outcome = await run("ai_classify", {"classes": ["a", "b"]}, {"x": 1}, egress=egress, credentials=secrets)
    assert (outcome.ports, outcome.output["class"], outcome.output["input"]) == (("none",), "none", {"x": 1})
    first, second = [request.json() for request in peer.requests]
    assert first["messages"][-1]["content"] == '{"x": 1}'
    assert "'elsewhere' is not one of ['a', 'b', 'none']" in second["messages"][-1]["content"]
    assert codes("ai_classify", {"classes": ["none"]}) == [("", "invalid_value")]
    assert codes("ai_classify", {"classes": ["error"]}) == [("", "invalid_value")]
    found = Registry.load().outputs("ai_classify", {"classes": ["a", {"name": "b"}], "none_of_these": False})
    assert found == ("a", "b")


async def test_models_that_the_policy_forbids_and_runs_that_spent_all_they_may_ask_nobody(egress: EgressClient):
    priced = {"prompt": "Hi", "prices": {"input": 1_000_000, "output": 0}}
    async with http_peer(lambda _: reply(200, OPENAI)) as peer:
        secrets = {"ai": {"api_key": "k", "base_url": peer.url, "model": "gpt-x"}}
        for policy, spent in (
            (Policy(denied_models=("openai/gpt-*",)), 0),
            (Policy(max_cost_per_run=2), 2_000_000_000),
        ):
            with pytest.raises(NodeFailure) as refused:
                await run("ai", priced, egress=egress, connections=secrets, policy=policy, spent=spent)
            assert (refused.value.error.code, refused.value.error.retryable) == ("policy_violation", False)
        assert peer.requests == []
        fine = Policy(allowed_models=("gpt-*",), max_cost_per_run=2)
        outcome = await run("ai", priced, egress=egress, connections=secrets, policy=fine, spent=1_999_999_999)
        assert outcome.output["cost_usd"] == 3

"""Providers in their own words, as recorded; streams, prices, schemas."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest
from botocore.eventstream import EventStreamBuffer

from linkflow.config import Egress
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from linkflow.nodes.models.params import Prices
from linkflow.nodes.models.pricing import price_of, usage_of
from linkflow.nodes.models.schemas import fault, faults
from linkflow.nodes.models.streams import Events, Frames
from linkflow.nodes.models.talk import Tokens
from tests.unit.nodes.peers import HttpPeer, http_peer, reply, run

TOOL = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
AGENT = {
    "prompt": "Weather?", "system": "S",
    "tools": [{"type": "node", "name": "weather", "description": "D", "node_type": "template",
               "config": {"template": "sunny"}, "parameters": {"properties": {}}}],
}  # fmt: skip

CONVERSE = [
    {
        "metrics": {"latencyMs": 551},
        "output": {
            "message": {
                "content": [
                    {"text": "I will look."},
                    {"toolUse": {"input": {}, "name": "weather", "toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q"}},
                ],
                "role": "assistant",
            }
        },
        "stopReason": "tool_use",
        "usage": {"inputTokens": 40, "outputTokens": 12, "totalTokens": 52, "cacheReadInputTokens": 8},
    },
    {
        "metrics": {"latencyMs": 301},
        "output": {"message": {"content": [{"text": "Sunny."}], "role": "assistant"}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 60, "outputTokens": 3, "totalTokens": 63},
    },
]

MESSAGES = [
    {
        "id": "msg_01Aq9w938a90dw8q", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [
            {"type": "text", "text": "I will look."},
            {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "weather", "input": {}},
        ],
        "stop_reason": "tool_use", "stop_sequence": None,
        "usage": {"input_tokens": 40, "cache_read_input_tokens": 8, "cache_creation_input_tokens": 0, "output_tokens": 12},
    },
    {
        "id": "msg_02", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
        "content": [{"type": "text", "text": "Sunny."}], "stop_reason": "end_turn",
        "usage": {"input_tokens": 60, "output_tokens": 3},
    },
]  # fmt: skip


async def ask(peer: HttpPeer, provider: str, config: dict[str, Any], egress: EgressClient, **more: Any) -> Any:
    secret = {"provider": provider, "api_key": "k", "base_url": peer.url, "model": "m"}
    return await run("ai_agent", config, egress=egress, credentials={"ai": secret}, **more)


async def test_anthropic_with_tools(egress: EgressClient):
    answers = list(MESSAGES)
    async with http_peer(lambda _: reply(200, answers.pop(0))) as peer:
        outcome = await ask(peer, "anthropic", AGENT, egress)
    assert (outcome.output["content"], outcome.output["turns"]) == ("Sunny.", 2)
    assert outcome.output["usage"] == {
        "prompt_tokens": 108, "completion_tokens": 15, "total_tokens": 123, "cached_tokens": 8,
    }  # fmt: skip
    first, second = [request.json() for request in peer.requests]
    assert first["tools"][0]["input_schema"] == {"type": "object", "properties": {}}
    assert second["messages"][1:] == [
        {"role": "assistant", "content": MESSAGES[0]["content"]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_01A09q90qw90lq917835lq9", "content": "sunny"}],
        },
    ]


async def test_bedrock_is_signed_and_speaks_converse(egress: EgressClient):
    answers = list(CONVERSE)
    picture = {"attachments": [{"data": "iVBORw0KGgo="}]}
    async with http_peer(lambda _: reply(200, answers.pop(0))) as peer:
        keys = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s", "base_url": peer.url, "region": "eu-west-1"}
        config = {**AGENT, **picture, "model": "eu.amazon.nova-lite-v1:0", "stop": ["X"], "temperature": 0.5}
        outcome = await run("ai_agent", config, egress=egress, credentials={"ai": keys})
    assert (outcome.output["content"], outcome.output["turns"]) == ("Sunny.", 2)
    assert outcome.output["cost_usd"] == pytest.approx((108 * 0.06 + 15 * 0.24) / 1e6)
    first, second = peer.requests
    assert first.path == "/model/eu.amazon.nova-lite-v1%3A0/converse"
    assert "/eu-west-1/bedrock/aws4_request" in first.headers["authorization"]
    assert "secret" not in str(first.headers)
    body = first.json()
    assert body["system"] == [{"text": "S"}]
    assert body["inferenceConfig"] == {"maxTokens": 1024, "temperature": 0.5, "stopSequences": ["X"]}
    assert body["messages"][0]["content"][0]["image"] == {"format": "png", "source": {"bytes": "iVBORw0KGgo="}}
    assert second.json()["messages"][2]["content"] == [
        {"toolResult": {"toolUseId": "tooluse_kZJMlvQmRJ6eAyJE5GIl7Q", "content": [{"text": "sunny"}]}}
    ]


async def test_bedrock_embeds_one_text_a_call(egress: EgressClient):
    async with http_peer(lambda _: reply(200, {"embedding": [0.5], "inputTextTokenCount": 3})) as peer:
        keys = {"provider": "bedrock", "api_key": "bearer", "base_url": peer.url}
        outcome = await run("ai_embeddings", {"input": ["a", "b"]}, egress=egress, credentials={"ai": keys})
    assert outcome.output["embeddings"] == [[0.5], [0.5]]
    assert [request.path for request in peer.requests] == ["/model/amazon.titan-embed-text-v2%3A0/invoke"] * 2
    assert peer.requests[0].headers["authorization"] == "Bearer bearer"


@pytest.mark.parametrize("region", ["evil.example/", "us-east-1.evil.example", "x", "us-east-1#"])
async def test_a_region_is_no_way_to_another_host(region: str):
    keys = {"access_key_id": "a", "secret_access_key": "s"}
    egress = EgressClient(Egress())
    with pytest.raises(NodeFailure) as caught:
        await run("ai", {"prompt": "x", "region": region}, egress=egress, credentials={"ai": keys})
    assert caught.value.error.code == "bad_credential"


@pytest.mark.parametrize(
    ("provider", "status", "body", "code"),
    [
        ("anthropic", 400, {"error": {"message": "prompt is too long: 210000 tokens > 200000"}}, "ai_context_too_long"),
        ("anthropic", 400, {"error": {"message": "Your credit balance is too low"}}, "ai_quota"),
        ("anthropic", 529, {"error": {"type": "overloaded_error"}}, "ai_unavailable"),
        ("anthropic", 200, {"content": [], "stop_reason": "refusal"}, "ai_refused"),
        ("bedrock", 400, {"message": "Input is too long for requested model."}, "ai_context_too_long"),
        ("bedrock", 400, {"message": "The provided model identifier is invalid."}, "ai_unknown_model"),
        ("bedrock", 403, {"message": "not authorized"}, "ai_bad_key"),
        ("bedrock", 429, {"message": "Too many requests"}, "ai_rate_limited"),
        ("bedrock", 200, {"output": {"message": {"content": []}}, "stopReason": "guardrail_intervened"}, "ai_refused"),
        ("bedrock", 200, {"output": None}, "ai_bad_answer"),
    ],
)
async def test_faults_in_their_own_words(egress: EgressClient, provider: str, status: int, body: Any, code: str):
    async with http_peer(lambda _: reply(status, body)) as peer:
        with pytest.raises(NodeFailure) as caught:
            await ask(peer, provider, {"prompt": "x", "retries": 0}, egress)
    assert caught.value.error.code == code


def sse(*events: Any) -> bytes:
    body = "".join(f"event: x\r\ndata: {json.dumps(event)}\r\n\r\n" for event in events).encode()
    return reply(200, body, {"Content-Type": "text/event-stream; charset=utf-8"})


ANTHROPIC_STREAM = (
    {"type": "message_start", "message": {"model": "claude", "content": [], "usage": {"input_tokens": 9, "output_tokens": 1}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
    {"type": "ping"},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hel"}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "lo"}},
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "weather", "input": {}}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '{"city":'}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "input_json_delta", "partial_json": '"Bern"}'}},
    {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}},
    {"type": "message_stop"},
)  # fmt: skip
OPENAI_STREAM = (
    {"model": "m", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"content": "Hel"}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"content": "lo"}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [
        {"index": 0, "id": "t", "function": {"name": "weather", "arguments": ""}}]}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '{"city":'}}]}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": '"Bern"}'}}]}}]},
    {"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    {"model": "m", "choices": [], "usage": {"prompt_tokens": 9, "completion_tokens": 20}},
)  # fmt: skip


BEDROCK_STREAM = (
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hel"}}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "lo"}}),
    ("contentBlockStop", {"contentBlockIndex": 0}),
    ("contentBlockStart", {"contentBlockIndex": 1, "start": {"toolUse": {"toolUseId": "t", "name": "weather"}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '{"city":'}}}),
    ("contentBlockDelta", {"contentBlockIndex": 1, "delta": {"toolUse": {"input": '"Bern"}'}}}),
    ("contentBlockStop", {"contentBlockIndex": 1}),
    ("messageStop", {"stopReason": "tool_use"}),
    ("metadata", {"usage": {"inputTokens": 9, "outputTokens": 20, "totalTokens": 29}, "metrics": {"latencyMs": 5}}),
)


def frame(kind: str, event: Any, message: str = "event") -> bytes:
    """One frame, as AWS sends it."""
    pairs = ((f":{message}-type", kind), (":content-type", "application/json"), (":message-type", message))
    headers = b"".join(
        bytes([len(name)]) + name.encode() + b"\x07" + len(value).to_bytes(2) + value.encode() for name, value in pairs
    )
    payload = json.dumps(event).encode()
    prelude = (16 + len(headers) + len(payload)).to_bytes(4) + len(headers).to_bytes(4)
    whole = prelude + zlib.crc32(prelude).to_bytes(4) + headers + payload
    return whole + zlib.crc32(whole).to_bytes(4)


def test_frames_are_what_aws_reads():
    """AWS's own reader takes the frames of these tests, and ours takes them wherever the bytes are cut."""
    data = b"".join(frame(*one) for one in BEDROCK_STREAM)
    theirs = EventStreamBuffer()
    theirs.add_data(data)
    found = [(one.headers[":event-type"], json.loads(one.payload)) for one in theirs]
    assert found == list(BEDROCK_STREAM)
    for size in (1, 7, 12, 100, len(data)):
        frames = Frames()
        cut = [data[at : at + size] for at in range(0, len(data), size)]
        assert [json.loads(text) for part in cut for text in frames.feed(part)] == [dict([one]) for one in found]
    for bad in (data[:40] + b"x" + data[41:], b"HTTP/1.1 500 and more", b"\xff" * 40):
        with pytest.raises(ValueError):  # noqa: PT011
            list(Frames().feed(bad))


KEYS = {"access_key_id": "AKIAEXAMPLE", "secret_access_key": "s", "region": "eu-west-1"}


async def test_bedrock_streams_in_frames(egress: EgressClient):
    heard: list[tuple[str, str]] = []
    kind = {"Content-Type": "application/vnd.amazon.eventstream"}
    answers = [BEDROCK_STREAM, (*BEDROCK_STREAM[:4], ("messageStop", {"stopReason": "end_turn"}), BEDROCK_STREAM[-1])]
    async with http_peer(lambda _: reply(200, b"".join(frame(*one) for one in answers.pop(0)), kind)) as peer:
        keys = {**KEYS, "base_url": peer.url}
        config = {**AGENT, "model": "eu.amazon.nova-lite-v1:0", "stream": True}
        say = {"say": lambda kind, text: heard.append((kind, text))}
        outcome = await run("ai_agent", config, egress=egress, credentials={"ai": keys}, **say)
        assert (outcome.output["content"], outcome.output["usage"]["completion_tokens"]) == ("Hello", 40)
        assert [text for kind, text in heard if kind == "text"] == ["Hel", "lo"] * 2
        assert peer.requests[0].path == "/model/eu.amazon.nova-lite-v1%3A0/converse-stream"
        call = peer.requests[1].json()["messages"][1]["content"][1]
        assert call == {"toolUse": {"toolUseId": "t", "name": "weather", "input": {"city": "Bern"}}}
        throttled = frame("throttlingException", {"message": "slower"}, "exception")
        for cut in (b"", frame(*BEDROCK_STREAM[1]), frame(*BEDROCK_STREAM[1]) + throttled, throttled[:-1] + b"x"):
            peer.answer = lambda _, cut=cut: reply(200, cut, kind)
            with pytest.raises(NodeFailure) as caught:
                await run("ai", {"prompt": "x", "stream": True}, egress=egress, credentials={"ai": keys})
            assert (caught.value.error.code, caught.value.error.retryable) == ("ai_bad_answer", True)


@pytest.mark.parametrize(("provider", "events"), [("anthropic", ANTHROPIC_STREAM), ("openai", OPENAI_STREAM)])
async def test_a_stream_is_the_same_answer_in_pieces(egress: EgressClient, provider: str, events: tuple[Any, ...]):
    heard: list[tuple[str, str]] = []
    async with http_peer(lambda _: sse(*events)) as peer:
        config = {"prompt": "x", "stream": True, "max_tool_calls": 0}
        with pytest.raises(NodeFailure) as caught:
            await ask(peer, provider, config, egress, say=lambda kind, text: heard.append((kind, text)))
    assert caught.value.error.code == "ai_agent_turns", "it wants a tool"
    assert caught.value.error.details["content"] == "Hello"
    assert heard == [("text", "Hel"), ("text", "lo")]
    assert peer.requests[0].json()["stream"] is True


@pytest.mark.parametrize(("provider", "events"), [("anthropic", ANTHROPIC_STREAM), ("openai", OPENAI_STREAM)])
async def test_a_stream_that_breaks_off_is_no_answer(egress: EgressClient, provider: str, events: tuple[Any, ...]):
    for cut in (events[:2], (), ({"type": "error", "error": {"message": "overloaded"}}, *events)):
        async with http_peer(lambda _, cut=cut: sse(*cut)) as peer:
            with pytest.raises(NodeFailure) as caught:
                await ask(peer, provider, {"prompt": "x", "stream": True}, egress)
        assert (caught.value.error.code, caught.value.error.retryable) == ("ai_bad_answer", True)


async def test_a_server_that_streams_nothing_is_understood(egress: EgressClient):
    whole = {"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}]}
    async with http_peer(lambda _: reply(200, whole)) as peer:
        assert (await ask(peer, "openai", {"prompt": "x", "stream": True}, egress)).output["content"] == "Hi"


def test_events_are_cut_wherever_the_bytes_are():
    data = b': hello\n\ndata: {"a":\ndata: 1}\n\nid: 7\r\ndata:x\r\n\r\ndata: left'
    for size in range(1, len(data) + 1):
        events = Events()
        found = [event for at in range(0, len(data), size) for event in events.feed(data[at : at + size])]
        assert found == ['{"a":\n1}', "x"], size
    with pytest.raises(ValueError, match="too long"):
        list(Events().feed(b"data: " + b"x" * 2_000_000))


@pytest.mark.parametrize(
    ("provider", "model", "price"),
    [
        ("openai", "gpt-4o", 2.5), ("openai", "gpt-4o-mini", 0.15), ("openai", "gpt-4o-2024-08-06", 2.5),
        ("openai", "gpt-4o-audio-preview", None), ("openai", "gpt-4", None), ("compatible", "gpt-4o", None),
        ("anthropic", "claude-3-5-haiku-latest", 0.8), ("anthropic", "claude-sonnet-4-5-20250929", 3),
        ("anthropic", "claude-sonnet-4-20250514", 3), ("bedrock", "eu.anthropic.claude-3-haiku-20240307-v1:0", 0.25),
        ("bedrock", "amazon.titan-embed-text-v2:0", 0.02), ("bedrock", "meta.llama3", None),
    ],
)  # fmt: skip
def test_prices_are_of_this_model_and_no_other(provider: str, model: str, price: float | None):
    found = price_of(provider, model)
    assert (found and found.input) == price


def test_cached_tokens_cost_less_and_own_prices_win():
    used = usage_of("openai", "gpt-4o", Tokens(1_000_000, 100_000, 400_000))
    assert used.cost == round((0.6 * 2.5 + 0.4 * 1.25 + 1.0) * 1e9)
    assert usage_of("x", "y", Tokens(10, 10, 10), Prices(input=1, output=2)).cost == 30_000
    assert usage_of("x", "y", Tokens(10, 10)).cost is None
    assert usage_of("x", "y\0", Tokens(10**30, -1)).model == "y"


def test_a_schema_cannot_be_made_to_work_for_ever():
    deep: dict[str, Any] = {"$defs": {"n0": {"type": "integer"}}, "$ref": "#/$defs/n40"}
    for n in range(1, 41):
        deep["$defs"][f"n{n}"] = {"anyOf": [{"$ref": f"#/$defs/n{n - 1}"}] * 2}
    assert "lead on and on" in faults(deep, "x")[0]["message"]
    assert "lead on and on" in fault(deep)
    slow = {"type": "object", "patternProperties": {"^(a+)+$": {}}, "additionalProperties": False}
    assert faults(slow, {"a" * 5_000 + "b": 1})[0]["message"].endswith("not among the properties that it may have")
    assert faults({"pattern": "^(a+)+$"}, "a" * 5_000 + "b") != []
    itself = {"properties": {"x": {"$ref": "#"}}}
    nested: dict[str, Any] = {}
    for _ in range(2_000):
        nested = {"x": nested}
    assert "cannot be held against" in faults(itself, nested)[0]["message"]
    assert faults({"unevaluatedProperties": False}, {"a": 1}) != []

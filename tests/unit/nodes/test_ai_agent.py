"""The agent and its tools: nodes, HTTP, MCP; bounds; what a model cannot do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from linkflow.domain.policy import Policy
from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.peers import Request, codes, http_peer, reply, run


def model(*turns: Any, then: Callable[[Request], bytes] | None = None) -> Callable[[Request], bytes]:
    """A peer that answers like a model: each turn is text, or calls of tools as (name, arguments)."""
    left = list(turns)

    def answer(request: Request) -> bytes:
        if not request.path.endswith("/chat/completions") and then is not None:
            return then(request)
        turn = left.pop(0)
        calls = [] if isinstance(turn, str) else turn
        message = {
            "content": turn if isinstance(turn, str) else None,
            "tool_calls": [
                {
                    "id": f"c{n}",
                    "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
                }
                for n, (name, given) in enumerate(calls)
            ],
        }
        usage = {"prompt_tokens": 1000, "completion_tokens": 100}
        return reply(200, {"model": "gpt-4o-mini", "choices": [{"message": message}], "usage": usage})

    return answer


async def play(egress: EgressClient, answer: Any, config: dict[str, Any], **more: Any) -> tuple[Any, list[Request]]:
    async with http_peer(answer) as peer:
        secret = {"ai": {"api_key": "k", "base_url": peer.url, "model": "gpt-4o-mini"}}
        config = json.loads(json.dumps({"prompt": "Go", **config}).replace("http://peer", peer.url))
        outcome = await run("action_ai_agent", config, egress=egress, connections=secret, **more)
    return outcome, peer.requests


def told(requests: list[Request]) -> list[str]:
    """What the tools of the last turn came to."""
    last = [request for request in requests if request.path.endswith("/chat/completions")][-1]
    return [message["content"] for message in last.json()["messages"] if message["role"] == "tool"]


NODE = {
    "type": "node", "name": "render", "description": "D", "node_type": "template",
    "config": {"template": "Dear {{name}}"}, "parameters": {"data.name": {"type": "string"}},
}  # fmt: skip


async def test_without_tools_it_just_answers(egress: EgressClient):
    outcome, requests = await play(egress, model("Hi"), {})
    assert (outcome.output["content"], outcome.output["calls"], outcome.output["turns"]) == ("Hi", [], 1)
    assert "tools" not in requests[0].json()


async def test_a_node_is_a_tool_with_fixed_and_given_parameters(egress: EgressClient):
    tool = {
        "type": "node",
        "name": "h",
        "node_type": "hash",
        "config": {"algorithm": "sha256"},
        "parameters": {"value": "V"},
    }
    outcome, requests = await play(egress, model([("h", {"value": "x"})], "Done"), {"tools": [tool]})
    assert outcome.output["content"] == "Done"
    assert "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" in told(requests)[0]
    assert requests[0].json()["tools"][0]["function"]["parameters"] == {
        "type": "object", "properties": {"value": {"type": "string", "description": "V"}}, "required": ["value"],
        "additionalProperties": False,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (("h", {"value": 7}), "/value: 7 is not of type 'string'"),
        (("h", {"value": "x", "algorithm": "md5"}), "'algorithm' is not among the properties"),
        (("h", {}), "'value' is a required property"),
        (("h", "no JSON"), "no JSON object"),
        (("other", {}), "There is no tool 'other'. There are: h."),
    ],
)
async def test_what_does_not_fit_is_told_to_the_model(egress: EgressClient, call: Any, why: str):
    tool = {
        "type": "node",
        "name": "h",
        "node_type": "hash",
        "config": {"algorithm": "sha256"},
        "parameters": {"value": "V"},
    }
    outcome, requests = await play(egress, model([call], "Sorry"), {"tools": [tool]})
    assert why in told(requests)[0]
    assert outcome.output["calls"][0]["error"]["code"] == "bad_arguments"


async def test_an_http_tool_goes_where_it_was_told_and_nowhere_else(egress: EgressClient):
    tools = [
        {"type": "http", "name": "get", "url": "http://peer/users/{id}?x=1", "parameters": {"id": "I", "q": "Q"}},
        {"type": "http", "name": "put", "url": "http://peer/users/{id}", "method": "PUT",
         "parameters": {"id": "I", "age": {"type": "integer"}}, "headers": {"X-Own": "1"}, "credential": "crm"},
    ]  # fmt: skip
    turns = [
        ("get", {"id": "../admin?y=2#", "q": "a b"}), ("put", {"id": "7", "age": 3}), ("get", {"id": "..", "q": ""}),
    ]  # fmt: skip
    answer = model(turns, "Done", then=lambda request: reply(200, {"path": request.path}))
    credentials = {"crm": {"token": "secret"}}
    outcome, requests = await play(egress, answer, {"tools": tools}, credentials=credentials)
    get, put = sorted((one for one in requests if "users" in one.path), key=lambda one: one.method)
    assert get.path == "/users/..%2Fadmin%3Fy%3D2%23?x=1&q=a+b"
    assert "authorization" not in get.headers
    assert (put.json(), put.headers["authorization"], put.headers["x-own"]) == ({"age": 3}, "Bearer secret", "1")
    assert outcome.output["calls"][2]["error"]["code"] == "bad_arguments"
    assert "secret" not in str(outcome.output)


async def test_a_failing_tool_is_an_answer_or_the_end(egress: EgressClient):
    tool = {"type": "http", "name": "get", "url": "http://peer/x"}
    answer = lambda: model([("get", {})], "Well", then=lambda _: reply(500, {"why": "because"}))  # noqa: E731
    outcome, requests = await play(egress, answer(), {"tools": [tool]})
    assert told(requests)[0].startswith("http_status: ")
    assert outcome.output["calls"][0]["error"]["code"] == "http_status"
    with pytest.raises(NodeFailure) as caught:
        await play(egress, answer(), {"tools": [tool], "on_tool_error": "fail"})
    assert (caught.value.error.code, caught.value.error.retryable) == ("http_status", True)


async def test_a_long_result_is_cut_and_the_model_knows(egress: EgressClient):
    tool = {"type": "http", "name": "get", "url": "http://peer/x"}
    answer = model([("get", {})], "Well", then=lambda _: reply(200, {"text": "z" * 100_000}))
    _, requests = await play(egress, answer, {"tools": [tool]})
    assert len(told(requests)[0]) < 70_000
    assert "cut off" in told(requests)[0]


async def test_expressions_of_a_model_mean_nothing(egress: EgressClient):
    tool = {
        "type": "node",
        "name": "t",
        "node_type": "template",
        "config": {"template": "x"},
        "parameters": {"data": {}},
    }
    given = {"data": {"name": "{{ execution.id }}"}}
    outcome, _ = await play(egress, model([("t", given)], "Done"), {"tools": [tool]})
    assert outcome.output["calls"] == [{"tool": "t", "arguments": given}]


@pytest.mark.parametrize("type", ["loop", "delay", "trigger_manual", "action_ai_agent", "nothing"])
async def test_what_leads_the_flow_is_no_tool(egress: EgressClient, type: str):
    tool = {"type": "node", "name": "t", "node_type": type}
    with pytest.raises(NodeFailure) as caught:
        await play(egress, model([("t", {})], "Done"), {"tools": [tool]})
    assert caught.value.error.code == "bad_tools"


async def test_what_the_policy_forbids_is_no_tool_either(egress: EgressClient):
    tool = {"type": "node", "name": "h", "node_type": "hash", "config": {"value": "x"}}
    with pytest.raises(NodeFailure) as caught:
        await play(egress, model([("h", {})], "Done"), {"tools": [tool]}, policy=Policy(denied_nodes=("*hash*",)))
    assert caught.value.error.code == "policy_violation"


@pytest.mark.parametrize(
    ("bounds", "turns", "code"),
    [
        ({"max_turns": 2}, 5, "ai_agent_turns"),
        ({"max_tool_calls": 3}, 5, "ai_agent_turns"),
        ({"max_total_tokens": 2_200}, 5, "ai_agent_budget"),
        ({"max_cost_usd": 0.0003}, 5, "ai_agent_budget"),
        ({"max_cost_usd": 1, "model": "unheard-of"}, 5, "ai_no_price"),
    ],
)
async def test_bounds(egress: EgressClient, bounds: dict[str, Any], turns: int, code: str):
    tool = {"type": "node", "name": "h", "node_type": "hash", "config": {"value": "x"}}
    with pytest.raises(NodeFailure) as caught:
        await play(egress, model(*[[("h", {}), ("h", {})]] * turns), {"tools": [tool], **bounds})
    assert (caught.value.error.code, caught.value.error.retryable) == (code, False)


async def test_own_prices_are_a_price(egress: EgressClient):
    config = {"max_cost_usd": 1, "model": "unheard-of", "prices": {"input": 1, "output": 10}}
    outcome, _ = await play(egress, model("Hi"), config)
    assert outcome.output["cost_usd"] == 0.002


SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


async def test_a_structured_answer_comes_by_a_tool_and_is_held_against_its_schema(egress: EgressClient):
    turns = ["I think it is 3", [("answer", {"n": "3"})], [("answer", {"n": 3})]]
    outcome, requests = await play(egress, model(*turns), {"output_schema": SCHEMA})
    assert outcome.output["data"] == {"n": 3}
    assert "/n: '3' is not of type 'integer'" in told(requests)[0]
    with pytest.raises(NodeFailure) as caught:
        await play(egress, model(*["No"] * 4), {"output_schema": SCHEMA, "repairs": 1})
    assert caught.value.error.code == "ai_invalid_output"


def test_what_is_refused_when_the_workflow_is_saved():
    def of(tool: dict[str, Any]) -> list[tuple[str, str]]:
        return codes("action_ai_agent", {"prompt": "x", "tools": [tool]})

    assert of({"type": "node", "name": "t", "node_type": "hash", "config": {"a": 1}, "parameters": {"a": "A"}})
    assert of({"type": "node", "name": "t", "node_type": "hash", "config": {"a": {"b": 1}}, "parameters": {"a.b": "A"}})
    assert of({"type": "node", "name": "t", "node_type": "hash", "config": {"a": 1}, "parameters": {"a.b": "A"}})
    assert of({"type": "node", "name": "t", "node_type": "http", "credential": "c", "parameters": {"url": "U"}})
    assert of({"type": "http", "name": "t", "url": "http://{host}/x", "parameters": {"host": "H"}})
    assert of({"type": "http", "name": "t", "url": "http://x", "parameters": {"properties": {"a": {"type": "no"}}}})
    assert of({"type": "workflow", "name": "t"})
    assert of({"type": "what", "name": "t"})
    assert of({"type": "mcp", "url": "http://x"}) == []


# MCP


class Mcp:
    """An MCP server over streamable HTTP with two pages of tools."""

    def __init__(self, *, stream: bool = False, session: str = "s-1", forgets: int = 0) -> None:
        self.stream, self.session, self.forgets = stream, session, forgets
        self.methods: list[str] = []
        self.headers: list[dict[str, str]] = []

    def __call__(self, request: Request) -> bytes:
        self.headers.append(request.headers)
        if request.method == "DELETE":
            self.methods.append("DELETE")
            return reply(200)
        message = request.json()
        method = message["method"]
        self.methods.append(method)
        if method.startswith("notifications/"):
            return reply(202)
        if method == "tools/call" and self.forgets:
            self.forgets -= 1
            return reply(404)
        body = {"jsonrpc": "2.0", "id": message["id"], **self._result(method, message.get("params") or {})}
        headers = {"Mcp-Session-Id": self.session} if method == "initialize" and self.session else {}
        if not self.stream:
            return reply(200, body, headers)
        ping = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
        text = f": hi\n\nevent: message\ndata: {json.dumps(ping)}\n\nevent: message\ndata: {json.dumps(body)}\n\n"
        # Longer than what comes: a server may keep the stream open.
        return reply(200, text.encode(), {**headers, "Content-Type": "text/event-stream", "Content-Length": "100000"})

    def _result(self, method: str, params: dict[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            return {"result": {"protocolVersion": "2025-06-18", "capabilities": {}, "serverInfo": {}}}
        if method == "tools/list":
            schema = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
            first = {"tools": [{"name": "add.one", "description": "D", "inputSchema": schema}], "nextCursor": "2"}
            return {
                "result": {"tools": [{"name": "echo", "inputSchema": {"type": "object"}}]}
                if params.get("cursor")
                else first
            }
        if params["name"] == "add.one":
            return {
                "result": {
                    "content": [{"type": "text", "text": "x"}],
                    "structuredContent": {"sum": params["arguments"]["a"] + 1},
                }
            }
        if params["arguments"].get("fail"):
            return {"result": {"content": [{"type": "text", "text": "it broke"}], "isError": True}}
        if params["arguments"].get("refuse"):
            return {"error": {"code": -32602, "message": "bad params"}}
        return {
            "result": {
                "content": [{"type": "text", "text": "one"}, {"type": "image", "mimeType": "image/png", "data": ""}]
            }
        }


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("session", ["s-1", ""])
async def test_tools_of_an_mcp_server(egress: EgressClient, stream: bool, session: str):
    server = Mcp(stream=stream, session=session)
    turns = [
        ("m_add_one", {"a": 1}),
        ("m_echo", {}),
        ("m_echo", {"fail": True}),
        ("m_echo", {"refuse": True}),
        ("m_add_one", {}),
    ]
    tool = {"type": "mcp", "url": "http://peer/mcp", "prefix": "m_", "credential": "mcp", "headers": {"X-Own": "1"}}
    answer = model(turns, "Done", then=server)
    credentials = {"mcp": {"token": "secret"}}
    outcome, requests = await play(egress, answer, {"tools": [tool]}, credentials=credentials)
    assert outcome.output["content"] == "Done"
    results = told(requests)
    assert results[:3] == ['{"sum":2}', "one\n[image image/png]", "tool_failed: it broke"]
    assert "bad params" in results[3]
    assert "'a' is a required property" in results[4], "held against the server's own schema"
    assert server.methods[:4] == ["initialize", "notifications/initialized", "tools/list", "tools/list"]
    assert server.methods.count("tools/call") == 4
    assert (server.methods[-1] == "DELETE") == bool(session)
    later = server.headers[2:]
    assert all(found.get("mcp-session-id", "") == session for found in later)
    assert all(found["mcp-protocol-version"] == "2025-06-18" for found in later)
    assert all((found["authorization"], found["x-own"]) == ("Bearer secret", "1") for found in server.headers)


async def test_a_server_that_forgot_its_session_is_greeted_again(egress: EgressClient):
    server = Mcp(forgets=1)
    tool = {"type": "mcp", "url": "http://peer/mcp", "only": ["echo"]}
    outcome, requests = await play(egress, model([("echo", {})], "Done", then=server), {"tools": [tool]})
    assert (outcome.output["content"], server.methods.count("initialize")) == ("Done", 2)
    assert (
        [one["function"]["name"] for one in requests[-2].json()["tools"]] == ["echo"]
        if requests[-2].method == "POST"
        else True
    )


async def test_a_server_that_is_none(egress: EgressClient):
    tool = {"type": "mcp", "url": "http://peer/mcp"}
    for answer in (reply(200, {"x": 1}), reply(500, {}), reply(302, b"", {"Location": "http://127.0.0.1:1"})):
        with pytest.raises(NodeFailure) as caught:
            await play(egress, model("Hi", then=lambda _, answer=answer: answer), {"tools": [tool]})
        assert caught.value.error.code == "mcp_error"
    twice = [{"type": "mcp", "url": "http://peer/a"}, {"type": "mcp", "url": "http://peer/b"}]
    with pytest.raises(NodeFailure) as caught:
        await play(egress, model("Hi", then=Mcp()), {"tools": twice})
    assert caught.value.error.code == "bad_tools"


async def test_the_platform_s_key_is_for_the_model_alone(egress: EgressClient):
    server = Mcp()
    tools = [{"type": "mcp", "url": "http://peer/mcp"}, {"type": "http", "name": "get", "url": "http://peer/x"}]
    async with http_peer(
        model([("echo", {}), ("get", {})], "Done", then=lambda r: server(r) if "mcp" in r.path else reply(200))
    ) as peer:
        secret = {"ai": {"api_key": "planted-key", "base_url": peer.url}}
        config = json.loads(json.dumps({"prompt": "x", "tools": tools}).replace("http://peer", peer.url))
        await run("action_ai_agent", config, egress=egress, connections=secret)
    assert {request.path for request in peer.requests if "planted-key" in str(request.headers)} == {"/chat/completions"}

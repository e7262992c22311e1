"""A model that works with tools until it has an answer. The output is ``{content, calls, turns, model, finish_reason,
usage, cost_usd}``, with a schema also `data`."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from msgspec.structs import replace
from pydantic import Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Fault, Refusal
from linkflow.nodes.agents.params import AnyTool
from linkflow.nodes.ai import COST, SLOT, USAGE, AiParams, hearing, question_of
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import ui
from linkflow.nodes.models.asking import ANSWER, MODEL, Session, Stand, given, stand_in
from linkflow.nodes.models.conversation import conversation, fetched
from linkflow.nodes.models.faults import FAULTS, INVALID, STEPS
from linkflow.nodes.models.peers import peer_of
from linkflow.nodes.models.pricing import price_of
from linkflow.nodes.models.schemas import faults
from linkflow.nodes.models.talk import Answer, Ask, Text, ToolResult, Turn

if TYPE_CHECKING:
    from linkflow.nodes.agents.kit import Kit

_BOUNDS = ui(group="Bounds")


class AgentParams(AiParams):
    tools: list[AnyTool] = Field(default_factory=list, max_length=100, description="What the model may call.")
    max_turns: int = Field(10, ge=1, le=200, description="Calls of the model.", json_schema_extra=_BOUNDS)
    max_tool_calls: int = Field(50, ge=0, le=500, json_schema_extra=_BOUNDS)
    max_total_tokens: int = Field(0, ge=0, description="Over all calls; 0: no bound.", json_schema_extra=_BOUNDS)
    max_cost_usd: float = Field(
        0, ge=0, description="Over all calls; 0: no bound. The price must be known.", json_schema_extra=_BOUNDS
    )
    on_tool_error: Literal["tell", "fail"] = Field("tell", description="tell: the model is told, and goes on.")


class Agent(Base):
    type: ClassVar[str] = "action_ai_agent"
    aliases: ClassVar[tuple[str, ...]] = ("ai_agent",)
    name: ClassVar[str] = "AI agent"
    description: ClassVar[str] = "Let a model work with tools until it has an answer."
    category: ClassVar[str] = "ai"
    params: ClassVar[builtins.type[Params]] = AgentParams
    slots = (SLOT,)
    help = """
    Tools are nodes, HTTP calls, workflows (runs of their own that the agent waits for, holding no worker) and MCP
    servers (streamable HTTP). Each call of the model and of a tool is an event in the run's history. After a crash or a
    failed attempt the agent goes on from what is recorded: no call that was recorded is made again (docs/ai.md).

    What the model gives a tool is held against the tool's schema, and is data: expressions in it mean nothing. A tool
    with a credential has a fixed place to go.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "content": {"type": "string"},
                "data": {"description": "With `output_schema`: the answer, as it fits the schema."},
                "calls": {
                    "type": "array",
                    "items": {"type": "object", "properties": {"tool": {"type": "string"}}, "required": ["tool"]},
                    "description": "Tools that were called, with arguments, and the error of those that failed.",
                },
                "turns": {"type": "integer"},
                "model": {"type": "string"},
                "finish_reason": {"type": ["string", "null"]},
                "usage": USAGE,
                "cost_usd": COST,
            },
            "required": ["content", "calls", "turns", "model", "usage", "cost_usd"],
        }
    }
    faults = (
        *FAULTS,
        *STEPS,
        INVALID,
        Fault(
            "ai_agent_turns", "There was no answer after `max_turns` calls of the model, or `max_tool_calls` of tools."
        ),
        Fault("ai_agent_budget", "The tokens or the cost reached their bound."),
        Fault("ai_no_price", "`max_cost_usd` is set, and nobody knows the model's price: give `prices`."),
        Fault("bad_tools", "A tool is no such node, or two have one name."),
        Fault("mcp_error", "An MCP server does not answer as it should.", True),
    )
    examples = (
        Example(
            name="Ask for the weather",
            config={
                "prompt": "Do I need an umbrella in {{ input.city }}?",
                "model": "gpt-4o-mini",
                "tools": [
                    {
                        "type": "http",
                        "name": "weather",
                        "description": "The weather of a city now.",
                        "url": "http://weather.example/now/{city}",
                        "parameters": {"city": "The city's name."},
                    }
                ],
            },
            input={"city": "Bern"},
            connections={"ai": {"api_key": "sk-example", "base_url": "http://models.example/v1"}},
            calls=(
                Call(
                    method="POST",
                    url="http://models.example/v1/chat/completions",
                    answer={
                        "model": "gpt-4o-mini",
                        "choices": [
                            {
                                "message": {
                                    "content": None,
                                    "tool_calls": [
                                        {
                                            "id": "c1",
                                            "type": "function",
                                            "function": {"name": "weather", "arguments": '{"city": "Bern"}'},
                                        }
                                    ],
                                },
                                "finish_reason": "tool_calls",
                            }
                        ],
                        "usage": {"prompt_tokens": 60, "completion_tokens": 15},
                    },
                ),
                Call(method="GET", url="http://weather.example/now/Bern", answer={"rain": True}),
                Call(
                    method="POST",
                    url="http://models.example/v1/chat/completions",
                    answer={
                        "model": "gpt-4o-mini",
                        "choices": [{"message": {"content": "Yes, it rains."}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 100, "completion_tokens": 5},
                    },
                ),
            ),
            output={
                "content": "Yes, it rains.",
                "calls": [{"tool": "weather", "arguments": {"city": "Bern"}}],
                "turns": 2,
                "model": "gpt-4o-mini",
                "finish_reason": "stop",
                "usage": {"prompt_tokens": 160, "completion_tokens": 20, "total_tokens": 180, "cached_tokens": 0},
                "cost_usd": 0.000036,
            },
        ),
    )
    refuses = (
        Refusal({"tools": []}, "", "invalid_value"),
        Refusal(
            {"prompt": "x", "tools": [{"type": "http", "name": "a b", "url": "http://x"}]},
            "/tools/0/name",
            "invalid_value",
        ),
        Refusal(
            {
                "prompt": "x",
                "tools": [
                    {
                        "type": "node",
                        "name": "t",
                        "node_type": "action_http_request",
                        "credential": "crm",
                        "parameters": {"url": "Where."},
                    }
                ],
            },
            "/tools/0",
            "invalid_value",
        ),
    )

    async def run(self, params: AgentParams, context: Context) -> Outcome:
        from linkflow.nodes.agents.kit import Kit, Suspended  # asyncio brings TLS with it

        session = Session(peer_of(params, context), params, context, hearing(params.stream, context))
        if params.max_cost_usd and price_of(session.peer.provider.name, session.peer.model, params.prices) is None:
            text = f"The price of {session.peer.model[:100]!r} is not known: give `prices`, or no `max_cost_usd`."
            raise NodeFailure("ai_no_price", text, retryable=False)
        kit = await Kit.packed(params.tools, context, params.on_tool_error)
        try:
            return await self._work(params, session, kit)
        except Suspended as suspended:
            return suspended.outcome
        finally:
            await kit.close()

    async def _work(self, params: AgentParams, session: Session, kit: Kit) -> Outcome:
        stand = stand_in(params.output_schema) if params.output_schema is not None else None
        question = await self._question(params, session, kit, stand)
        said: Any = {"system": question.system, "turns": question.turns}
        shown: list[dict[str, Any]] = []
        repairs = 0
        for turn in range(1, params.max_turns + 1):
            answer = await session.ask(f"{MODEL}/{turn}", question, said)
            said = None
            value, problems = _final(answer, stand, params)
            if problems is None:
                return _completed(session, answer, shown, turn, {"data": value} if stand else {})
            _check_budget(session, params)
            if problems:
                repairs += 1
                if repairs > params.repairs:
                    details = {"problems": problems, "answer": value if value is not None else answer.text[:2000]}
                    text = f"The agent's answer does not fit: {problems[0]['message']}"
                    raise NodeFailure("ai_invalid_output", text, retryable=False, details=details, fresh=True)
                question = replace(question, turns=(*question.turns, answer.turn, _sent_back(answer, problems)))
                continue
            if len(shown) + len(answer.calls) > params.max_tool_calls:
                raise _too_many(f"The agent wants more than {params.max_tool_calls:,} tool calls.", answer, shown)
            results, more = await kit.use(turn, answer.calls)
            shown += more
            question = replace(question, turns=(*question.turns, answer.turn, Turn("user", tuple(results))))
        raise _too_many(f"The agent has no answer after {params.max_turns:,} turns.", answer, shown)

    async def _question(self, params: AgentParams, session: Session, kit: Kit, stand: Stand | None) -> Ask:
        system, turns = conversation(params.prompt, params.messages, params.attachments, params.system_prompt)
        question = question_of(params, system, await fetched(turns, session.peer, session.context))
        if stand is None:
            return replace(question, tools=kit.tools)
        if any(tool.name == ANSWER for tool in kit.tools):
            text = f"With `output_schema` no tool can be called {ANSWER!r}."
            raise NodeFailure("bad_tools", text, retryable=False)
        more = f"When you are done, call the tool {ANSWER} with your answer."
        system = f"{system}\n\n{more}" if system else more
        return replace(question, system=system, tools=(*kit.tools, stand.tool))


def _final(answer: Answer, stand: Stand | None, params: AgentParams) -> tuple[Any, list[dict[str, str]] | None]:
    """The answer, and what is wrong with it: None where it is one, nothing where the agent wants to go on working."""
    if stand is None:
        if answer.calls:
            return None, []
        cut = [{"path": "", "message": f"It was cut off after {params.max_tokens:,} tokens: raise `max_tokens`."}]
        return None, cut if answer.cut and not answer.text else None
    call = next((call for call in answer.calls if call.name == ANSWER), None)
    if call is None:
        return None, [] if answer.calls else [{"path": "", "message": f"Give your answer by the tool {ANSWER}."}]
    found, value = given(call.arguments, stand)
    problems = faults(params.output_schema or {}, value) if found else [{"path": "", "message": "It is no JSON."}]
    return value, problems or None


def _sent_back(answer: Answer, problems: list[dict[str, str]]) -> Turn:
    text = "\n".join(f"{problem['path'] or 'The answer'}: {problem['message']}" for problem in problems)
    if not answer.calls:
        return Turn("user", (Text(text),))
    results = [
        ToolResult(call.id, text if call.name == ANSWER else "Not run: answer or work.", True) for call in answer.calls
    ]
    return Turn("user", tuple(results))


def _check_budget(session: Session, params: AgentParams) -> None:
    spent, cost = session.spent, session.cost
    tokens = spent.input_tokens + spent.output_tokens
    over = ""
    if params.max_total_tokens and tokens >= params.max_total_tokens:
        over = f"{tokens:,} tokens; the bound is {params.max_total_tokens:,}"
    elif params.max_cost_usd and cost is not None and cost >= params.max_cost_usd:
        over = f"${cost:.4f}; the bound is ${params.max_cost_usd:g}"
    if over:
        details = {"usage": session.shown, "cost_usd": cost}
        raise NodeFailure(
            "ai_agent_budget", f"The agent has used {over}.", retryable=False, details=details, fresh=True
        )


def _too_many(text: str, answer: Answer, shown: list[dict[str, Any]]) -> NodeFailure:
    details = {"content": answer.text[:2000], "calls": shown[-20:]}
    return NodeFailure("ai_agent_turns", text, retryable=False, details=details, fresh=True)


def _completed(
    session: Session, answer: Answer, shown: list[dict[str, Any]], turns: int, more: dict[str, Any]
) -> Completed:
    return Completed(
        output={
            "content": answer.text,
            **more,
            "calls": shown,
            "turns": turns,
            "model": answer.model or session.peer.model,
            "finish_reason": answer.finish,
            "usage": session.shown,
            "cost_usd": session.cost,
        }
    )


node = Agent()

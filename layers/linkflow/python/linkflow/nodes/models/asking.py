"""Questions as nodes ask them: each call a step of the node run, answers held against a schema."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from linkflow.domain.steps import Spent, Usage
from linkflow.nodes.base import Context, NodeFailure
from linkflow.nodes.models.params import ModelParams, RepairParams
from linkflow.nodes.models.peers import Peer
from linkflow.nodes.models.pricing import usage_of
from linkflow.nodes.models.schemas import faults
from linkflow.nodes.models.talk import Answer, Ask, Text, Tool, ToolResult, Turn
from linkflow.nodes.steps import Done

MODEL = "model"
ANSWER = "answer"
"""The tool that stands in for a structured answer."""


class Session:
    """The calls of one node run. `spent` is what those of the run so far used, recorded ones included."""

    def __init__(
        self, peer: Peer, params: ModelParams, context: Context, hear: Callable[[str], None] | None = None
    ) -> None:
        self.peer = peer
        self.params = params
        self.context = context
        self.spent = Spent()
        self._hear = hear

    async def ask(self, id: str, question: Ask, said: Any = None) -> Answer:
        """Ask, or find what was answered. `said` is what of the question the history shall show."""

        async def work() -> Done:
            from linkflow.nodes.models import calling  # asyncio brings TLS with it

            answer = await calling.ask(self.peer, question, self.params, self.context, id, self._hear)
            return self.done(answer)

        name = f"{self.peer.provider.name} {self.peer.model}"[:200]
        done = await self.context.step(id, work, kind=MODEL, name=name, input=said)
        answer = msgspec.convert(done.output["answer"], Answer)
        self.spent = self.spent.and_(msgspec.convert(done.output["usage"], Usage))
        return answer

    def done(self, answer: Answer) -> Done:
        """The step that this answer is. Its usage is told twice: to be counted, and to be found again."""
        used = usage_of(self.peer.provider.name, self.peer.model, answer.tokens, self.params.prices)
        self.context.spent += used.cost or 0
        output = {"answer": msgspec.to_builtins(answer), "usage": msgspec.to_builtins(used)}
        return Done(output, usage=used)

    @property
    def cost(self) -> float | None:
        """US dollars so far; None where the price of a call is not known."""
        return None if self.spent.unpriced else self.spent.cost / 1_000_000_000

    @property
    def shown(self) -> dict[str, Any]:
        """Tokens as nodes hand them on."""
        spent = self.spent
        return {
            "prompt_tokens": spent.input_tokens,
            "completion_tokens": spent.output_tokens,
            "total_tokens": spent.input_tokens + spent.output_tokens,
            "cached_tokens": spent.cached_tokens,
        }


async def structured(
    session: Session, question: Ask, params: RepairParams, schema: Mapping[str, Any], said: Any = None
) -> tuple[Any, Answer]:
    """An answer that fits `schema`. Raises `NodeFailure` ``ai_invalid_output`` after the last repair."""
    question, tool = prepared(session.peer, question, params, schema)
    for round in range(params.repairs + 1):
        answer = await session.ask(f"{MODEL}/{round + 1}", question, said if not round else {"repair": round})
        found, value = _value(answer, tool)
        problems = faults(schema, value) if found else [{"path": "", "message": "The answer is no JSON."}]
        if not problems:
            return value, answer
        question = replace(question, turns=(*question.turns, answer.turn, _repair(answer, problems, tool)))
    details = {"problems": problems, "answer": answer.text[:2000] or value, "attempts": params.repairs + 1}
    text = f"The model's answer does not fit the schema: {problems[0]['message']}"
    if answer.cut:
        text = f"The answer was cut off after {params.max_tokens:,} tokens: raise `max_tokens`."
    raise NodeFailure("ai_invalid_output", text, retryable=False, details=details, fresh=True)


class Stand(msgspec.Struct, frozen=True):
    """The tool that a structured answer comes by. `wrapped`: as its argument `value`."""

    tool: Tool
    wrapped: bool


def stand_in(schema: Mapping[str, Any]) -> Stand:
    """A tool whose arguments are the answer; those are always an object."""
    is_object = schema.get("type") == "object"
    given = schema if is_object else {"type": "object", "properties": {"value": schema}, "required": ["value"]}
    return Stand(Tool(ANSWER, "Give the answer.", given), not is_object)


def prepared(peer: Peer, question: Ask, params: RepairParams, schema: Mapping[str, Any]) -> tuple[Ask, Stand | None]:
    """The question with what makes the model keep to the schema, and the tool that does it, if one does."""
    how = params.structured
    if how == "auto" and peer.provider.name == "compatible":  # who knows what such a server can
        how = "prompt"
    if how == "prompt":
        text = "Answer with JSON alone, without any other text, that fits this JSON Schema:\n"
        system = f"{question.system}\n\n" if question.system else ""
        return replace(question, system=f"{system}{text}{msgspec.json.encode(schema).decode()}"), None
    if peer.provider.answers_schema and schema.get("type") == "object":
        return replace(question, schema=schema), None
    stand = stand_in(schema)
    return replace(question, tools=(*question.tools, stand.tool), must=ANSWER), stand


def given(arguments: Any, stand: Stand) -> tuple[bool, Any]:
    """What came by the tool, and whether it is JSON at all."""
    if isinstance(arguments, str):
        return False, arguments
    if stand.wrapped and isinstance(arguments, dict) and "value" in arguments:
        return True, arguments["value"]
    return True, arguments


def _value(answer: Answer, tool: Stand | None) -> tuple[bool, Any]:
    for call in answer.calls if tool else ():
        if tool is not None and call.name == ANSWER:
            return given(call.arguments, tool)
    try:
        return True, msgspec.json.decode(bare(answer.text))
    except ValueError:
        return False, answer.text


def bare(text: str) -> str:
    """JSON without the fence that models like to put around it."""
    text = text.strip()
    if text.startswith("```") and text.endswith("```") and "\n" in text:
        return text[:-3].partition("\n")[2].strip()
    return text


def _repair(answer: Answer, problems: list[dict[str, str]], tool: Stand | None) -> Turn:
    lines = "\n".join(f"- {problem['path'] or 'the answer'}: {problem['message']}" for problem in problems)
    text = f"That does not fit the schema:\n{lines}\nAnswer again, with all of this mended."
    if tool and answer.calls:
        results = [ToolResult(call.id, text if call.name == ANSWER else "Not run.", True) for call in answer.calls]
        return Turn("user", tuple(results))
    return Turn("user", (Text(text),))

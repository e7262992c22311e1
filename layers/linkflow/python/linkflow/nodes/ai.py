"""Ask a language model. The output is ``{content, model, finish_reason, usage, cost_usd}``, with a schema also `data`.

`usage` is ``{prompt_tokens, completion_tokens, total_tokens, cached_tokens}`` whoever answers.
"""

from __future__ import annotations

import builtins
from typing import Any, ClassVar

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Call, Example, Refusal, Schema
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.fields import Text, ui
from linkflow.nodes.models.asking import MODEL, Session, structured
from linkflow.nodes.models.conversation import ATTACHMENTS, Attachment, Message, conversation, fetched
from linkflow.nodes.models.faults import FAULTS, INVALID, STEPS
from linkflow.nodes.models.params import SamplingParams, SchemaParams
from linkflow.nodes.models.peers import FAMILY, peer_of
from linkflow.nodes.models.talk import Ask
from linkflow.nodes.slots import Slot

SLOT = Slot(FAMILY, ("ai", "aws"), "The key of a provider; for Bedrock AWS keys.")

USAGE: Schema = {
    "type": "object",
    "properties": {
        "prompt_tokens": {"type": "integer"},
        "completion_tokens": {"type": "integer"},
        "total_tokens": {"type": "integer"},
        "cached_tokens": {"type": "integer", "description": "Of the prompt's."},
    },
}
COST: Schema = {"type": ["number", "null"], "description": "US dollars; null where the price is not known."}


class AiParams(SchemaParams):
    prompt: Text = Field("", json_schema_extra=ui("textarea"))
    messages: list[Message] = Field(default_factory=list, description="Instead of, or before, the prompt.")
    system_prompt: Text = Field(
        "", validation_alias=AliasChoices("system_prompt", "system"), json_schema_extra=ui("textarea")
    )
    attachments: list[Attachment] = Field(
        default_factory=list, description="Pictures that go with the prompt.", json_schema_extra=ATTACHMENTS
    )

    @model_validator(mode="after")
    def _asks_something(self) -> AiParams:
        if not {"prompt", "messages"} & self.model_fields_set:
            raise ValueError("there is nothing to ask: `prompt` or `messages`")
        return self


class Ai(Base):
    type: ClassVar[str] = "action_ai"
    aliases: ClassVar[tuple[str, ...]] = ("ai",)
    name: ClassVar[str] = "AI"
    description: ClassVar[str] = "Ask a language model."
    category: ClassVar[str] = "ai"
    params: ClassVar[builtins.type[Params]] = AiParams
    slots = (SLOT,)
    help = """
    Providers are OpenAI, Anthropic, Amazon Bedrock, and any server that speaks like OpenAI (`compatible`: Ollama, vLLM,
    LM Studio, gateways). A node may name an `endpoint`: it gets the node's own `api_key` and never a connection's.

    With `output_schema` the answer is JSON in `data`, and fits the schema or fails the node. Each call is a step of the
    run's history with its tokens and cost, and is never made twice once it is recorded (docs/ai.md).
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "content": {"type": "string"},
                "data": {"description": "With `output_schema`: the answer, as it fits the schema."},
                "model": {"type": "string"},
                "finish_reason": {"type": ["string", "null"]},
                "usage": USAGE,
                "cost_usd": COST,
            },
            "required": ["content", "model", "usage", "cost_usd"],
        }
    }
    faults = (*FAULTS, *STEPS, INVALID)
    examples = (
        Example(
            name="Summarize a text",
            config={"prompt": "Summarize: {{ input.text }}", "model": "gpt-4o"},
            input={"text": "A long story."},
            connections={"ai": {"api_key": "sk-example", "base_url": "http://models.example/v1"}},
            calls=(
                Call(
                    method="POST",
                    url="http://models.example/v1/chat/completions",
                    body={
                        "model": "gpt-4o",
                        "messages": [{"role": "user", "content": "Summarize: A long story."}],
                        "max_completion_tokens": 1024,
                    },
                    answer={
                        "model": "gpt-4o",
                        "choices": [{"message": {"role": "assistant", "content": "A story."}, "finish_reason": "stop"}],
                        "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
                    },
                ),
            ),
            output={
                "content": "A story.",
                "model": "gpt-4o",
                "finish_reason": "stop",
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12, "cached_tokens": 0},
                "cost_usd": 0.0000525,
            },
        ),
        Example(
            name="Take an order out of a letter",
            config={
                "prompt": "{{ input.letter }}",
                "provider": "anthropic",
                "model": "claude-sonnet-4-5",
                "output_schema": {
                    "type": "object",
                    "properties": {"item": {"type": "string"}, "count": {"type": "integer"}},
                    "required": ["item", "count"],
                },
            },
            input={"letter": "Please send three lamps."},
            connections={"ai": {"api_key": "sk-example", "base_url": "http://models.example/v1"}},
            calls=(
                Call(
                    method="POST",
                    url="http://models.example/v1/messages",
                    sends={"x-api-key": "sk-example"},
                    answer={
                        "model": "claude-sonnet-4-5",
                        "content": [
                            {"type": "tool_use", "id": "t1", "name": "answer", "input": {"item": "lamp", "count": 3}}
                        ],
                        "stop_reason": "tool_use",
                        "usage": {"input_tokens": 50, "output_tokens": 20},
                    },
                ),
            ),
            output={
                "content": "",
                "data": {"item": "lamp", "count": 3},
                "model": "claude-sonnet-4-5",
                "finish_reason": "tool_use",
                "usage": {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70, "cached_tokens": 0},
                "cost_usd": 0.00045,
            },
        ),
    )
    refuses = (
        Refusal({"model": "gpt-4o"}, "", "invalid_value"),
        Refusal({"prompt": "x", "attachments": [{}]}, "/attachments/0", "invalid_value"),
    )

    async def run(self, params: AiParams, context: Context) -> Outcome:
        peer = peer_of(params, context)
        system, turns = conversation(params.prompt, params.messages, params.attachments, params.system_prompt)
        question = question_of(params, system, await fetched(turns, peer, context))
        session = Session(peer, params, context, hearing(params.stream, context))
        said = {"system": system, "turns": turns} if system else {"turns": turns}
        more: dict[str, Any] = {}
        if params.output_schema is not None:
            more["data"], answer = await structured(session, question, params, params.output_schema, said)
        else:
            answer = await session.ask(f"{MODEL}/1", question, said)
        return Completed(
            output={
                "content": answer.text,
                **more,
                "model": answer.model or peer.model,
                "finish_reason": answer.finish,
                "usage": session.shown,
                "cost_usd": session.cost,
            }
        )


def question_of(params: SamplingParams, system: str, turns: Any) -> Ask:
    """A question with the settings of a node."""
    return Ask(
        turns=turns, system=system, max_tokens=params.max_tokens, temperature=params.temperature, top_p=params.top_p,
        stop=tuple(params.stop), seed=params.seed,
    )  # fmt: skip


def hearing(stream: bool, context: Context) -> Any:
    """Who hears an answer while it is written."""
    return (lambda text: context.say("text", text)) if stream else None


node = Ai()

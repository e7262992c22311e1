"""Ask a language model. The output is ``{content, model, finish_reason, usage}``.

`usage` is ``{prompt_tokens, completion_tokens, total_tokens}`` whoever answers.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import GOING_OUT, Call, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text, header_key
from linkflow.nodes.replies import failure, parse_json
from linkflow.nodes.slots import Slot

FAMILY = "ai"
_BASE_URLS = {"openai": "https://api.openai.com/v1", "anthropic": "https://api.anthropic.com/v1"}
_MODELS = {"openai": "gpt-4o", "anthropic": "claude-sonnet-4-5"}
Provider = Literal["", "openai", "anthropic", "compatible"]


class Message(Params):
    role: Literal["system", "user", "assistant"] = "user"
    content: Any


class AiParams(Params):
    provider: Provider = Field("", description="Left out: the connection's, else openai.")
    model: Text = Field("", description="Left out: the connection's, else the provider's default.")
    prompt: Text = ""
    messages: list[Message] = Field(default_factory=list, description="Instead of, or before, the prompt.")
    system_prompt: Text = Field("", validation_alias=AliasChoices("system_prompt", "system"))
    max_tokens: int = Field(1024, ge=1)
    temperature: float | None = Field(None, ge=0, le=2, description="Left out: the model's own.")
    timeout: float = Field(120, gt=0, le=600)
    endpoint: Text = Field(
        "", validation_alias=AliasChoices("endpoint", "base_url"), description="Its key must be in `api_key`, too."
    )
    api_key: Secret = ""

    @model_validator(mode="after")
    def _asks_something(self) -> AiParams:
        if not {"prompt", "messages"} & self.model_fields_set:
            raise ValueError("there is nothing to ask: `prompt` or `messages`")
        return self


@dataclass(frozen=True, slots=True)
class _Peer:
    provider: str
    base_url: str
    key: str
    model: str


class Ai(Base):
    type: ClassVar[str] = "action_ai"
    aliases: ClassVar[tuple[str, ...]] = ("ai",)
    name: ClassVar[str] = "AI"
    description: ClassVar[str] = "Ask a language model."
    category: ClassVar[str] = "ai"
    params: ClassVar[builtins.type[Params]] = AiParams
    slots = (Slot(FAMILY, ("ai",), "The key of a provider."),)
    help = """
    A node may name an `endpoint`: it gets the node's own `api_key` and never a connection's.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "content": {"type": "string"},
                "model": {"type": "string"},
                "finish_reason": {"type": ["string", "null"]},
                "usage": {
                    "type": "object",
                    "properties": {
                        "prompt_tokens": {"type": "integer"},
                        "completion_tokens": {"type": "integer"},
                        "total_tokens": {"type": "integer"},
                    },
                },
            },
            "required": ["content", "model", "usage"],
        }
    }
    faults = (
        Fault("ai_error", "The provider answered with an error; `details.status` says which.", True),
        Fault("ai_bad_answer", "The answer is no chat completion.", True),
        Fault("ai_wrong_provider", "The credential is for another provider."),
        Fault("no_credential", "There is no key."),
        *GOING_OUT,
    )
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
                "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
            },
        ),
    )
    refuses = (Refusal({"model": "gpt-4o"}, "", "invalid_value"),)

    async def run(self, params: AiParams, context: Context) -> Outcome:
        peer = _peer(params, connection(context, FAMILY))
        ask = _anthropic if peer.provider == "anthropic" else _openai
        path, headers, body = ask(params, peer)
        response = await context.http().request(
            "POST",
            peer.base_url.rstrip("/") + path,
            headers={
                "Content-Type": "application/json",
                "Idempotency-Key": header_key(context.idempotency_key),
                **headers,
            },
            content=msgspec.json.encode(body),
            timeout=params.timeout,
            follow_redirects=False,
        )
        if response.status_code >= 300:
            raise failure("ai_error", "The model's provider", response, context.now_ms)
        try:
            answer = parse_json(response.content)
            output = (_anthropic_answer if peer.provider == "anthropic" else _openai_answer)(answer)
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise NodeFailure("ai_bad_answer", "The provider's answer is not a chat completion.") from None
        return Completed(output={**output, "model": output["model"] or peer.model})


def _peer(params: AiParams, secrets: Mapping[str, Any]) -> _Peer:
    """Whom to ask. A connection's key never goes to an endpoint that the node's config names."""
    if params.endpoint:
        provider: str = params.provider or "compatible"
        return _Peer(
            provider, params.endpoint, params.api_key, params.model or _MODELS.get(provider, _MODELS["openai"])
        )
    if params.api_key:
        secrets = {"api_key": params.api_key}  # a key of the node's own goes to the provider's own address
    own = str(secrets.get("provider") or "")
    if own and params.provider and own != params.provider:
        raise NodeFailure(
            "ai_wrong_provider", f"The connection is for {own}, the node asks {params.provider}.", retryable=False
        )
    provider = params.provider or own or "openai"
    base_url, key = str(secrets.get("base_url") or ""), str(secrets.get("api_key") or "")
    if not base_url and (not key or provider not in _BASE_URLS):
        text = "AI is not set up: give the node a credential with an `api_key` (and its own `base_url`, if it has one)."
        raise NodeFailure("no_credential", text, retryable=False)
    model = params.model or str(secrets.get("model") or "") or _MODELS.get(provider, _MODELS["openai"])
    return _Peer(provider, base_url or _BASE_URLS[provider], key, model)


_Request = tuple[str, dict[str, str], dict[str, Any]]


def _conversation(params: AiParams) -> list[dict[str, Any]]:
    messages = [{"role": message.role, "content": message.content} for message in params.messages]
    return [*messages, {"role": "user", "content": params.prompt}] if params.prompt or not messages else messages


def _openai(params: AiParams, peer: _Peer) -> _Request:
    system = [{"role": "system", "content": params.system_prompt}] if params.system_prompt else []
    # OpenAI's newer models refuse the old name of the limit, and compatible servers may not know the new one.
    limit = "max_completion_tokens" if peer.provider == "openai" else "max_tokens"
    body: dict[str, Any] = {
        "model": peer.model,
        "messages": [*system, *_conversation(params)],
        limit: params.max_tokens,
    }
    if params.temperature is not None:
        body["temperature"] = params.temperature
    return "/chat/completions", {"Authorization": f"Bearer {peer.key}"} if peer.key else {}, body


def _openai_answer(answer: dict[str, Any]) -> dict[str, Any]:
    choice, usage = answer["choices"][0], answer.get("usage") or {}
    prompt, completion = usage.get("prompt_tokens", 0), usage.get("completion_tokens", 0)
    return {
        "content": choice["message"].get("content") or "",
        "model": answer.get("model"),
        "finish_reason": choice.get("finish_reason"),
        "usage": _usage(prompt, completion),
    }


def _anthropic(params: AiParams, peer: _Peer) -> _Request:
    talk = _conversation(params)
    system = [params.system_prompt, *(str(turn["content"]) for turn in talk if turn["role"] == "system")]
    turns = [turn for turn in talk if turn["role"] != "system"]
    body: dict[str, Any] = {"model": peer.model, "messages": turns, "max_tokens": params.max_tokens}
    if text := "\n\n".join(filter(None, system)):
        body["system"] = text
    if params.temperature is not None:
        body["temperature"] = params.temperature
    return "/messages", {"anthropic-version": "2023-06-01", **({"x-api-key": peer.key} if peer.key else {})}, body


def _anthropic_answer(answer: dict[str, Any]) -> dict[str, Any]:
    usage = answer.get("usage") or {}
    return {
        "content": "".join(part["text"] for part in answer["content"] if part.get("type") == "text"),
        "model": answer.get("model"),
        "finish_reason": answer.get("stop_reason"),
        "usage": _usage(usage.get("input_tokens", 0), usage.get("output_tokens", 0)),
    }


def _usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


node = Ai()

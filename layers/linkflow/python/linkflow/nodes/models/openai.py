"""OpenAI's chat completions, and whoever speaks like it: Ollama, vLLM, LM Studio, gateways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from linkflow.nodes.models.talk import (
    Answer,
    Ask,
    Image,
    Part,
    Raw,
    Request,
    Streamed,
    Text,
    Tokens,
    ToolCall,
    ToolResult,
    Turn,
    given,
)


class OpenAi:
    """`compatible` is for servers that know the older names, and may know no more than those."""

    default_model = "gpt-4o"

    def __init__(self, compatible: bool = False) -> None:
        self.name = "compatible" if compatible else "openai"
        self.base_url = "" if compatible else "https://api.openai.com/v1"
        self.answers_schema = True
        self._compatible = compatible

    def request(self, ask: Ask, model: str, key: str) -> Request:
        system = [{"role": "system", "content": ask.system}] if ask.system else []
        messages = [*system, *(message for turn in ask.turns for message in _messages(turn))]
        # OpenAI's newer models refuse the old name of the limit, and compatible servers may not know the new one.
        limit = "max_tokens" if self._compatible else "max_completion_tokens"
        body: dict[str, Any] = {"model": model, "messages": messages, limit: ask.max_tokens}
        body |= given(temperature=ask.temperature, top_p=ask.top_p, seed=ask.seed)
        if ask.stop:
            body["stop"] = list(ask.stop)
        if ask.tools:
            body["tools"] = [
                {"type": "function", "function": {"name": t.name, "description": t.description, "parameters": t.schema}}
                for t in ask.tools
            ]
        if ask.must:
            body["tool_choice"] = {"type": "function", "function": {"name": ask.must}}
        if ask.schema is not None:
            format = {"name": "answer", "schema": ask.schema, "strict": _is_strict(ask.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": format}
        return Request("/chat/completions", {"Authorization": f"Bearer {key}"} if key else {}, body)

    def answer(self, data: Any) -> Answer:
        choice, usage = data["choices"][0], data.get("usage") or {}
        message = choice["message"]
        calls = tuple(
            ToolCall(call.get("id") or f"call_{place}", call["function"]["name"], arguments(call["function"]))
            for place, call in enumerate(message.get("tool_calls") or ())
        )
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        finish = choice.get("finish_reason")
        refused = message.get("refusal") or ("the content filter stopped it" if finish == "content_filter" else "")
        return Answer(
            message.get("content") or "", calls, data.get("model") or "", finish,
            Tokens(usage.get("prompt_tokens") or 0, usage.get("completion_tokens") or 0, cached),
            refused, finish == "length",
        )  # fmt: skip

    def stream(self, request: Request) -> tuple[Request, Streamed] | None:
        body = {**request.body, "stream": True, "stream_options": {"include_usage": True}}
        return replace(request, body=body), _Pieces()

    def fault(self, status: int, body: Any) -> str:
        error = body.get("error") if isinstance(body, dict) else None
        code = str(error.get("code") or "") if isinstance(error, dict) else ""
        text = str(error.get("message") if isinstance(error, dict) else error or body)[:2000].lower()
        if code == "context_length_exceeded" or "context length" in text or "context window" in text:
            return "ai_context_too_long"
        if code == "insufficient_quota":
            return "ai_quota"
        return "ai_unknown_model" if code == "model_not_found" else ""


def arguments(function: Mapping[str, Any]) -> Any:
    """What a model gave a tool: JSON in text. What is none goes on as text, for the model to be told."""
    given = function.get("arguments")
    if not isinstance(given, str):
        return given if given is not None else {}
    try:
        return msgspec.json.decode(given) if given.strip() else {}
    except ValueError:
        return given


def _messages(turn: Turn) -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = [
        {"role": "tool", "tool_call_id": part.id, "content": part.text}
        for part in turn.parts
        if isinstance(part, ToolResult)
    ]
    calls = [
        {
            "id": part.id,
            "type": "function",
            "function": {"name": part.name, "arguments": msgspec.json.encode(part.arguments).decode()},
        }
        for part in turn.parts
        if isinstance(part, ToolCall)
    ]
    said = [part for part in turn.parts if not isinstance(part, ToolCall | ToolResult)]
    if not said and not calls:
        return results
    message: dict[str, Any] = {"role": turn.role, "content": _content(said)}
    if calls:
        message["tool_calls"] = calls
    return [*results, message]


def _content(parts: Sequence[Part]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_part(part) for part in parts] if parts else None


def _part(part: Part) -> Any:
    if isinstance(part, Image):
        url = part.url or f"data:{part.media_type};base64,{part.data}"
        return {"type": "image_url", "image_url": {"url": url}}
    return part.value if isinstance(part, Raw) else {"type": "text", "text": getattr(part, "text", "")}


def _is_strict(schema: Any) -> bool:
    """Does it keep to what OpenAI asks of a schema that it is to hold to: every object closed, every field required?"""
    if isinstance(schema, list):
        return all(map(_is_strict, schema))
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = schema.get("properties") or {}
        if schema.get("additionalProperties") is not False or set(schema.get("required") or ()) != set(names):
            return False
    return all(map(_is_strict, schema.values()))


class _Pieces:
    """Chunks of a streamed chat completion."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: dict[int, dict[str, Any]] = {}
        self._finish: str | None = None
        self._usage: Any = None

    def feed(self, data: Mapping[str, Any]) -> str:
        if data.get("error"):
            raise ValueError("the stream broke off")
        self._head = {**self._head, "model": data.get("model") or self._head.get("model")}
        self._usage = data.get("usage") or self._usage
        said = ""
        for choice in data.get("choices") or ():
            delta = choice.get("delta") or {}
            said += delta.get("content") or ""
            self._refusal.append(delta.get("refusal") or "")
            for piece in delta.get("tool_calls") or ():
                self._call(piece)
            self._finish = choice.get("finish_reason") or self._finish
        self._text.append(said)
        return said

    def _call(self, piece: Mapping[str, Any]) -> None:
        at = int(piece.get("index") or 0)
        call = self._calls.setdefault(at, {"id": "", "function": {"name": "", "arguments": ""}})
        call["id"] = piece.get("id") or call["id"]
        function = piece.get("function") or {}
        call["function"]["name"] += function.get("name") or ""
        call["function"]["arguments"] += function.get("arguments") or ""

    def whole(self) -> dict[str, Any]:
        if self._finish is None:
            raise ValueError("the stream broke off")
        message = {
            "content": "".join(self._text),
            "refusal": "".join(self._refusal) or None,
            "tool_calls": [self._calls[at] for at in sorted(self._calls)],
        }
        choice = {"message": message, "finish_reason": self._finish}
        return {**self._head, "choices": [choice], "usage": self._usage}

"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Mapping
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
    given,
)


class Anthropic:
    name = "anthropic"
    base_url = "https://api.anthropic.com/v1"
    default_model = "claude-sonnet-4-5"
    answers_schema = False

    def request(self, ask: Ask, model: str, key: str) -> Request:
        turns = [
            {"role": turn.role, "content": _content(turn.parts)} for turn in ask.turns if turn.parts
        ]  # the service refuses a turn in which nothing is said
        body: dict[str, Any] = {"model": model, "messages": turns, "max_tokens": ask.max_tokens}
        if ask.system:
            body["system"] = ask.system
        body |= given(temperature=ask.temperature, top_p=ask.top_p)
        if ask.stop:
            body["stop_sequences"] = list(ask.stop)
        if ask.tools:
            body["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": tool.schema} for tool in ask.tools
            ]
        if ask.must:
            body["tool_choice"] = {"type": "tool", "name": ask.must}
        return Request("/messages", {"anthropic-version": "2023-06-01", **({"x-api-key": key} if key else {})}, body)

    def answer(self, data: Any) -> Answer:
        usage, parts, finish = data.get("usage") or {}, data["content"], data.get("stop_reason")
        cached = usage.get("cache_read_input_tokens") or 0
        fresh = (usage.get("input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
        return Answer(
            "".join(part["text"] for part in parts if part.get("type") == "text"),
            tuple(
                ToolCall(part["id"], part["name"], part["input"]) for part in parts if part.get("type") == "tool_use"
            ),
            data.get("model") or "",
            finish,
            Tokens(fresh + cached, usage.get("output_tokens") or 0, cached),
            "it refused" if finish == "refusal" else "",
            finish in ("max_tokens", "model_context_window_exceeded"),
        )

    def stream(self, request: Request) -> tuple[Request, Streamed] | None:
        return replace(request, body={**request.body, "stream": True}), _Pieces()

    def fault(self, status: int, body: Any) -> str:
        error = body.get("error") if isinstance(body, dict) else None
        text = str(error.get("message") or "").lower() if isinstance(error, dict) else ""
        if "prompt is too long" in text or "exceed context limit" in text:
            return "ai_context_too_long"
        return "ai_quota" if "credit balance is too low" in text else ""


def _content(parts: tuple[Part, ...]) -> Any:
    if len(parts) == 1 and isinstance(parts[0], Text):
        return parts[0].text
    return [_part(part) for part in parts]


def _part(part: Part) -> Any:
    if isinstance(part, Text):
        return {"type": "text", "text": part.text}
    if isinstance(part, Image):
        by_url = {"type": "url", "url": part.url}
        source = by_url if part.url else {"type": "base64", "media_type": part.media_type, "data": part.data}
        return {"type": "image", "source": source}
    if isinstance(part, ToolCall):
        given = part.arguments if isinstance(part.arguments, dict) else {"arguments": part.arguments}
        return {"type": "tool_use", "id": part.id, "name": part.name, "input": given}
    if isinstance(part, ToolResult):
        failed = {"is_error": True} if part.failed else {}
        return {"type": "tool_result", "tool_use_id": part.id, "content": part.text, **failed}
    return part.value if isinstance(part, Raw) else None


class _Pieces:
    """Events of a streamed message."""

    def __init__(self) -> None:
        self._message: dict[str, Any] = {}
        self._parts: dict[int, dict[str, Any]] = {}
        self._given: dict[int, str] = {}
        self._over = False

    def feed(self, data: Mapping[str, Any]) -> str:
        kind, at = data.get("type"), int(data.get("index") or 0)
        if kind == "message_start":
            self._message = dict(data["message"])
        elif kind == "content_block_start":
            self._parts[at] = dict(data["content_block"])
        elif kind == "content_block_delta":
            return self._delta(at, data["delta"])
        elif kind == "message_delta":
            self._message["stop_reason"] = data["delta"].get("stop_reason")
            self._message["usage"] = {**(self._message.get("usage") or {}), **(data.get("usage") or {})}
        elif kind == "message_stop":
            self._over = True
        elif kind == "error":
            raise ValueError(str((data.get("error") or {}).get("message") or "the stream broke off"))
        return ""

    def _delta(self, at: int, delta: Mapping[str, Any]) -> str:
        if delta.get("type") == "text_delta":
            self._parts[at]["text"] = self._parts[at].get("text", "") + delta["text"]
            return str(delta["text"])
        if delta.get("type") == "input_json_delta":
            self._given[at] = self._given.get(at, "") + delta["partial_json"]
        return ""

    def whole(self) -> dict[str, Any]:
        if not self._over:
            raise ValueError("the stream broke off")
        for at, text in self._given.items():
            self._parts[at]["input"] = msgspec.json.decode(text) if text.strip() else {}
        return {**self._message, "content": [self._parts[at] for at in sorted(self._parts)]}

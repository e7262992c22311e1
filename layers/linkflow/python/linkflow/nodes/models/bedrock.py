"""Amazon Bedrock: the Converse API, which is one for all models there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import msgspec
from msgspec.structs import replace

from linkflow.nodes.models.streams import FRAMES
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

SERVICE = "bedrock"
REGION = re.compile(r"[a-z]{2}(-[a-z]+){1,3}-\d{1,2}")


def address(region: str) -> str:
    """The service's address in a region. Raises `ValueError` for a text that names none."""
    if not REGION.fullmatch(region):
        raise ValueError(f"{region[:40]!r} is no AWS region")
    return f"https://bedrock-runtime.{region}.amazonaws.com"


class Bedrock:
    name = "bedrock"
    base_url = ""
    default_model = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
    answers_schema = False

    def request(self, ask: Ask, model: str, key: str) -> Request:
        turns: list[dict[str, Any]] = []
        for turn in ask.turns:
            content = [_part(part) for part in turn.parts]
            if turns and turns[-1]["role"] == turn.role:  # the service wants them to take turns
                turns[-1]["content"] += content
            elif content:
                turns.append({"role": turn.role, "content": content})
        how: dict[str, Any] = {"maxTokens": ask.max_tokens, **given(temperature=ask.temperature, topP=ask.top_p)}
        if ask.stop:
            how["stopSequences"] = list(ask.stop)
        body: dict[str, Any] = {"messages": turns, "inferenceConfig": how}
        if ask.system:
            body["system"] = [{"text": ask.system}]
        if ask.tools:
            tools = [
                {
                    "toolSpec": {
                        "name": t.name,
                        "description": t.description or t.name,
                        "inputSchema": {"json": t.schema},
                    }
                }
                for t in ask.tools
            ]
            body["toolConfig"] = {"tools": tools, **({"toolChoice": {"tool": {"name": ask.must}}} if ask.must else {})}
        return Request(f"/model/{quote(model, safe='')}/converse", _bearer(key), body)

    def answer(self, data: Any) -> Answer:
        parts, usage, finish = data["output"]["message"]["content"], data.get("usage") or {}, data.get("stopReason")
        calls = [part["toolUse"] for part in parts if "toolUse" in part]
        cached = usage.get("cacheReadInputTokens") or 0
        fresh = (usage.get("inputTokens") or 0) + (usage.get("cacheWriteInputTokens") or 0)
        stopped = {
            "guardrail_intervened": "a guardrail stopped it",
            "content_filtered": "the content filter stopped it",
        }
        return Answer(
            "".join(part["text"] for part in parts if "text" in part),
            tuple(ToolCall(call["toolUseId"], call["name"], call["input"]) for call in calls),
            "",
            finish,
            Tokens(fresh + cached, usage.get("outputTokens") or 0, cached),
            stopped.get(str(finish), "it refused" if finish == "refusal" else ""),
            finish in ("max_tokens", "model_context_window_exceeded"),
        )

    def stream(self, request: Request) -> tuple[Request, Streamed] | None:
        headers = {**request.headers, "Accept": FRAMES}
        return replace(request, path=f"{request.path}-stream", headers=headers), _Pieces()

    def fault(self, status: int, body: Any) -> str:
        text = str(body.get("message") or body.get("Message") or "").lower() if isinstance(body, dict) else ""
        if "too long" in text or "too many input tokens" in text or "context window" in text:
            return "ai_context_too_long"
        known = "model identifier is invalid" in text or "could not resolve the foundation model" in text
        return "ai_unknown_model" if known else ""


class _Pieces:
    """Events of a streamed conversation."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[str, Any]] = {}
        self._given: dict[int, str] = {}
        self._usage: dict[str, Any] = {}
        self._finish: str | None = None

    def feed(self, data: Mapping[str, Any]) -> str:
        kind = next(iter(data), "")
        event: Mapping[str, Any] = data[kind] if kind else {}
        at = int(event.get("contentBlockIndex") or 0)
        if kind == "contentBlockStart" and "toolUse" in event.get("start", {}):
            self._parts[at] = {"toolUse": {**event["start"]["toolUse"], "input": {}}}
        elif kind == "contentBlockDelta":
            return self._delta(at, event["delta"])
        elif kind == "messageStop":
            self._finish = str(event.get("stopReason") or "")
        elif kind == "metadata":
            self._usage = event.get("usage") or {}
        elif kind.lower().endswith("exception"):
            raise ValueError(str(event.get("message") or "the stream broke off"))
        return ""

    def _delta(self, at: int, delta: Mapping[str, Any]) -> str:
        if "toolUse" in delta:
            self._given[at] = self._given.get(at, "") + delta["toolUse"]["input"]
        if "text" not in delta:
            return ""
        part = self._parts.setdefault(at, {"text": ""})
        part["text"] += delta["text"]
        return str(delta["text"])

    def whole(self) -> dict[str, Any]:
        if self._finish is None:
            raise ValueError("the stream broke off")
        for at, text in self._given.items():
            self._parts[at]["toolUse"]["input"] = msgspec.json.decode(text) if text.strip() else {}
        content = [self._parts[at] for at in sorted(self._parts)]
        return {"output": {"message": {"content": content}}, "stopReason": self._finish, "usage": self._usage}


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def _part(part: Part) -> Any:
    if isinstance(part, Text):
        return {"text": part.text}
    if isinstance(part, Image):
        kind = part.media_type.partition("/")[2].replace("jpg", "jpeg") or "png"
        return {"image": {"format": kind, "source": {"bytes": part.data}}}
    if isinstance(part, ToolCall):
        given = part.arguments if isinstance(part.arguments, dict) else {"arguments": part.arguments}
        return {"toolUse": {"toolUseId": part.id, "name": part.name, "input": given}}
    if isinstance(part, ToolResult):
        status = {"status": "error"} if part.failed else {}
        return {"toolResult": {"toolUseId": part.id, "content": [{"text": part.text}], **status}}
    return part.value if isinstance(part, Raw) else None

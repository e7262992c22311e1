"""A conversation with a model, in words that belong to no provider."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from msgspec import Struct, field


class Text(Struct, frozen=True, tag="text"):
    text: str


class Image(Struct, frozen=True, omit_defaults=True, tag="image"):
    """By `url`, or as base64 `data` with its `media_type` (``image/png``)."""

    url: str = ""
    data: str = ""
    media_type: str = ""


class ToolCall(Struct, frozen=True, tag="call"):
    """A model asks for a tool. `arguments` are what it gave, also where they do not fit."""

    id: str
    name: str
    arguments: Any


class ToolResult(Struct, frozen=True, omit_defaults=True, tag="result"):
    id: str
    text: str
    failed: bool = False


class Raw(Struct, frozen=True, tag="raw"):
    """A part in the provider's own form, passed on as it is."""

    value: Any


Part = Text | Image | ToolCall | ToolResult | Raw


class Turn(Struct, frozen=True):
    """`role` is ``user`` or ``assistant``; results of tools are the user's."""

    role: str
    parts: tuple[Part, ...]


class Tool(Struct, frozen=True):
    """What a model may call. `schema` is the JSON Schema of its arguments, an object's."""

    name: str
    description: str
    schema: Mapping[str, Any]


class Ask(Struct, frozen=True, kw_only=True):
    """A question. `must` names a tool that has to be called; `schema` is what the answer's text has to fit, for
    providers that see to it themselves."""

    turns: tuple[Turn, ...]
    system: str = ""
    tools: tuple[Tool, ...] = ()
    must: str = ""
    schema: Mapping[str, Any] | None = None
    max_tokens: int = 1024
    temperature: float | None = None
    top_p: float | None = None
    stop: tuple[str, ...] = ()
    seed: int | None = None


def given(**settings: Any) -> dict[str, Any]:
    """Those that are set."""
    return {name: value for name, value in settings.items() if value is not None}


class Tokens(Struct, frozen=True, omit_defaults=True):
    """`input` includes `cached` ones, whoever answers."""

    input: int = 0
    output: int = 0
    cached: int = 0


class Answer(Struct, frozen=True, omit_defaults=True):
    """What a model said. `finish` is the provider's own word for why it stopped; `refused` is why it would not answer,
    and `cut` that it stopped for want of tokens."""

    text: str = ""
    calls: tuple[ToolCall, ...] = ()
    model: str = ""
    finish: str | None = None
    tokens: Tokens = field(default_factory=Tokens)
    refused: str = ""
    cut: bool = False

    @property
    def turn(self) -> Turn:
        """The same as a part of the conversation."""
        said: tuple[Part, ...] = (Text(self.text),) if self.text else ()
        return Turn("assistant", (*said, *self.calls))


class Request(Struct, frozen=True):
    """What goes out: behind the provider's address, before it is signed."""

    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


class Streamed(Protocol):
    """Puts a streamed answer together."""

    def feed(self, data: Mapping[str, Any]) -> str:
        """The next event; returns text that came with it."""
        ...

    def whole(self) -> dict[str, Any]:
        """The answer as it would have come in one piece. Raises `ValueError` where the end is missing."""
        ...


class Provider(Protocol):
    """One provider's protocol. Nothing of it goes out: see `calling`."""

    name: str
    base_url: str
    """Its public address; empty where that depends, or where there is none."""
    default_model: str
    answers_schema: bool
    """Does it see to `Ask.schema` itself? Else a tool that must be called stands in for it."""

    def request(self, ask: Ask, model: str, key: str) -> Request: ...

    def answer(self, data: Any) -> Answer:
        """Raises `ValueError`, `KeyError`, `TypeError`, `IndexError` or `AttributeError` for what is no answer."""
        ...

    def stream(self, request: Request) -> tuple[Request, Streamed] | None:
        """The same request, streamed; None where it cannot be."""
        ...

    def fault(self, status: int, body: Any) -> str:
        """What an error is, where the status does not tell: a code of `faults.FAULTS`, or nothing."""
        ...

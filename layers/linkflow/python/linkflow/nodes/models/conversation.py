"""From what an author wrote to a conversation: prompt, messages, pictures."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.nodes.base import Context, NodeFailure, Params
from linkflow.nodes.fields import Text as TextField
from linkflow.nodes.fields import to_text, ui
from linkflow.nodes.going import Going
from linkflow.nodes.models.peers import Peer
from linkflow.nodes.models.talk import Image, Part, Raw, Text, Turn

MOST_IMAGE = 5 * 1024 * 1024
"""Bytes of a picture that is fetched."""
_KINDS = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF8": "image/gif", b"RIFF": "image/webp"}


class Message(Params):
    role: Literal["system", "user", "assistant"] = "user"
    content: Any = Field(description="Text; or parts: {type: text, text} and {type: image, url | data, media_type}.")


class Attachment(Params):
    """A picture: by `url`, or as base64 `data`."""

    url: TextField = ""
    data: TextField = Field("", validation_alias=AliasChoices("data", "base64"))
    media_type: TextField = Field("", description="Left out: told from the data.")

    @model_validator(mode="after")
    def _is_something(self) -> Attachment:
        if bool(self.url) == bool(self.data):
            raise ValueError("an attachment has a `url` or `data`")
        return self


ATTACHMENTS = ui(group="Attachments")


def image(url: str = "", data: str = "", media_type: str = "") -> Image:
    """A picture; a data URL is taken apart. Raises `NodeFailure` ``ai_bad_image`` for data that is no base64."""
    if url.startswith("data:"):
        head, _, data = url.removeprefix("data:").partition(",")
        return image("", data, head.removesuffix(";base64"))
    if url:
        return Image(url=url)
    try:
        start = base64.b64decode(data, validate=True)[:8]
    except ValueError:
        raise NodeFailure("ai_bad_image", "An attachment's data is no base64.", retryable=False) from None
    found = next((kind for sign, kind in _KINDS.items() if start.startswith(sign)), "image/png")
    return Image(data=data, media_type=media_type or found)


def conversation(
    prompt: str, messages: Sequence[Message], attachments: Sequence[Attachment], system: str
) -> tuple[str, tuple[Turn, ...]]:
    """The system prompt, and the turns: messages first, then the prompt with its pictures."""
    systems = [system, *(_plain(message.content) for message in messages if message.role == "system")]
    turns = [Turn(message.role, _parts(message.content)) for message in messages if message.role != "system"]
    pictures = tuple(image(one.url, one.data, one.media_type) for one in attachments)
    if prompt or pictures or not turns:
        turns.append(Turn("user", (*pictures, *((Text(prompt),) if prompt or not pictures else ()))))
    return "\n\n".join(filter(None, systems)), tuple(turns)


def _plain(content: Any) -> str:
    return "".join(part.text for part in _parts(content) if isinstance(part, Text))


def _parts(content: Any) -> tuple[Part, ...]:
    if isinstance(content, list):
        return tuple(_part(part) for part in content)
    return (Text(to_text(content)),)


def _part(part: Any) -> Part:
    """A part in our spelling, OpenAI's or Anthropic's; what is none of these goes on as it is."""
    if not isinstance(part, dict):
        return Text(str(part))
    kind = part.get("type")
    if kind == "text" and isinstance(part.get("text"), str):
        return Text(part["text"])
    if kind == "image_url":
        found = part.get("image_url")
        return image(str(found.get("url") if isinstance(found, dict) else found))
    if kind == "image" and ("url" in part or "data" in part):
        return image(str(part.get("url") or ""), str(part.get("data") or ""), str(part.get("media_type") or ""))
    return Raw(part)


async def fetched(turns: tuple[Turn, ...], peer: Peer, context: Context) -> tuple[Turn, ...]:
    """The turns with pictures in them, for a provider that does not fetch any by itself."""
    if peer.provider.name != "bedrock":
        return turns
    return tuple([Turn(turn.role, tuple([await _fetched(part, context) for part in turn.parts])) for turn in turns])


async def _fetched(part: Part, context: Context) -> Part:
    if not isinstance(part, Image) or not part.url:
        return part
    response = await context.http().request("GET", part.url, going=Going(max_body=MOST_IMAGE))
    kind = response.headers.get("content-type", "").partition(";")[0].strip()
    if response.status_code != 200 or not kind.startswith("image/"):
        text = f"The picture cannot be had: {response.status_code}, {kind[:40] or 'no type'}."
        raise NodeFailure("ai_bad_image", text, retryable=response.status_code >= 500)
    return Image(data=base64.b64encode(response.content).decode(), media_type=kind)

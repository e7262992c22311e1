"""Embeddings: vectors for texts, by provider."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from linkflow.nodes.models.peers import Peer
from linkflow.nodes.models.talk import Request, Tokens

Vectors = list[list[float]]

DEFAULTS = {
    "openai": "text-embedding-3-small",
    "bedrock": "amazon.titan-embed-text-v2:0",
    "compatible": "nomic-embed-text",
}
"""Models, where nobody names one. Anthropic has none."""


def at_once(peer: Peer, size: int) -> int:
    """How many texts go in one call."""
    if peer.provider.name == "bedrock":
        return min(size, 96) if _is_cohere(peer) else 1
    return size


def request(peer: Peer, texts: Sequence[str], dimensions: int | None) -> Request:
    if peer.provider.name != "bedrock":
        body: dict[str, Any] = {"model": peer.model, "input": list(texts), "encoding_format": "float"}
        if dimensions:
            body["dimensions"] = dimensions
        return Request("/embeddings", {"Authorization": f"Bearer {peer.key}"} if peer.key else {}, body)
    headers = {"Authorization": f"Bearer {peer.key}"} if peer.key else {}
    path = f"/model/{quote(peer.model, safe='')}/invoke"
    if _is_cohere(peer):
        return Request(path, headers, {"texts": list(texts), "input_type": "search_document"})
    return Request(path, headers, {"inputText": texts[0], **({"dimensions": dimensions} if dimensions else {})})


def answer(peer: Peer, data: Any, count: int) -> tuple[Vectors, Tokens]:
    """The vectors in the texts' order. Raises `ValueError`, `KeyError` or `TypeError` for what is none."""
    if peer.provider.name != "bedrock":
        found = sorted(data["data"], key=lambda one: int(one["index"]))
        vectors, used = [one["embedding"] for one in found], (data.get("usage") or {}).get("prompt_tokens") or 0
    elif _is_cohere(peer):
        vectors, used = data["embeddings"], 0
    else:
        vectors, used = [data["embedding"]], data.get("inputTextTokenCount") or 0
    if len(vectors) != count:
        raise ValueError("there are not as many vectors as texts")
    return [[_short(float(number)) for number in vector] for vector in vectors], Tokens(int(used))


def _short(number: float) -> float:
    """The number with as many digits as tell it apart from others of 32 bits, which is what models give."""
    narrow: float = struct.unpack("f", struct.pack("f", number))[0]
    for digits in (6, 7, 8):
        text = f"{narrow:.{digits}g}"
        if struct.unpack("f", struct.pack("f", float(text)))[0] == narrow:
            return float(text)
    return float(f"{narrow:.9g}")


def _is_cohere(peer: Peer) -> bool:
    return "cohere." in peer.model

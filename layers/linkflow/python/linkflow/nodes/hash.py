"""The hash of a text or of any JSON value. The output is ``{hash, algorithm}``."""

from __future__ import annotations

import base64
import builtins
import hashlib
from typing import Any, ClassVar, Literal

from pydantic import AliasChoices, Field

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.items import identity

Algorithm = Literal["sha256", "sha384", "sha512", "sha3_256", "sha3_512", "blake2b", "sha1", "md5"]
Encoding = Literal["hex", "base64", "base64url"]


class HashParams(Params):
    value: Any = Field(
        None,
        validation_alias=AliasChoices("value", "data", "text"),
        description="Text as it is; anything else as JSON with its names in order. Left out: the input.",
    )
    algorithm: Algorithm = Field("sha256", description="sha1 and md5 are for old systems, not for safety.")
    encoding: Encoding = "hex"


class Hash(Base):
    type: ClassVar[str] = "hash"
    aliases: ClassVar[tuple[str, ...]] = ()
    name: ClassVar[str] = "Hash"
    description: ClassVar[str] = "Make the hash of a text or a JSON value."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = HashParams
    produces = {
        "main": {
            "type": "object",
            "properties": {"hash": {"type": "string"}, "algorithm": {"type": "string"}},
            "required": ["hash", "algorithm"],
        }
    }
    examples = (
        Example(
            name="A fingerprint of an order",
            config={"value": "{{ input }}", "encoding": "base64url"},
            input={"b": 2, "a": 1},
            output={"hash": "QyWM_3g_5wNtikMDP4MK38YOwDc4JHNUisdCuIgpJ3c", "algorithm": "sha256"},
        ),
    )
    refuses = (Refusal({"algorithm": "crc32"}, "/algorithm", "invalid_value"),)

    def run(self, params: HashParams, context: Context) -> Outcome:
        value = params.value if "value" in params.model_fields_set else context.input
        made = encoded(digest(params.algorithm, as_bytes(value)), params.encoding)
        return Completed(output={"hash": made, "algorithm": params.algorithm})


def digest(algorithm: str, data: bytes) -> bytes:
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


def as_bytes(value: Any) -> bytes:
    """Text in UTF-8; anything else as JSON without blanks, with its names in order."""
    return value.encode() if isinstance(value, str) else identity(value)


def encoded(data: bytes, encoding: str) -> str:
    """Bytes as text: hex, base64, or base64 for URLs without its padding."""
    if encoding == "hex":
        return data.hex()
    if encoding == "base64":
        return base64.b64encode(data).decode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


node = Hash()

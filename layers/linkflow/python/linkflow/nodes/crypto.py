"""Hashes, signatures and chance: hash, HMAC, sign and verify, ids and random tokens.

It is no pure type although it goes nowhere: it reads a key, and what chance gives has to be recorded once.
"""

from __future__ import annotations

import base64
import binascii
import builtins
import hashlib
import hmac
import secrets
import uuid
from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import AliasChoices, BeforeValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.connections import connection
from linkflow.nodes.fields import Secret, Text, ui
from linkflow.nodes.hash import Algorithm as HashAlgorithm
from linkflow.nodes.hash import Encoding, as_bytes, digest, encoded
from linkflow.nodes.slots import Slot

SLOT = "signing_key"
HMACS = ("hmac-sha256", "hmac-sha512", "hmac-sha1")
HASHES = get_args(HashAlgorithm)
Algorithm = Literal[
    "", "hmac-sha256", "hmac-sha512", "hmac-sha1", "ed25519", "rsa-sha256", "rsa-pss-sha256", "ecdsa-sha256",
    HashAlgorithm,
]  # fmt: skip


class CryptoParams(Params):
    operation: Annotated[
        Literal["sign", "verify", "hash", "uuid", "random"],
        BeforeValidator(lambda value: "sign" if value == "hmac" else value),
    ] = Field(description="sign makes an HMAC as well, also if it is called hmac.")
    value: Any = Field(
        None,
        validation_alias=AliasChoices("value", "data", "text"),
        description="Text is signed as it is, anything else as JSON with its names in order. Left out: the input.",
    )
    algorithm: Algorithm = Field(
        "", description="Left out: hmac-sha256, or sha256 for hash. sha256, sha512 and sha1 mean an HMAC elsewhere."
    )
    signature: Text = Field("", description="Operation verify: what came with the value.")
    public_key: Text = Field(
        "", description="Operation verify, not for HMAC: the key in PEM.", json_schema_extra=ui("textarea")
    )
    encoding: Encoding = "hex"
    secret: Secret = Field("", description="A key in the config; the credential is the better place.")
    bytes: Annotated[int, Field(ge=1, le=1024)] = Field(32, description="Operation random.")
    uuid_version: Literal[4, 7] = Field(4, description="Operation uuid; 7 sorts by time.")

    @model_validator(mode="after")
    def _fits(self) -> CryptoParams:
        if self.operation == "hash":
            self.algorithm = self.algorithm or "sha256"
        elif self.operation in ("sign", "verify") and self.algorithm in ("", "sha256", "sha512", "sha1"):
            self.algorithm = f"hmac-{self.algorithm or 'sha256'}"  # type: ignore[assignment]
        if self.algorithm and (self.algorithm in HASHES) != (self.operation == "hash"):
            raise ValueError(f"operation {self.operation} has no algorithm {self.algorithm}")
        return self

    @model_validator(mode="after")
    def _can_verify(self) -> CryptoParams:
        if self.operation == "verify" and "signature" not in self.model_fields_set:
            raise ValueError("operation verify needs a `signature`")
        if self.operation == "verify" and self.algorithm not in HMACS and "public_key" not in self.model_fields_set:
            raise ValueError(f"to verify {self.algorithm} the node needs a `public_key`")
        return self


class Crypto(Base):
    type: ClassVar[str] = "crypto"
    aliases: ClassVar[tuple[str, ...]] = ("action_crypto",)
    name: ClassVar[str] = "Crypto"
    description: ClassVar[str] = "Hash, sign and verify, and make ids and random tokens."
    category: ClassVar[str] = "data"
    acts: ClassVar[bool | None] = False
    params: ClassVar[builtins.type[Params]] = CryptoParams
    slots = (Slot(SLOT, ("signing_key",), "The key of an HMAC, or a private key in PEM."),)
    help = """
    The result is recorded once: whatever is retried or replayed later sees the same id and the same token. What is
    random is in the run's history, so who may read the run may read it. A hash
    alone is quicker by the pure [Hash](hash.md).

    `verify` does not fail where a signature is wrong: it says `valid: false`. Signatures are compared in constant time.
    `ecdsa-sha256` signatures are in DER.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "signature": {"type": "string"},
                "valid": {"type": "boolean", "description": "Operation verify."},
                "hash": {"type": "string"},
                "uuid": {"type": "string"},
                "random": {"type": "string"},
                "algorithm": {"type": "string"},
            },
        }
    }
    faults = (
        Fault("no_credential", "There is no key."),
        Fault("bad_credential", "The key is none for this algorithm."),
    )
    examples = (
        Example(
            name="Sign a payload",
            config={"operation": "sign", "value": "{{ input.body }}"},
            input={"body": "what do ya want for nothing?"},
            connections={"signing_key": {"secret": "Jefe"}},
            output={
                "signature": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                "algorithm": "hmac-sha256",
            },
        ),
        Example(name="A new id", config={"operation": "uuid"}, output={}, varies=("uuid",)),
    )
    refuses = (
        Refusal({}, "/operation", "missing_field"),
        Refusal({"operation": "verify"}, "", "invalid_value"),
        Refusal({"operation": "hash", "algorithm": "ed25519"}, "", "invalid_value"),
    )

    async def run(self, params: CryptoParams, context: Context) -> Outcome:
        if params.operation == "uuid":
            id = uuid.uuid4() if params.uuid_version == 4 else _uuid7(context.now_ms)
            return Completed(output={"uuid": str(id)})
        if params.operation == "random":
            return Completed(output={"random": encoded(secrets.token_bytes(params.bytes), params.encoding)})
        data = as_bytes(params.value if "value" in params.model_fields_set else context.input)
        if params.operation == "hash":
            made = encoded(digest(params.algorithm, data), params.encoding)
            return Completed(output={"hash": made, "algorithm": params.algorithm})
        if params.operation == "verify":
            return Completed(output={"valid": _verified(params, data, context), "algorithm": params.algorithm})
        key = _key(params, context)
        signature = (
            _hmac(params.algorithm, key, data) if params.algorithm in HMACS else _sign(params.algorithm, key, data)
        )
        return Completed(output={"signature": encoded(signature, params.encoding), "algorithm": params.algorithm})


def _uuid7(now_ms: int) -> uuid.UUID:
    bits = now_ms << 80 | 7 << 76 | secrets.randbits(12) << 64 | 0b10 << 62 | secrets.randbits(62)
    return uuid.UUID(int=bits)


def _key(params: CryptoParams, context: Context) -> bytes:
    secret = params.secret or str(connection(context, SLOT).get("secret") or "")
    if not secret:
        raise NodeFailure(
            "no_credential", "There is no key: give the node a credential with a `secret`.", retryable=False
        )
    return secret.encode()


def _hmac(algorithm: str, key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, getattr(hashlib, algorithm.removeprefix("hmac-"))).digest()


def _sign(algorithm: str, pem: bytes, data: bytes) -> bytes:
    from linkflow.nodes import signing  # OpenSSL's bindings, for those who sign with them

    return signing.sign(algorithm, pem, data)


def _verified(params: CryptoParams, data: bytes, context: Context) -> bool:
    try:
        signature = _decoded(params.signature.strip(), params.encoding)
    except (ValueError, binascii.Error):
        return False
    if params.algorithm in HMACS:
        return hmac.compare_digest(_hmac(params.algorithm, _key(params, context), data), signature)
    from linkflow.nodes import signing

    return signing.verify(params.algorithm, params.public_key.encode(), data, signature)


def _decoded(text: str, encoding: str) -> bytes:
    if encoding == "hex":
        return bytes.fromhex(text)
    if encoding == "base64":
        return base64.b64decode(text, validate=True)
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


node = Crypto()

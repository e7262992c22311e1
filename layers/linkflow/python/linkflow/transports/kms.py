"""Master keys in AWS KMS (`services.secret_ports.Keyring`). A key's id is its ARN, whatever alias named it."""

from __future__ import annotations

import asyncio
from typing import Any

from linkflow.domain.errors import Conflict, Unavailable
from linkflow.sealed import BadSeal

_ABOUT = {"linkflow": "data key"}
"""The encryption context: authenticated, and seen in CloudTrail."""


class KmsKeys:
    """Region, credentials and endpoint come from the environment, as always with AWS."""

    remote = True

    def __init__(self, key: str) -> None:
        self._key = key
        self._made: Any = None

    async def current(self) -> str:
        found = await self._call("describe_key", KeyId=self._key)
        return str(found["KeyMetadata"]["Arn"])

    async def wrap(self, key: bytes) -> tuple[str, bytes]:
        made = await self._call("encrypt", KeyId=self._key, Plaintext=key, EncryptionContext=_ABOUT)
        return str(made["KeyId"]), bytes(made["CiphertextBlob"])

    async def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        if not key_id.startswith("arn:"):
            raise KeyError(key_id)
        made = await self._call("decrypt", KeyId=key_id, CiphertextBlob=wrapped, EncryptionContext=_ABOUT)
        return bytes(made["Plaintext"])

    async def rotate(self) -> str:
        raise Conflict("KMS rotates its keys itself. For another key, name it first in LINKFLOW_KEYS.")

    async def drop(self, key_id: str) -> None:
        raise Conflict("Keys of KMS are dropped there.")

    async def _call(self, verb: str, **values: Any) -> Any:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return await asyncio.to_thread(lambda: getattr(self._client(), verb)(**values))
        except ClientError as error:
            code = str(error.response.get("Error", {}).get("Code", ""))
            if code in ("InvalidCiphertextException", "IncorrectKeyException"):
                raise BadSeal("KMS does not open it.") from None
            raise Unavailable(f"KMS refused to {verb}: {code}.") from None
        except BotoCoreError as error:
            raise Unavailable(f"KMS does not answer: {type(error).__name__}.") from None

    def _client(self) -> Any:
        if self._made is None:
            import boto3
            from botocore.config import Config

            settings = Config(connect_timeout=3, read_timeout=5, retries={"max_attempts": 3, "mode": "standard"})
            self._made = boto3.client("kms", config=settings)
        return self._made

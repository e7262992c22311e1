"""Keyrings by setting: ``file:/path``, ``kms:alias/name`` or the keys themselves as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from linkflow.config import BadConfig
from linkflow.services.secret_ports import Keyring


def connect(settings: Sequence[str]) -> Keyring | None:
    """The first wraps what is new; the others only open what they have wrapped. None where there is no setting.

    Raises `BadConfig`.
    """
    rings = [_ring(text) for text in settings]
    return None if not rings else rings[0] if len(rings) == 1 else Several(rings)


def _ring(text: str) -> Keyring:
    kind, _, rest = text.partition(":")
    if text.startswith("{"):
        from .keyfile import GivenKeys, read

        return GivenKeys(read(text))
    if kind == "file" and rest:
        from .keyfile import KeyFile

        return KeyFile(Path(rest))
    if kind == "kms" and rest:
        from .kms import KmsKeys

        return KmsKeys(rest)
    raise BadConfig("LINKFLOW_KEYS: write file:/path, kms:alias/name, or the keys as JSON")


class Several:
    """For moving from one place of keys to another."""

    def __init__(self, rings: Sequence[Keyring]) -> None:
        self._rings = rings
        self.remote = any(ring.remote for ring in rings)

    async def current(self) -> str:
        return await self._rings[0].current()

    async def wrap(self, key: bytes) -> tuple[str, bytes]:
        return await self._rings[0].wrap(key)

    async def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        for ring in self._rings:
            try:
                return await ring.unwrap(key_id, wrapped)
            except KeyError:
                continue
        raise KeyError(key_id)

    async def rotate(self) -> str:
        return await self._rings[0].rotate()

    async def drop(self, key_id: str) -> None:
        await self._rings[0].drop(key_id)

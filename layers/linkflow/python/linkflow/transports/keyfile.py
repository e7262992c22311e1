"""Master keys in a file of this machine, or given by the environment (`services.secret_ports.Keyring`).

The file is JSON, ``{"current": "k2", "keys": {"k1": "base64 …", "k2": "…"}}``, closed to other users, and is read again
when it has changed: a rotation in another process holds here at once.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from linkflow.config import BadConfig
from linkflow.domain.errors import Conflict
from linkflow.sealed import KEY, decrypt, encrypt, new_key

_ABOUT = "linkflow data key"


class Ring(msgspec.Struct, frozen=True):
    """Keys by id."""

    current: str
    keys: Mapping[str, bytes]


def read(text: str | bytes) -> Ring:
    """Raises `BadConfig`, which names no key."""
    try:
        data: Any = msgspec.json.decode(text)
        keys = {str(id): base64.b64decode(key, validate=True) for id, key in data["keys"].items()}
        current = str(data["current"])
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError, ValueError, binascii.Error):
        raise BadConfig('keys are JSON: {"current": "k1", "keys": {"k1": "32 bytes in base64"}}') from None
    if current not in keys or any(len(key) != KEY for key in keys.values()):
        raise BadConfig("the current key must be among the keys, and each must have 32 bytes")
    return Ring(current, keys)


class GivenKeys:
    """Keys that the environment gives. Nothing is written."""

    remote = False

    def __init__(self, ring: Ring | None = None) -> None:
        self._given = ring

    @property
    def ring(self) -> Ring:
        if self._given is None:
            raise KeyError("no keys")
        return self._given

    async def current(self) -> str:
        return self.ring.current

    async def wrap(self, key: bytes) -> tuple[str, bytes]:
        ring = self.ring
        return ring.current, encrypt(ring.keys[ring.current], key, f"{_ABOUT}/{ring.current}")

    async def unwrap(self, key_id: str, wrapped: bytes) -> bytes:
        return decrypt(self.ring.keys[key_id], wrapped, f"{_ABOUT}/{key_id}")

    async def rotate(self) -> str:
        raise Conflict("These keys are given by LINKFLOW_KEYS: add one there, make it the current one, and rotate.")

    async def drop(self, key_id: str) -> None:
        raise Conflict("These keys are given by LINKFLOW_KEYS: take it out there.")


class KeyFile(GivenKeys):
    """Keys in `path`, which is made at first use."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._stamp: tuple[int, int, int] | None = None
        self._read: Ring | None = None

    @property
    def ring(self) -> Ring:
        try:
            about = self._path.stat()
        except FileNotFoundError:
            self._make()
            about = self._path.stat()
        stamp = (about.st_mtime_ns, about.st_ino, about.st_size)
        if self._read is None or stamp != self._stamp:
            if about.st_mode & 0o077:
                raise BadConfig(f"{self._path} can be read by other users: chmod 600 it")
            self._read, self._stamp = read(self._path.read_bytes()), stamp
        return self._read

    async def rotate(self) -> str:
        ring = self.ring
        number = max((int(id[1:]) for id in ring.keys if id[1:].isdecimal()), default=0) + 1
        self._write(Ring(f"k{number}", {**ring.keys, f"k{number}": new_key()}))
        return f"k{number}"

    async def drop(self, key_id: str) -> None:
        ring = self.ring
        if key_id == ring.current:
            raise Conflict(f"{key_id} is the current key.")
        if key_id not in ring.keys:
            raise Conflict(f"There is no key {key_id}.")
        self._write(Ring(ring.current, {id: key for id, key in ring.keys.items() if id != key_id}))

    def _make(self) -> None:
        """Two processes at once agree on one key: a link never replaces what another one wrote first."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self._draft(Ring("k1", {"k1": new_key()}))
        try:
            with contextlib.suppress(FileExistsError):
                os.link(draft, self._path)
        finally:
            draft.unlink()

    def _write(self, ring: Ring) -> None:
        self._draft(ring).replace(self._path)

    def _draft(self, ring: Ring) -> Path:
        draft = self._path.with_name(f"{self._path.name}.{secrets.token_hex(6)}")
        keys = {id: base64.b64encode(key).decode() for id, key in ring.keys.items()}
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode({"current": ring.current, "keys": keys})))
            file.flush()
            os.fsync(file.fileno())
        return draft

"""Large payloads: putting what was set aside into the store, and reading references back.

A process keeps the latest ones decoded: they never change. A reader only ever gets keys of the workspace it reads for.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from linkflow.contracts.base import Caller, acting_as
from linkflow.contracts.frontend import FrontendApi
from linkflow.contracts.history import PayloadsReply, PayloadsRequest
from linkflow.domain.errors import Internal, NotFound, PayloadTooLarge
from linkflow.domain.ids import is_uuid
from linkflow.domain.payloads import MARK, Blob, Stowage, is_intact, references, substitute
from linkflow.ports import Blobs

CACHE = 16 * 1024 * 1024
"""Encoded bytes that a process keeps decoded."""
SHOWN = 1024 * 1024
"""Bytes of kept payloads that come along in an answer of the API."""
KNOWN = 16_384
"""Keys that a process remembers to have put."""

_NAME = re.compile(r"[0-9a-f]{64}")

Fetch = Callable[[Sequence[str]], Awaitable[Mapping[str, Any]]]
"""Values by key, decoded; what does not exist is absent."""


class Expanded:
    """A value with references replaced, and what could not be: `over` the budget, or `lost`."""

    __slots__ = ("lost", "over", "value")

    def __init__(self, value: Any, over: set[str], lost: set[str]) -> None:
        self.value = value
        self.over = over
        self.lost = lost


async def expand(value: Any, fetch: Fetch, budget: int) -> Expanded:
    """`value` with what is kept in place of references, as far as `budget` bytes go; the others stay references."""
    known: dict[str, Any] = {}
    over: set[str] = set()
    lost: set[str] = set()
    scan: list[Any] = [value]
    while True:
        wanted: dict[str, None] = {}
        for blob in references(scan):
            if blob.key in known or blob.key in over or blob.key in lost or blob.key in wanted:
                continue
            if blob.size > budget:
                over.add(blob.key)
            else:
                budget -= blob.size
                wanted[blob.key] = None
        if not wanted:
            break
        found = await fetch(tuple(wanted))
        lost.update(key for key in wanted if key not in found)
        known.update(found)
        scan = list(found.values())
    return Expanded(_filled(value, known), over, lost) if known else Expanded(value, over, lost)


def _filled(value: Any, known: Mapping[str, Any]) -> Any:
    done: dict[str, Any] = {}

    def look(blob: Blob) -> Any:
        if blob.key not in known:
            return blob.value
        if blob.key not in done:
            done[blob.key] = substitute(known[blob.key], look)
        found = done[blob.key]
        return found if blob.at < 0 else found[blob.at]

    return substitute(value, look)


async def fetch_all(
    ask: Callable[[PayloadsRequest], Awaitable[PayloadsReply]], workspace_id: str, keys: Sequence[str]
) -> dict[str, bytes]:
    """Payloads over a contract: a reply carries as many as fit, so it is asked again for the others."""
    found: dict[str, bytes] = {}
    left = list(keys)
    while left:
        reply = await ask(PayloadsRequest(workspace_id, tuple(left)))
        found.update((item.key, bytes(item.data)) for item in reply.found)
        if not reply.more or not reply.found:
            break
        left = [key for key in left if key not in found]
    return found


class Reader:
    """Payloads for people: read over the Frontend in their name, a bounded part of each answer."""

    def __init__(self, frontend: FrontendApi) -> None:
        self._frontend = frontend

    async def show(self, who: Caller, value: Any, budget: int = SHOWN) -> Any:
        """`value` with references replaced, as far as `budget` bytes go. The others stay, for the door to make links
        of."""
        if next(references(value), None) is None:
            return value
        return (await expand(value, partial(self._fetch, who), budget)).value

    async def one(self, who: Caller, execution_id: str, name: str, at: int = -1) -> Any:
        """What a run of the caller's workspace keeps under this name. Raises `NotFound`."""
        key = f"{who.workspace_id}/{execution_id}/{name}"
        found = await self._fetch(who, (key,)) if is_uuid(execution_id) and _NAME.fullmatch(name) else {}
        if key not in found:
            raise NotFound("There is no such payload.")
        value = found[key]
        if at < 0:
            return value
        if not isinstance(value, list) or at >= len(value):
            raise NotFound("There is no such item.")
        return value[at]

    async def _fetch(self, who: Caller, keys: Sequence[str]) -> dict[str, Any]:
        with acting_as(who):
            found = await fetch_all(self._frontend.payloads, who.workspace_id, keys)
        return {key: msgspec.json.decode(data) for key, data in found.items()}


class Payloads:
    """The blob store of one process, with what it has read and written lately."""

    def __init__(self, store: Blobs, cache: int = CACHE) -> None:
        self._store = store
        self._limit = cache
        self._values: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._bytes = 0
        self._there: OrderedDict[str, None] = OrderedDict()
        self._coming: dict[str, asyncio.Future[None]] = {}

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        """Make these durable; what this process knows to be there is not written again."""
        new = self.unknown(blobs)
        if new:
            await self._store.put(new)
            for key in new:
                self._there[key] = None
            while len(self._there) > KNOWN:
                self._there.popitem(last=False)

    def unknown(self, blobs: Mapping[str, bytes]) -> dict[str, bytes]:
        """Those that this process has not put."""
        return {key: data for key, data in blobs.items() if key not in self._there}

    def remember(self, stow: Stowage) -> None:
        """Whoever set these aside has them in hand."""
        for key, value in stow.values.items():
            self._keep(key, value, len(stow.blobs[key]))

    async def raw(self, workspace_id: str, keys: Sequence[str]) -> dict[str, bytes]:
        """What is kept under these keys, as far as it is the workspace's. Raises `Internal` for bytes that were
        changed."""
        mine = [key for key in dict.fromkeys(keys) if key.startswith(f"{workspace_id}/")]
        found = await self._store.get(mine) if mine else {}
        for key, data in found.items():
            if not is_intact(key, data):
                raise Internal("A stored payload is not what was put there.", details={"key": key})
        return found

    async def resolve(self, workspace_id: str, value: Any, limit: int) -> Any:
        """`value` without references. Raises `PayloadTooLarge` over `limit` bytes, `NotFound` for what is lost, and
        `Unavailable` where the store does not answer now."""

        async def fetch(keys: Sequence[str]) -> Mapping[str, Any]:
            return await self._decoded(workspace_id, keys)

        found = await expand(value, fetch, limit)
        if found.over:
            raise PayloadTooLarge(f"What this needs is larger than {limit:,} bytes.")
        if found.lost:
            raise NotFound("A stored payload is gone.", details={"keys": sorted(found.lost)[:10]})
        return found.value

    async def _decoded(self, workspace_id: str, keys: Sequence[str]) -> dict[str, Any]:
        """Those that exist. One that somebody else here is reading just now is waited for, not read again."""
        known: dict[str, Any] = {}
        left = [key for key in keys if key.startswith(f"{workspace_id}/")]
        while left:
            for key in left:
                if key in self._values:
                    self._values.move_to_end(key)
                    known[key] = self._values[key][0]
            left = [key for key in left if key not in known]
            mine = [key for key in left if key not in self._coming]
            if mine:
                known |= await self._lead(workspace_id, mine)
                left = [key for key in left if key not in mine]
            elif left:
                await asyncio.wait({self._coming[key] for key in left})
        return known

    async def _lead(self, workspace_id: str, keys: Sequence[str]) -> dict[str, Any]:
        arrived: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._coming.update(dict.fromkeys(keys, arrived))
        found: dict[str, Any] = {}
        try:
            for key, data in (await self.raw(workspace_id, keys)).items():
                found[key] = msgspec.json.decode(data)
                self._keep(key, found[key], len(data))
        finally:
            for key in keys:
                del self._coming[key]
            arrived.set_result(None)
        return found

    def _keep(self, key: str, value: Any, size: int) -> None:
        if key in self._values or size > self._limit // 2:
            return
        self._values[key] = (value, size)
        self._bytes += size
        while self._bytes > self._limit:
            self._bytes -= self._values.popitem(last=False)[1][1]


def holds_references(data: bytes | msgspec.Raw) -> bool:
    """May this JSON hold references? Cheap, and sure where it says no."""
    return MARK in bytes(data)

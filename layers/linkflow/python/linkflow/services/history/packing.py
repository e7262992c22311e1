"""The door of a run: what is large is set aside before it is decided upon, and what belongs to another run is copied.

Every run has all that it refers to under its own name, so a run's payloads can go when its history goes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.errors import InvalidInput, NotFound, PayloadTooLarge
from linkflow.domain.packing import pack, payloads_of, remade
from linkflow.domain.payloads import MARK, Blob, Stowage, encode, references, substitute
from linkflow.services.payloads import Payloads, expand

MAX_WHOLE = 16 * 1024 * 1024
"""Bytes of data from which keys of a start can be made."""
MAX_WAITING = 4 * MAX_WHOLE
"""The same of a run that was accepted: it may have collected more than one start."""


class Packer:
    """Makes commands fit for a run's rows. `limit` is bytes."""

    def __init__(self, payloads: Payloads, limit: int) -> None:
        self.payloads = payloads
        self.limit = limit

    def stowage(self, workspace_id: str, execution_id: str) -> Stowage:
        return Stowage(workspace_id, execution_id, self.limit)

    def is_due(self, events: bytes, start: c.Start | None = None) -> bool:
        """Do these events hold something large, or a reference that has to be looked at? A fork may have taken over
        a loop whose items are kept in parts, which are no references to look at."""
        return len(events) > self.limit or MARK in events or (start is not None and start.fork is not None)

    def refers(self, start: c.Start) -> bool:
        """Does a run begin with data that is kept outside? What a fork takes over may be."""
        return start.fork is not None or next(references(start.trigger), None) is not None

    async def whole(self, workspace_id: str, trigger: Any, limit: int = MAX_WHOLE) -> Any:
        """Trigger data without references, as keys are made of it.

        Raises `InvalidInput` for a reference into another workspace, `PayloadTooLarge` over `limit` bytes, `NotFound`
        for what is lost, `Unavailable` where the store does not answer."""

        async def fetch(keys: Sequence[str]) -> dict[str, Any]:
            if any(not key.startswith(f"{workspace_id}/") for key in keys):
                raise InvalidInput("A reference leads into another workspace.")
            found = await self.payloads.raw(workspace_id, list(keys))
            return {key: msgspec.json.decode(data) for key, data in found.items()}

        expanded = await expand(trigger, fetch, limit)
        if expanded.over:
            raise PayloadTooLarge(f"Keys are made of at most {limit:,} bytes of data.")
        if expanded.lost:
            raise NotFound("A stored payload is gone.", details={"keys": sorted(expanded.lost)[:10]})
        return expanded.value

    def has_large(self, events: Sequence[e.Event]) -> bool:
        """Does one of these alone hold something large?"""
        return any(len(encode(event)) > self.limit for event in events)

    async def pack(self, commands: Sequence[c.Command], stow: Stowage) -> Sequence[c.Command]:
        """The commands as they are to be decided; the same object where nothing had to be done.

        Raises `InvalidInput` for a reference into another workspace, `Unavailable` where the store does not answer."""
        packed = [pack(command, stow) for command in commands]
        values = [list(payloads_of(command)) for command in packed]
        moved = await self._adopted(values, stow)
        if moved:
            packed = [remade(command, lambda _, value: _renamed(value, moved)) for command in packed]
        return packed if any(new is not old for new, old in zip(packed, commands, strict=True)) else commands

    async def pack_start(self, start: c.Start, stow: Stowage) -> c.Start:
        """The same of one start."""
        (packed,) = await self.pack((start,), stow)
        return packed if isinstance(packed, c.Start) else start

    async def _adopted(self, value: Any, stow: Stowage) -> dict[str, Blob]:
        """What another run of the workspace keeps, say a child's result, copied under this run's own name."""
        strange = {blob.key for blob in references(value) if blob.execution_id != stow.execution_id}
        if any(not key.startswith(f"{stow.workspace_id}/") for key in strange):
            raise InvalidInput("A reference leads into another workspace.")
        moved: dict[str, Blob] = {}
        if not strange:
            return moved
        for key, data in (await self.payloads.raw(stow.workspace_id, sorted(strange))).items():
            own = data
            if MARK in data:
                inside = msgspec.json.decode(data)
                own = encode(_renamed(inside, await self._adopted(inside, stow)))
            moved[key] = Blob(stow.stow(own), len(own))
        return moved


def _renamed(value: Any, moved: Mapping[str, Blob]) -> Any:
    def named(blob: Blob) -> Any:
        found = moved.get(blob.key)
        return Blob(found.key, found.size, blob.at).value if found else blob.value

    return substitute(value, named) if next(references(value), None) is not None else value

"""Sealing everything anew under the current master key. It may be stopped at any row and begun again."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from linkflow.domain.errors import Conflict
from linkflow.sealed import Sealed

from .sealing import Sealer
from .secret_ports import Rewrap, RotationStore

PAGE = 100
FIRST = "00000000-0000-0000-0000-000000000000"
TRIES = 5
"""Passes over all rows: what others write meanwhile under an old key is found by the next one."""


class Rotated(Struct, frozen=True):
    """How far it is: rows sealed anew, rows that were looked at, and how many texts there are in all."""

    key_id: str
    sealed: int
    seen: int
    total: int


class Rotation:
    def __init__(self, store: RotationStore, sealer: Sealer) -> None:
        self._store = store
        self._sealer = sealer

    async def keys(self) -> tuple[str, dict[str, int]]:
        """The current key, and how many texts each has sealed."""
        return await self._sealer.keyring.current(), await self._store.keys()

    async def left(self) -> int:
        """Texts that are not under the current key."""
        current, counts = await self.keys()
        return sum(count for key, count in counts.items() if key != current)

    async def new_key(self) -> str:
        """Raises `Conflict` where the keys are not ours to make."""
        return await self._sealer.keyring.rotate()

    async def drop(self, key_id: str) -> None:
        """Raises `Conflict` where something still needs the key."""
        _, counts = await self.keys()
        if counts.get(key_id):
            raise Conflict(f"{counts[key_id]} secrets are sealed under {key_id}: run `linkflow keys rotate` first.")
        await self._sealer.keyring.drop(key_id)

    async def run(self, tell: Callable[[Rotated], None], every: bool = False) -> Rotated:
        """Seal anew what is under another key than the current one; with `every` all of it, once.

        Raises `Internal` where an old text does not open, and `Unavailable`: begin again then.
        """
        current, counts = await self.keys()
        total = sum(counts.values())
        done = Rotated(current, 0, 0, total)
        for attempt in range(TRIES):
            done = await self._pass(current, tell, done, every and not attempt)
            if not await self.left():
                return done
        raise Conflict("Others go on sealing under an old key. Restart them with the new keys, and rotate again.")

    async def _pass(self, current: str, tell: Callable[[Rotated], None], done: Rotated, every: bool) -> Rotated:
        for table in ("credentials", "variables"):
            after = FIRST
            while rows := await self._store.after(table, after, PAGE):
                count = sum([await self._row(row, current, every) for row in rows])
                done = Rotated(current, done.sealed + count, done.seen + len(rows), done.total)
                after = rows[-1].id
                tell(done)
        return done

    async def _row(self, row: Rewrap, current: str, every: bool) -> int:
        sealed = await self._anew(row.sealed, row.about, current, every)
        tokens = await self._anew(row.tokens, row.tokens_about, current, every)
        if sealed is row.sealed and tokens is row.tokens:
            return 0
        # One that somebody else wrote meanwhile is as he wrote it, or found by the next pass.
        return int(await self._store.rewrap(row, sealed, tokens))

    async def _anew(self, sealed: Sealed | None, about: str, current: str, every: bool) -> Sealed | None:
        if sealed is None or (sealed.key_id == current and not every):
            return sealed
        return await self._sealer.seal(await self._sealer.open(sealed, about), about)

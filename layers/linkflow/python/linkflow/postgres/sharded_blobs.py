"""Large payloads over several databases: each beside its run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from linkflow.domain.errors import Unavailable
from linkflow.domain.ids import is_uuid, shard_of_execution

from .blobs import PostgresBlobs
from .shards import TRIES, Shards, by_database, is_moved, moved


class ShardedBlobs:
    """Implements `linkflow.ports.Blobs`."""

    def __init__(self, shards: Shards, stores: Mapping[str, PostgresBlobs]) -> None:
        self._shards = shards
        self._stores = stores

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        left = list(blobs)
        for _ in range(TRIES):
            map = await self._shards.current()
            again: list[str] = []
            for (name, _), keys in by_database(left, _shard, map).items():
                try:
                    await self._stores[name].put({key: blobs[key] for key in keys})
                except Unavailable as error:
                    if not is_moved(error):
                        raise
                    again += keys
            left = again
            if not left:
                return
            await self._shards.newer(map)
        raise moved()

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        left: Sequence[str] = [key for key in keys if _has_run(key)]
        for _ in range(TRIES):
            map = await self._shards.current()
            again: list[str] = []
            for (name, _), part in by_database(left, _shard, map).items():
                data = await self._stores[name].get(part)
                if len(data) == len(part) or await self._shards.is_current(map, name):
                    found |= data  # one that is there is the same everywhere
                else:
                    again += part
            left = again
            if not left:
                return found
            await self._shards.newer(map)
        raise moved()

    async def drop(self, runs: Sequence[tuple[str, str]]) -> None:
        map = await self._shards.current()
        shard: Callable[[tuple[str, str]], int] = lambda run: shard_of_execution(run[1])  # noqa: E731
        for (name, _), part in by_database(runs, shard, map).items():
            await self._stores[name].drop(part)


def _shard(key: str) -> int:
    return shard_of_execution(key.split("/")[1])


def _has_run(key: str) -> bool:
    parts = key.split("/")
    return len(parts) == 3 and is_uuid(parts[1])

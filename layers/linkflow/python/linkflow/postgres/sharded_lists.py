"""Lists of runs and waits that are put together from several databases."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from linkflow.contracts.controlling import BulkRequest
from linkflow.contracts.history import Execution, ListRequest
from linkflow.contracts.usage import UsageRequest, UsageSpan
from linkflow.domain.ids import shard_of_workflow
from linkflow.ports import Found, StoredWait

from .executions import PostgresEvents
from .routing import Router, enough
from .shards import ShardMap
from .tallies import together

CHOSEN_AT_ONCE = 10_000


class ShardedLists(Router):
    """The part of `linkflow.ports.EventStore` that reads beyond one shard. While a range is moved its rows lie in two
    databases: those count that are where the map says."""

    async def page(self, request: ListRequest) -> list[Execution]:
        async def listed(name: str, store: PostgresEvents, map: ShardMap) -> list[Execution]:
            return await _page(name, store, map, request)

        if request.workflow_id and not request.source_id:
            shard = shard_of_workflow(request.workflow_id)
            return await self._one(shard, lambda store: store.page(request))
        runs = [run for part in await self._all(listed) for run in part]
        return sorted(runs, key=lambda run: run.id, reverse=True)[: request.limit]

    async def error_runs(self, execution_ids: Sequence[str]) -> list[tuple[str, str]]:
        async def answers(name: str, store: PostgresEvents, map: ShardMap) -> list[tuple[str, str]]:
            return [pair for pair in await store.error_runs(execution_ids) if map.owner(pair[1]) == name]

        return sorted((pair for part in await self._all(answers) for pair in part), key=lambda pair: pair[1])

    async def waiting(self, workspace_id: str, name: str, key: str, limit: int) -> list[StoredWait]:
        async def waits(place: str, store: PostgresEvents, map: ShardMap) -> list[StoredWait]:
            return await enough(
                lambda ask: store.waiting(workspace_id, name, key, ask), lambda w: map.owner(w.execution_id) == place,
                limit,
            )  # fmt: skip

        found = [wait for part in await self._all(waits) for wait in part]
        return sorted(found, key=lambda wait: wait.at)[:limit]

    async def approvals(
        self, workspace_id: str, workflow_id: str, before: str, after_node: str, limit: int
    ) -> list[StoredWait]:
        async def open_ones(place: str, store: PostgresEvents, map: ShardMap) -> list[StoredWait]:
            return await enough(
                lambda ask: store.approvals(workspace_id, workflow_id, before, after_node, ask),
                lambda w: map.owner(w.execution_id) == place, limit,
            )  # fmt: skip

        found = [wait for part in await self._all(open_ones) for wait in part]
        found.sort(key=lambda wait: wait.row.node_key)
        return sorted(found, key=lambda wait: wait.execution_id, reverse=True)[:limit]

    async def overlooked(self, now_ms: int, limit: int) -> list[StoredWait]:
        asked = await self._main.kept_for(now_ms)
        if not asked:
            return []

        async def waits(name: str, store: PostgresEvents, map: ShardMap) -> list[StoredWait]:
            found = await store.waits_for(asked, limit)
            return await self._shards.owned(map, name, found, lambda wait: wait.execution_id)

        return [wait for part in await self._wherever(waits) for wait in part][:limit]

    async def search(self, request: ListRequest) -> Found:
        async def searched(name: str, store: PostgresEvents, map: ShardMap) -> Found:
            found = await store.search(request)
            return Found([run for run in found.runs if map.owner(run.id) == name], found.next)

        if request.workflow_id:
            return await self._one(shard_of_workflow(request.workflow_id), lambda store: store.search(request))
        parts = await self._all(searched)
        reached = max(part.next for part in parts)  # below this, not all of them have looked
        runs = sorted(
            (run for part in parts for run in part.runs if run.id >= reached), key=lambda r: r.id, reverse=True
        )
        full = len(runs) >= request.limit
        return Found(runs[: request.limit], runs[request.limit - 1].id if full else reached)

    async def usage(self, request: UsageRequest) -> list[UsageSpan]:
        async def spans(name: str, store: PostgresEvents, map: ShardMap) -> list[UsageSpan]:
            return await store.usage(request)

        return together([span for part in await self._all(spans) for span in part])

    async def open_runs(self, workspace_id: str, workflow_id: str, most: int) -> dict[str, int]:
        """While a range is moved, its runs may be counted twice."""

        async def count(name: str, store: PostgresEvents, map: ShardMap) -> dict[str, int]:
            return await store.open_runs(workspace_id, workflow_id, most)

        found: dict[str, int] = {}
        for part in await self._all(count):
            for status, many in part.items():
                found[status] = min(most, found.get(status, 0) + many)
        return found

    async def gather(self, limit: int) -> int:
        async def count(name: str, store: PostgresEvents, map: ShardMap) -> int:
            return await store.gather(limit)

        return sum(await self._wherever(count))

    async def count_runs(self, request: BulkRequest) -> int:
        return len(await self._chosen(request))

    async def _chosen(self, request: BulkRequest) -> list[str]:
        """The runs that fit, the newest first, up to one more than the limit."""

        async def fitting(name: str, store: PostgresEvents, map: ShardMap) -> list[str]:
            found: list[str] = []
            most, before = request.limit + 1, ""
            while True:
                ids = await store.choose_runs(request, before, min(most, CHOSEN_AT_ONCE))
                found += [id for id in ids if map.owner(id) == name]
                if len(found) >= most or len(ids) < min(most, CHOSEN_AT_ONCE):
                    return found[:most]
                before = ids[-1]

        return sorted((id for part in await self._all(fitting) for id in part), reverse=True)[: request.limit + 1]


async def _page(name: str, store: PostgresEvents, map: ShardMap, request: ListRequest) -> list[Execution]:
    """A page of the runs that count."""
    found: list[Execution] = []
    before = request.before
    while True:
        runs = await store.page(replace(request, before=before))
        found += [run for run in runs if map.owner(run.id) == name]
        if len(found) >= request.limit or len(runs) < request.limit:
            return found
        before = runs[-1].id

"""The event store over several databases: every run is in the one that has its shard.

A workflow's runs, their idempotency keys and its limits are all in one shard, so each transaction is in one database.
Workflows, kept events and bulk operations are in the main one. Lists are put together from all. See docs/sharding.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

from linkflow.contracts.controlling import Bulk, BulkError, BulkRequest
from linkflow.contracts.history import Beat, DueTimer, Execution, HistoryReply, LastBeat, Task, TaskRef
from linkflow.domain.errors import Unavailable, VersionConflict
from linkflow.domain.ids import shard_of_execution, shard_of_workflow
from linkflow.ports import BulkPage, KeptEvent, RunFacts, Snapshot, StoredMessage, Transition

from .admission import PostgresDoor
from .executions import PostgresEvents
from .sharded_lists import ShardedLists
from .shards import MAIN, TRIES, ShardMap, Shards, by_database, is_moved, moved

AWAY, OK, CONFLICT = "away", "ok", "conflict"

Verdicts = dict[str, str]


class ShardedEvents(ShardedLists):
    """Implements `linkflow.ports.EventStore`."""

    def __init__(self, shards: Shards, stores: Mapping[str, PostgresEvents]) -> None:
        super().__init__(shards, stores)

    def lane(self, execution_id: str) -> str:
        """The database of a run as far as is known: what is in different ones need not wait for each other."""
        map = self._shards.map
        return map.owner(execution_id) if map is not None else MAIN

    # Writing

    async def commit(self, transitions: Sequence[Transition]) -> list[str]:
        """See `EventStore.commit`: a transaction a database, all at once. One that is away fails its own alone."""
        verdicts: Verdicts = {}
        left = list(transitions)
        for _ in range(TRIES):
            map = await self._shards.current()
            here = []
            for item in left:
                if map.names[item.shard] and map.names[item.shard] not in map.faults:
                    here.append(item)
                else:
                    verdicts[item.execution_id] = AWAY
            groups = by_database(here, lambda t: t.shard, map, apart=True)
            done = await asyncio.gather(
                *(
                    self._shards.asked(name, partial(self._commit_at, map, name, part))
                    for (name, _), part in groups.items()
                ),
                return_exceptions=True,
            )
            left = []
            for part, outcome in zip(groups.values(), done, strict=True):
                left += self._judge(part, outcome, verdicts)
            if not left:
                break
            await self._shards.newer(map)
        verdicts.update((item.execution_id, AWAY) for item in left)
        if set(verdicts.values()) == {AWAY}:
            raise Unavailable("The database does not answer now; try again.")
        return [verdicts[t.execution_id] for t in transitions]

    def _judge(self, part: list[Transition], outcome: Verdicts | BaseException, verdicts: Verdicts) -> list[Transition]:
        """Note the verdicts of one database; returns what has to be tried elsewhere."""
        if not isinstance(outcome, BaseException):
            verdicts.update(outcome)
            return [item for item in part if item.execution_id not in outcome]
        if is_moved(outcome):
            return part
        if not isinstance(outcome, Unavailable):
            raise outcome
        verdicts.update((item.execution_id, AWAY) for item in part)
        return []

    async def _commit_at(self, map: ShardMap, name: str, part: list[Transition]) -> Verdicts:
        """Verdicts that count: what was refused by rows that are on their way out is left open, and so is what the
        guard refused after other transitions were written."""
        verdicts: Verdicts = {}
        for piece in ([t for t in part if not t.expected], [t for t in part if t.expected]):
            if piece:
                try:
                    found = await self._stores[name].commit(piece)  # one transaction
                except Unavailable as error:
                    if not verdicts or not is_moved(error):
                        raise
                    break
                verdicts.update(zip((item.execution_id for item in piece), found, strict=True))
        doubtful = [id for id, verdict in verdicts.items() if verdict not in (OK, CONFLICT)]
        if doubtful and not await self._shards.is_current(map, name):
            for id in doubtful:
                del verdicts[id]
        return verdicts

    @asynccontextmanager
    async def door(self, workflow_id: str) -> AsyncIterator[PostgresDoor]:
        """See `EventStore.door`. Raises `VersionConflict` where the shard has moved meanwhile: look again."""
        map = await self._shards.current()
        name = map.at(shard_of_workflow(workflow_id))
        try:
            async with self._stores[name].door(workflow_id) as door:
                yield door
                if await door.epoch() != map.epoch(name):
                    raise moved()
        except Unavailable as error:
            if not is_moved(error):
                raise
            newer = await self._shards.newer(map)
            if newer.names != map.names or newer.epoch(name) != map.epoch(name):
                raise VersionConflict("These runs have moved to another database.") from None
            raise

    # By execution

    async def load(self, execution_ids: Sequence[str], afresh: bool = False) -> dict[str, Snapshot]:
        found = await self._each(execution_ids, shard_of_execution, lambda store, ids: store.load(ids, afresh))
        return {id: row for part in found for id, row in part.items()}

    async def describe(self, execution_ids: Sequence[str], workspace_id: str, with_state: bool) -> list[Execution]:
        found = await self._each(
            execution_ids, shard_of_execution, lambda store, ids: store.describe(ids, workspace_id, with_state)
        )
        return [run for part in found for run in part]

    async def facts(self, execution_ids: Sequence[str]) -> dict[str, RunFacts]:
        found = await self._each(execution_ids, shard_of_execution, lambda store, ids: store.facts(ids))
        return {id: row for part in found for id, row in part.items()}

    async def delete(self, execution_id: str, workspace_id: str, keys: Sequence[str], offer_at: int) -> bool:
        shard = shard_of_execution(execution_id)
        return await self._one(shard, lambda store: store.delete(execution_id, workspace_id, keys, offer_at))

    async def history(self, execution_id: str, after: int, limit: int) -> HistoryReply:
        shard = shard_of_execution(execution_id)
        return await self._one(shard, lambda store: store.history(execution_id, after, limit))

    async def positions(self, execution_ids: Sequence[str]) -> dict[str, int]:
        found = await self._each(execution_ids, shard_of_execution, lambda store, ids: store.positions(ids))
        return {id: place for part in found for id, place in part.items()}

    async def drop_messages(self, ids: Sequence[tuple[str, str]]) -> None:
        await self._each(ids, lambda pair: shard_of_execution(pair[0]), lambda store, part: store.drop_messages(part))

    async def drop_timers(self, timers: Sequence[DueTimer]) -> None:
        await self._each(
            timers, lambda t: shard_of_execution(t.execution_id), lambda store, part: store.drop_timers(part)
        )

    async def beat(self, beats: Sequence[Beat], now_ms: int) -> list[TaskRef]:
        """Where a database is away its attempts are not known to be over."""
        found = await self._each(
            beats, lambda b: shard_of_execution(b.execution_id), lambda store, part: store.beat(part, now_ms), soft=True
        )
        return [ref for part in found for ref in part]

    async def beats(self, refs: Sequence[TaskRef]) -> list[LastBeat]:
        found = await self._each(
            refs, lambda r: shard_of_execution(r.execution_id), lambda store, part: store.beats(part)
        )
        return [beat for part in found for beat in part]

    async def beats_of(self, execution_ids: Sequence[str]) -> list[LastBeat]:
        found = await self._each(execution_ids, shard_of_execution, lambda store, ids: store.beats_of(ids))
        return [beat for part in found for beat in part]

    async def touch(self, tasks: Sequence[TaskRef], until_ms: int) -> list[TaskRef]:
        """Where a database is away its tasks are not known to be gone."""
        found = await self._each(
            tasks, lambda t: shard_of_execution(t.execution_id), lambda store, part: store.touch(part, until_ms),
            soft=True,
        )  # fmt: skip
        return [ref for part in found for ref in part]

    # By workflow

    async def queued(self, workflow_id: str, key: str, limit: int) -> list[str]:
        return await self._one(shard_of_workflow(workflow_id), lambda store: store.queued(workflow_id, key, limit))

    # In the main database

    async def definition(self, workflow_id: str, version: int) -> bytes | None:
        return await self._main.definition(workflow_id, version)

    async def under_way(self, workspace_id: str, limit: int) -> int:
        return min(limit, sum([await store.under_way(workspace_id, limit) for store in self._stores.values()]))

    async def workflow(self, workflow_id: str, environment: str = "") -> tuple[str, int] | None:
        return await self._main.workflow(workflow_id, environment)

    async def look_at_firings(self, workflow_ids: Sequence[str], now_ms: int) -> int:
        return await self._main.look_at_firings(workflow_ids, now_ms)

    async def keep_event(self, workspace_id: str, event: KeptEvent, until_ms: int) -> None:
        await self._main.keep_event(workspace_id, event, until_ms)

    async def kept_events(self, workspace_id: str, name: str, key: str, now_ms: int) -> list[KeptEvent]:
        return await self._main.kept_events(workspace_id, name, key, now_ms)

    async def forget_events(self, now_ms: int, limit: int) -> int:
        return await self._main.forget_events(now_ms, limit)

    async def drop_events(self, workspace_id: str, ids: Sequence[str]) -> None:
        await self._main.drop_events(workspace_id, ids)

    async def begin_bulk(
        self, id: str, request: BulkRequest, now_ms: int, until_ms: int, owner: str,
        chosen: Sequence[str] | None = None,
    ) -> None:  # fmt: skip
        chosen = await self._chosen(request) if chosen is None else chosen
        await self._main.begin_bulk(id, request, now_ms, until_ms, owner, chosen)

    async def bulks(self, workspace_id: str, id: str, before: str, limit: int) -> list[Bulk]:
        return await self._main.bulks(workspace_id, id, before, limit)

    async def cancel_bulk(self, workspace_id: str, id: str, now_ms: int) -> bool:
        return await self._main.cancel_bulk(workspace_id, id, now_ms)

    async def claim_bulk(self, owner: str, now_ms: int, until_ms: int, page: int) -> BulkPage | None:
        return await self._main.claim_bulk(owner, now_ms, until_ms, page)

    async def advance_bulk(
        self, page: BulkPage, done: int, skipped: int, errors: tuple[BulkError, ...], now_ms: int, until_ms: int
    ) -> None:
        await self._main.advance_bulk(page, done, skipped, errors, now_ms, until_ms)

    async def release_bulks(self, owner: str, now_ms: int) -> None:
        await self._main.release_bulks(owner, now_ms)

    # What was lost, in all that answer

    async def lost_tasks(self, now_ms: int, republish_after_ms: int, limit: int) -> list[Task]:
        async def lost(name: str, store: PostgresEvents, map: ShardMap) -> list[Task]:
            tasks = await store.lost_tasks(now_ms, republish_after_ms, limit)
            return await self._shards.owned(map, name, tasks, lambda task: task.execution_id)

        return [task for part in await self._wherever(lost) for task in part]

    async def lost_messages(self, now_ms: int, republish_after_ms: int, limit: int) -> list[StoredMessage]:
        async def lost(name: str, store: PostgresEvents, map: ShardMap) -> list[StoredMessage]:
            messages = await store.lost_messages(now_ms, republish_after_ms, limit)
            return await self._shards.owned(map, name, messages, lambda message: message.execution_id)

        return [message for part in await self._wherever(lost) for message in part]

    async def lost_slots(self, now_ms: int, limit: int) -> list[tuple[str, str]]:
        async def lost(name: str, store: PostgresEvents, map: ShardMap) -> list[tuple[str, str]]:
            return await store.lost_slots(now_ms, limit)

        return sorted({key for part in await self._wherever(lost) for key in part})

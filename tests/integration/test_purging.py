"""Workspaces that were deleted are purged when they cannot be restored any more: nothing of them is left, and all of
the others."""

from __future__ import annotations

import time

from linkflow.contracts import history as h
from linkflow.contracts.matching import DropReply, DropRequest
from linkflow.domain.drawers import FileInfo, Room, drawer_of
from linkflow.domain.ids import uuid7
from linkflow.domain.outcomes import Completed, Failed, NodeError, WaitEvent
from linkflow.ports import FileStore
from linkflow.postgres.files import PostgresFiles
from linkflow.postgres.purging import PostgresPurge
from linkflow.postgres.sharded_files import ShardedFiles
from linkflow.postgres.workspaces import PostgresWorkspaces
from tests.integration.test_history import World
from tests.integration.test_history import world as world

DAY_MS = 86_400_000
KEPT = {"audit_log"}
"""What is kept for as long as the operator says."""

ROWS = """
INSERT INTO replies (workspace_id, key, fingerprint, expires_at) VALUES (%(w)s, 'k', '', 9e15);
INSERT INTO kept_events VALUES (%(w)s, 'e', 'paid', '', '{}', 'a', 9e15);
INSERT INTO workspace_reach (workspace_id, changed_at, changed_by) VALUES (%(w)s, 0, '');
INSERT INTO retention_settings VALUES (%(w)s, '00000000-0000-0000-0000-000000000000', 7);
INSERT INTO queue_settings (queue, changed_at, changed_by) VALUES ('q', 0, '') ON CONFLICT DO NOTHING;
INSERT INTO queue_rules VALUES ('q', %(w)s::text, '', true, 1, 0, 0);
INSERT INTO variables (id, workspace_id, key, version, created_by, created_at, updated_at)
  VALUES (gen_random_uuid(), %(w)s, 'A', 1, '', 0, 0);
INSERT INTO notification_rules VALUES (gen_random_uuid(), %(w)s, 'n', true, '{}', '{}', 0, 0, '{}', 1, 0, 0, 0, NULL);
"""


async def _filled(world: World) -> tuple[str, list[str]]:
    """A workspace with something of everything, and its runs."""
    flow = await world.chain(1)
    for statement in ROWS.strip().split(";\n"):
        async with world.database.connection() as c:
            await c.execute(statement, {"w": world.workspace})  # type: ignore[arg-type]
    runs = [await world.start(flow, trigger={"text": "x" * 50_000}, idempotency_key=key) for key in ("a", "b", "c")]
    await world.report(runs[0], "n0", Completed({"text": "y" * 50_000}))
    await world.report(runs[1], "n0", Failed(NodeError("boom", "Oh no", False)))
    await world.report(runs[2], "n0", WaitEvent("shipped"))
    files: FileStore = PostgresFiles(world.database)
    if world.shards:
        each = {name: PostgresFiles(one) for name, one in world.shards.databases.items()}
        files = ShardedFiles(world.shards, each)
    info = FileInfo("a.txt", 5, "text/plain", "0" * 64, 0)
    await files.put(world.workspace, info, b"hello", Room(1000, 1000, 10), False)
    await world.history.sweep(h.SweepRequest())
    return world.workspace, runs


async def _left(world: World, workspace: str, runs: list[str]) -> set[str]:
    """Tables that have something of it."""
    places = await world.sql(
        "SELECT DISTINCT c.table_name, c.column_name FROM information_schema.columns c"
        " JOIN pg_class p ON p.relname = c.table_name AND NOT p.relispartition AND p.relkind IN ('r', 'p')"
        " WHERE c.table_schema = 'public' AND c.column_name IN ('workspace_id', 'execution_id')"
    )
    found = set()
    for table, column in places:
        values = [workspace] if column == "workspace_id" else runs
        rows = await world.sql(f"SELECT count(*) FROM {table} WHERE {column}::text = ANY (%s)", values)
        if sum(count for (count,) in rows):
            found.add(table)
    rows = await world.sql("SELECT count(*) FROM executions WHERE id = ANY (%s::uuid[])", runs)
    return found | ({"executions"} if sum(count for (count,) in rows) else set())


async def _look(world: World) -> h.SweepReply:
    """What upkeep does, and then the sweeps, until there is nothing to do."""
    await world.sql("UPDATE workspaces SET purge_at = least(purge_at, 1)")  # the last look was long ago
    reply = await world.history.sweep(h.SweepRequest(purge=True))
    for _ in range(20):
        if not (await world.history.sweep(h.SweepRequest())).bulk:
            break
    await world.history.close()
    return reply


async def test_a_workspace_that_cannot_be_restored_any_more_leaves_nothing_behind(world: World) -> None:
    dropped: list[DropRequest] = []

    async def drop(request: DropRequest) -> DropReply:
        dropped.append(request)
        return DropReply(0)

    world.matching.drop = drop  # type: ignore[attr-defined]
    databases = list(world.shards.databases.values()) if world.shards else []
    await world.history.close()
    world.history = world.another(blobs=world.blobs(), purging=PostgresPurge(world.database, databases))
    gone, runs = await _filled(world)
    other, its = await _other(world)
    before = await _left(world, gone, runs)
    assert before >= {
        "executions", "history", "blobs", "waits", "replies", "kept_events", "workspace_reach", "retention_settings",
        "queue_rules", "usage_sums", "workflows", "variables", "notification_rules", "run_facts",
    }  # fmt: skip
    kept = await _left(world, other, its)
    now = int(time.time() * 1000)
    await PostgresWorkspaces(world.database).delete(gone, now - 29 * DAY_MS)
    assert (await _look(world)).bulk == 0
    assert await _left(world, gone, runs) == before, "it can be restored for a day more"
    await world.sql("UPDATE workspaces SET deleted_at = %s WHERE id = %s", now - 31 * DAY_MS, gone)
    assert (await _look(world)).bulk == len(runs)
    looks = 1
    while await world.sql("SELECT id FROM workspaces WHERE id = %s", gone):
        await _look(world)
        looks += 1
        assert looks < 5
    assert await _left(world, gone, runs) - KEPT == set()
    assert await world.sql("SELECT count(*) FROM blobs WHERE execution_id = %s::uuid", drawer_of(gone)) in (
        [(0,)],
        [(0,), (0,)],
    )
    assert await _left(world, other, its) == kept
    assert dropped == [DropRequest(gone, all=True)]
    lines = await world.sql("SELECT action, actor, target_id FROM audit_log WHERE workspace_id = %s", gone)
    assert lines == [("workspaces.purge", "service:upkeep", gone)]


async def _other(world: World) -> tuple[str, list[str]]:
    before, world.workspace = world.workspace, uuid7(int(time.time() * 1000), 1, 2)
    try:
        return await _filled(world)
    finally:
        world.workspace = before

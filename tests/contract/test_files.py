"""What every store of files does: the table in Postgres, two databases, and the memory of rehearsals."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import AsyncIterator

import pytest

from linkflow.domain.drawers import FileInfo, Room, drawer_of, path_fault
from linkflow.domain.errors import Conflict, PayloadTooLarge, Unavailable
from linkflow.domain.ids import is_uuid, shard_of_execution, shard_of_workflow
from linkflow.local.drawer import MemoryFiles
from linkflow.ports import FileStore
from linkflow.postgres.blobs import PostgresBlobs
from linkflow.postgres.database import Database
from linkflow.postgres.files import PostgresFiles
from linkflow.postgres.retention import Retention
from linkflow.postgres.sharded_files import ShardedFiles
from linkflow.postgres.shards import Shards

ROOM = Room(1000, 1_000_000, 100)


@pytest.fixture(params=["postgres", "two", "memory"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[FileStore]:
    if request.param == "postgres":
        database = Database(request.getfixturevalue("database_url"), size=4)
        yield PostgresFiles(database)
        await database.close()
    elif request.param == "two":
        main, b = (Database(url, size=4) for url in request.getfixturevalue("split_urls"))
        shards = Shards(main, {"b": b})
        yield ShardedFiles(shards, {name: PostgresFiles(one) for name, one in shards.databases.items()})
        await main.close()
        await b.close()
    else:
        yield MemoryFiles()


async def put(
    store: FileStore, who: str, path: str, data: bytes, at: int = 5, room: Room = ROOM, overwrite: bool = True
) -> FileInfo:
    info = FileInfo(path, len(data), "text/plain; charset=utf-8", hashlib.sha256(data).hexdigest(), at)
    return await store.put(who, info, data, room, overwrite)


async def test_what_is_put_is_there(store: FileStore) -> None:
    who = str(uuid.uuid4())
    for path, data in (("a.txt", b"one\ntwo\x00\xff"), ("deep/er/ü €.txt", b""), ("a", bytes(range(256)) * 3)):
        info = await put(store, who, path, data)
        assert await store.get(who, path) == (info, data)
        assert await store.head(who, path) == info
    info = await put(store, who, "a", b"new", at=6)
    assert await store.get(who, "a") == (info, b"new")
    assert (await store.get(who, "b"), await store.head(who, "deep")) == (None, None)


async def test_a_large_file(store: FileStore) -> None:
    who, data = str(uuid.uuid4()), b"0123456789" * 500_000
    info = await put(store, who, "large", data, room=Room(10**7, 10**7, 2))
    assert await store.head(who, "large") == info
    assert await store.get(who, "large") == (info, data)


async def test_pages(store: FileStore) -> None:
    who = str(uuid.uuid4())
    for n in range(5):
        await put(store, who, f"x/{n}", b"%d" % n)
    await put(store, who, "y", b"")
    await put(store, who, "x%", b"")
    assert [one.path for one in await store.list(who, "x/", "", 3)] == ["x/0", "x/1", "x/2"]
    assert [one.path for one in await store.list(who, "x/", "x/2", 3)] == ["x/3", "x/4"]
    assert len(await store.list(who, "", "", 100)) == 7
    assert (await store.delete(who, ["x/0", "y", "none"]), await store.delete(who, [])) == (["x/0", "y"], [])
    assert len(await store.list(who, "", "", 100)) == 5


async def test_one_workspace_has_nothing_of_another(store: FileStore) -> None:
    who, other = str(uuid.uuid4()), str(uuid.uuid4())
    await put(store, who, "a", b"mine")
    assert (await store.get(other, "a"), await store.list(other, "", "", 10)) == (None, [])
    assert await store.delete(other, ["a"]) == []
    await put(store, other, "a", b"theirs")
    assert (await store.get(who, "a"))[1] == b"mine"  # type: ignore[index]


async def test_another_content_is_not_written_over_where_it_may_not(store: FileStore) -> None:
    who = str(uuid.uuid4())
    await put(store, who, "a", b"one", overwrite=False)
    await put(store, who, "a", b"one", overwrite=False)  # the same again: a retry
    with pytest.raises(Conflict):
        await put(store, who, "a", b"two", overwrite=False)
    assert (await store.get(who, "a"))[1] == b"one"  # type: ignore[index]


async def test_there_is_so_much_room_and_no_more(store: FileStore) -> None:
    who, room = str(uuid.uuid4()), Room(1000, 1000, 3)
    await put(store, who, "a", b"x" * 300, room=room)
    await put(store, who, "b", b"x" * 300, room=room)
    with pytest.raises(PayloadTooLarge):
        await put(store, who, "c", b"x" * 500, room=room)
    await put(store, who, "b", b"x" * 320, room=room)  # what it replaces does not count
    await put(store, who, "c", b"", room=room)
    with pytest.raises(PayloadTooLarge):
        await put(store, who, "d", b"", room=room)
    tries = await asyncio.gather(
        *(put(store, str(uuid.UUID(int=n // 8)), f"{n}", b"x", room=Room(9, 9_999, 3)) for n in range(16)),
        return_exceptions=True,
    )
    assert sum(isinstance(one, FileInfo) for one in tries) == 6  # three for each of two, also all at once


async def test_retention_and_a_runs_end_leave_files_alone(database_url: str) -> None:
    who = str(uuid.uuid4())
    database = Database(database_url, size=2)
    files = PostgresFiles(database)
    await put(files, who, "a", b"stays")
    await Retention(database, 1).run(4_000_000_000_000)
    assert await files.head(who, "a") is not None
    drawer = drawer_of(who)
    assert (is_uuid(drawer), shard_of_execution(drawer)) == (True, shard_of_workflow(who))
    assert await PostgresBlobs(database).get([f"{who}/{drawer}/a"]) == {}
    await database.close()


async def test_a_database_that_is_away_is_retryable() -> None:
    database = Database("postgresql://x@127.0.0.1:1/x", size=1, timeout=1.0)
    with pytest.raises(Unavailable):
        await PostgresFiles(database).head(str(uuid.uuid4()), "a")
    await database.close()


@pytest.mark.parametrize(
    "path", ["", "/a", "a/", "a//b", ".", "..", "../a", "a/../b", "a/./b", "a\\b", "a\nb", "a\0", "é" * 257]
)
def test_what_is_no_path(path: str) -> None:
    assert path_fault(path)


@pytest.mark.parametrize("path", ["a", "a/b.c", "...", "a b/ü", "~/x", "C:x", "%2e%2e/a"])
def test_what_is_a_path(path: str) -> None:
    assert not path_fault(path)

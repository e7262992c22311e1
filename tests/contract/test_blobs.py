"""What every blob store does: the table in Postgres, and S3 (as moto plays it)."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from linkflow.domain.errors import Internal, Unavailable
from linkflow.domain.ids import uuid7
from linkflow.domain.payloads import key_of
from linkflow.ports import Blobs
from linkflow.postgres.blobs import PostgresBlobs
from linkflow.postgres.database import Database
from linkflow.postgres.sharded_blobs import ShardedBlobs
from linkflow.postgres.shards import Shards
from linkflow.transports.s3 import S3Blobs

BUCKET = "linkflow-test"
_numbers = iter(range(1, 10_000))


def ids() -> tuple[str, str]:
    """A workspace and a run."""
    number = next(_numbers)
    return str(uuid.uuid4()), uuid7(1_764_000_000_000, 2048 * (number % 2), number)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        client = boto3.client("s3", region_name="eu-central-1")
        place = {"LocationConstraint": "eu-central-1"}
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=place)
        yield client
        client.close()


@pytest.fixture(params=["postgres", "two", "s3"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Blobs]:
    if request.param == "postgres":
        database = Database(request.getfixturevalue("database_url"), size=2)
        yield PostgresBlobs(database)
        await database.close()
    elif request.param == "two":
        main, b = (Database(url, size=2) for url in request.getfixturevalue("split_urls"))
        shards = Shards(main, {"b": b})
        yield ShardedBlobs(shards, {name: PostgresBlobs(one) for name, one in shards.databases.items()})
        await main.close()
        await b.close()
    else:
        request.getfixturevalue("bucket")
        made = S3Blobs(f"s3://{BUCKET}/payloads")
        yield made
        await made.close()


async def test_what_is_put_is_there(store: Blobs) -> None:
    workspace, run = ids()
    data = [b'"one"', b"[" + b"1," * 600_000 + b"1]", b'"\xc3\xa4\\u0000"']
    blobs = {key_of(workspace, run, item): item for item in data}
    await store.put(blobs)
    assert await store.get(list(blobs)) == blobs
    await store.put(blobs)
    assert await store.get([*blobs, *blobs]) == blobs


async def test_nothing_is_nothing(store: Blobs) -> None:
    await store.put({})
    assert await store.get([]) == {}
    await store.drop([])


async def test_what_was_never_put_is_absent(store: Blobs) -> None:
    workspace, run = ids()
    known = key_of(workspace, run, b"1")
    await store.put({known: b"1"})
    strange = key_of(workspace, run, b"2")
    assert await store.get([strange, known]) == {known: b"1"}


async def test_the_same_name_in_another_workspace_or_run_is_another_blob(store: Blobs) -> None:
    (workspace, run), (other, another) = ids(), ids()
    await store.put({key_of(workspace, run, b"1"): b"1"})
    assert await store.get([key_of(other, run, b"1"), key_of(workspace, another, b"1")]) == {}


async def test_many_who_put_the_same_do_not_hinder_each_other(store: Blobs) -> None:
    workspace, run = ids()
    blobs = {key_of(workspace, run, b"%d" % n): b"%d" % n for n in range(40)}
    backwards = dict(reversed(blobs.items()))
    await asyncio.gather(*(store.put(blobs if n % 2 else backwards) for n in range(8)))
    assert await store.get(list(blobs)) == blobs


async def test_a_dropped_run_takes_its_own_blobs_along(store: Blobs) -> None:
    (workspace, gone), (_, stays) = ids(), ids()
    blobs = {key_of(workspace, run, b"%d" % n): b"%d" % n for run in (gone, stays) for n in range(3)}
    await store.put(blobs)
    await store.drop([(workspace, gone)])
    assert await store.get(list(blobs)) == {key: data for key, data in blobs.items() if stays in key}
    await store.drop([(ids()[0], stays)])  # another workspace's word counts for nothing
    assert len(await store.get(list(blobs))) == 3


async def test_the_table_is_dropped_by_month_like_the_history(database_url: str) -> None:
    database = Database(database_url, size=1)
    async with database.connection() as c:
        rows = await (
            await c.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'blobs'::regclass")
        ).fetchall()
        months = await (
            await c.execute("SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'history'::regclass")
        ).fetchall()
    await database.close()
    assert {name.replace("blobs", "history") for (name,) in rows} == {name for (name,) in months}


async def test_a_key_that_is_none_finds_nothing_in_postgres(database_url: str) -> None:
    database = Database(database_url, size=1)
    assert await PostgresBlobs(database).get(["", "a/b/c", "../../x", "'; drop table blobs; --"]) == {}
    await database.close()


async def test_a_database_that_is_away_is_retryable() -> None:
    database = Database("postgresql://x@127.0.0.1:1/x", size=1, timeout=1.0)
    with pytest.raises(Unavailable):
        await PostgresBlobs(database).put({key_of(*ids(), b"1"): b"1"})
    await database.close()


async def test_objects_lie_under_the_prefix_and_are_encrypted(bucket: Any) -> None:
    store = S3Blobs(f"s3://{BUCKET}/some/where/")
    key = key_of(*ids(), b"1")
    await store.put({key: b"1"})
    head = bucket.head_object(Bucket=BUCKET, Key=f"some/where/{key}")
    assert (head["ServerSideEncryption"], head["ContentType"]) == ("AES256", "application/json")
    await store.close()


@pytest.mark.parametrize(("query", "found"), [("?sse=aws:kms", "aws:kms"), ("", "AES256")])
async def test_the_kind_of_encryption_is_the_address_s(bucket: Any, query: str, found: str) -> None:
    store = S3Blobs(f"s3://{BUCKET}{query}")
    key = key_of(*ids(), b"1")
    await store.put({key: b"1"})
    assert bucket.head_object(Bucket=BUCKET, Key=key)["ServerSideEncryption"] == found
    await store.close()


async def test_s3_that_is_away_is_retryable_and_a_missing_bucket_is_not(bucket: Any) -> None:
    away = S3Blobs(f"s3://{BUCKET}", endpoint="http://127.0.0.1:1")
    with pytest.raises(Unavailable):
        await away.get([key_of(*ids(), b"1")])
    await away.close()
    nowhere = S3Blobs("s3://no-such-bucket")
    with pytest.raises(Internal, match="NoSuchBucket"):
        await nowhere.put({key_of(*ids(), b"1"): b"1"})
    await nowhere.close()


@pytest.mark.parametrize("url", ["", "bucket", "http://bucket/x", "s3://", "s3://bucket?sse=none"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(Internal, match="s3://bucket"):
        S3Blobs(url)

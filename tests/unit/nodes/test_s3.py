"""The S3 node against moto's server, and a stand-in for what moto never says."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from linkflow.nodes.base import NodeFailure
from linkflow.nodes.egress import EgressClient
from tests.unit.nodes.aws_peer import KEYS, REGION, Cloud
from tests.unit.nodes.peers import codes, http_peer, reply, run


@pytest.fixture(scope="module")
def bucket(cloud: Cloud) -> Any:
    client = cloud.client("s3")
    client.create_bucket(Bucket="files", CreateBucketConfiguration={"LocationConstraint": REGION})
    return client


@pytest.fixture
def ask(egress: EgressClient, cloud: Cloud, bucket: Any) -> Any:
    async def ask(operation: str, **config: Any) -> Any:
        given = {"operation": operation, "bucket": "files", **config}
        return (await run("s3", given, egress=egress, credentials=cloud.credential)).output

    return ask


async def failing(call: Any) -> NodeFailure:
    with pytest.raises(NodeFailure) as caught:
        await call
    return caught.value


KEYS_OF_ALL_KINDS = ["plain.txt", "a b+c", "ümlaut/€", "x//y", "q?a=b&c#d%20e", "<&>'\"", "tab\there", "trail/"]


async def test_names_of_all_kinds(ask: Any, bucket: Any):
    for key in KEYS_OF_ALL_KINDS:
        await ask("put", key=f"kinds/{key}", content=key)
        assert (await ask("get", key=f"kinds/{key}"))["content"] == key
    listed = await ask("list", prefix="kinds/")
    assert [one["key"] for one in listed["items"]] == sorted(f"kinds/{key}" for key in KEYS_OF_ALL_KINDS)
    found = {one["Key"] for one in bucket.list_objects_v2(Bucket="files", Prefix="kinds/")["Contents"]}
    assert found == {f"kinds/{key}" for key in KEYS_OF_ALL_KINDS}
    deleted = await ask("delete", keys=[one["key"] for one in listed["items"]])
    assert (sorted(deleted["deleted"]), deleted["failed"]) == (sorted(found), [])
    assert (await ask("list", prefix="kinds/"))["items"] == []


async def test_an_object_as_it_was_put(ask: Any, bucket: Any):
    put = await ask("put", key="a.json", content={"n": [1]}, metadata={"Owner": "ada"})
    got = await ask("get", key="a.json")
    assert (got["content"], got["content_type"], got["size"]) == ({"n": [1]}, "application/json", 9)
    assert (got["etag"], got["metadata"]) == (put["etag"], {"owner": "ada"})
    await ask("put", key="b.bin", content={"base64": "AP8=", "content_type": "image/x"})
    assert (await ask("get", key="b.bin"))["content"] == {"base64": "AP8=", "content_type": "image/x", "size": 2}
    assert (await ask("get", key="a.json", range="0-3"))["size"] == 4
    assert (await ask("get", key="a.json", read_as="text"))["content"] == '{"n":[1]}'
    seen = await ask("head", key="a.json")
    assert (seen["exists"], seen["size"], seen["content_type"]) == (True, 9, "application/json")
    assert await ask("head", key="none") == {"key": "none", "exists": False}
    copied = await ask("copy", source_key="a.json", key="copy of a.json")
    assert (copied["etag"], (await ask("get", key="copy of a.json"))["content"]) == (put["etag"], {"n": [1]})
    assert await ask("delete", key="a.json") == {"deleted": ["a.json"], "failed": []}
    failure = await failing(ask("get", key="a.json"))
    assert (failure.error.code, failure.error.details["code"], failure.error.retryable) == (
        "aws_error",
        "NoSuchKey",
        False,
    )
    failure = await failing(ask("get", bucket="nowhere", key="a"))
    assert failure.error.details["code"] == "NoSuchBucket"


async def test_pages_and_folders(ask: Any):
    for n in range(7):
        await ask("put", key=f"pages/{n}", content="x")
    await ask("put", key="pages/deep/1", content="x")
    first = await ask("list", prefix="pages/", max_items=3)
    assert ([one["key"] for one in first["items"]], first["truncated"]) == (["pages/0", "pages/1", "pages/2"], True)
    rest = await ask("list", prefix="pages/", start_after=first["next"])
    assert (rest["count"], rest["truncated"], rest["next"]) == (5, False, None)
    folders = await ask("list", prefix="pages/", delimiter="/")
    assert (folders["prefixes"], folders["count"]) == (["pages/deep/"], 7)


async def test_an_address_for_others(ask: Any):
    written = await ask("presign", key="shared file", method="PUT", expires=60)
    read = await ask("presign", key="shared file")
    async with httpx.AsyncClient() as client:
        assert (await client.put(written["url"], content=b"hello")).status_code == 200
        assert (await client.get(read["url"])).text == "hello"
    assert KEYS["secret_access_key"] not in str(read)


async def test_names_that_mean_another_object_are_refused(ask: Any):
    for key in ("../other", "a/./b", ".."):
        assert (await failing(ask("get", key=key))).error.code == "bad_key"


async def test_what_a_real_store_says(egress: EgressClient):
    """Answers that moto has not."""
    exists = reply(412, b"<Error><Code>PreconditionFailed</Code></Error>")
    moved = reply(301, b"<Error><Code>PermanentRedirect</Code></Error>", {"x-amz-bucket-region": "us-east-2"})
    broken = reply(200, b"<Error><Code>InternalError</Code><Message>try</Message></Error>")
    partial = reply(
        200,
        b"<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code></Error></DeleteResult>",
    )
    bomb = reply(200, b'<!DOCTYPE x [<!ENTITY a "b">]><ListBucketResult>&a;</ListBucketResult>')
    base = {"bucket": "files", "key": "k"}
    for answer, config, code in (
        (exists, {"operation": "put", "content": "x", "overwrite": False}, "s3_exists"),
        (moved, {"operation": "get"}, "aws_error"),
        (broken, {"operation": "copy", "source_key": "s"}, "aws_busy"),
        (partial, {"operation": "delete", "key": "a", "keys": ["b"]}, "s3_partial"),
        (bomb, {"operation": "list"}, "aws_answer"),
        (reply(200, b"\xff"), {"operation": "get", "read_as": "text"}, "bad_content"),
        (reply(200, b"{"), {"operation": "get", "read_as": "json"}, "bad_content"),
    ):
        async with http_peer(lambda _, answer=answer: answer) as peer:
            credentials = {"aws": {**KEYS, "endpoint": peer.url}}
            failure = await failing(run("s3", {**base, **config}, egress=egress, credentials=credentials))
            assert failure.error.code == code, config
            if answer is moved:
                assert failure.error.message.endswith("The bucket is in us-east-2.")
            if answer is partial:
                assert failure.error.details["failed"] == [{"key": "b", "code": "AccessDenied", "message": ""}]


async def test_where_a_bucket_is(egress: EgressClient):
    """At AWS in the host's name; at other stores, and with a name that is none of a host, in the path."""
    failures = [
        await failing(run("s3", {"operation": "get", "key": "k", "bucket": bucket}, egress=EgressClient(only_nowhere()),
                          credentials={"aws": {**KEYS}}))
        for bucket in ("files", "with.dots")
    ]  # fmt: skip
    hosts = [failure.error.message.split()[3] for failure in failures]  # The connection to HOST failed
    assert hosts == ["files.s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"]


def only_nowhere() -> Any:
    from linkflow.config import Egress

    names = ("files.s3.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com")
    return Egress(resolve={f"{name}:443": "127.0.0.1:9" for name in names})


def test_what_is_missing():
    base = {"bucket": "files"}
    assert codes("s3", base) == [("/operation", "missing_field")]
    assert codes("s3", {**base, "operation": "put", "key": "k"}) == [("", "invalid_value")]
    assert codes("s3", {**base, "operation": "delete"}) == [("", "invalid_value")]
    assert codes("s3", {**base, "operation": "delete", "keys": "{{ input }}"}) == []

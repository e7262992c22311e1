"""The console's assets on their way into a bucket, and out of it again; moto plays S3."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from moto import mock_aws

from linkflow.domain.errors import Internal
from linkflow.domain.ids import uuid7
from linkflow.transports.console_upload import upload
from linkflow.transports.s3 import S3Blobs

BUCKET = "linkflow-console"
URL = f"s3://{BUCKET}/console"
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    for name, value in {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "REGION": "eu-central-1"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    with mock_aws():
        client = boto3.client("s3", region_name="eu-central-1")
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        yield client
        client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "index-1.js").write_bytes(b"one")
    (tmp_path / "index-1.js.br").write_bytes(b"packed")
    return tmp_path


async def test_what_was_put_is_what_the_api_reads(bucket: Any, folder: Path) -> None:
    assert upload(folder, URL) == 2
    told = bucket.head_object(Bucket=BUCKET, Key="console/index-1.js")
    assert told["CacheControl"] == "public, max-age=31536000, immutable"
    store = S3Blobs(URL)
    assert await store.get(["index-1.js.br", "gone.js"]) == {"index-1.js.br": b"packed"}
    await store.close()


def test_a_deployment_puts_what_is_new_and_takes_nothing_away(bucket: Any, folder: Path) -> None:
    upload(folder, URL)
    assert upload(folder, URL) == 0
    (folder / "index-1.js").unlink()
    (folder / "index-2.js").write_bytes(b"two")
    assert upload(folder, URL) == 1
    found = [one["Key"] for one in bucket.list_objects_v2(Bucket=BUCKET)["Contents"]]
    assert found == ["console/index-1.js", "console/index-1.js.br", "console/index-2.js"]


def test_what_lies_there_with_another_content_is_put_right(bucket: Any, folder: Path) -> None:
    bucket.put_object(Bucket=BUCKET, Key="console/index-1.js", Body=b"half")
    assert upload(folder, URL) == 2
    assert bucket.get_object(Bucket=BUCKET, Key="console/index-1.js")["Body"].read() == b"one"


@pytest.mark.parametrize("url", ["", "console", "s3://bucket", "s3:///console", "https://bucket/console"])
def test_an_address_without_a_prefix_of_its_own_is_refused(folder: Path, url: str) -> None:
    with pytest.raises(Internal, match="LINKFLOW_CONSOLE"):
        upload(folder, url, client=object())


def test_what_the_bucket_forgets_are_payloads_alone() -> None:
    """Their keys begin with a workspace's id."""
    text = (ROOT / "template.yaml").read_text()
    rules = re.findall(r"Prefix: \"(.*?)\"\n\s+ExpirationInDays", text)
    assert rules == ["0"]
    assert text.count("ExpirationInDays") == 1
    in_the_year_2500 = 16_725_225_600_000
    assert uuid7(0, 0, 0)[0] == uuid7(in_the_year_2500, 0, 0)[0] == rules[0]

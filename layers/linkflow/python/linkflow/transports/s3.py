"""Large payloads in S3: one object each, encrypted, under ``prefix/workspace/execution/sha256``."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

from linkflow.domain.errors import Internal, LinkFlowError, Unavailable

SSE = ("AES256", "aws:kms", "bucket")
"""Kinds of encryption that an address may ask for; ``bucket`` leaves it to the bucket's own default."""
_BUSY = frozenset({"SlowDown", "RequestTimeout", "Throttling", "ThrottlingException", "ExpiredToken"})
_GONE = ("NoSuchKey", "404")

T = TypeVar("T")
_log = logging.getLogger("linkflow.transports")


class S3Blobs:
    """Implements `linkflow.ports.Blobs`. boto3 blocks, so calls run in threads: at most `concurrency` at once.

    `url` is ``s3://bucket/prefix``, with ``?sse=aws:kms`` or ``?sse=bucket`` where AES256 is not what the bucket wants.
    Region, credentials and endpoint come from the environment, as always with AWS.
    """

    def __init__(self, url: str, *, concurrency: int = 16, endpoint: str | None = None) -> None:
        parts = urlsplit(url)
        sse = parse_qs(parts.query).get("sse", ["AES256"])[0]
        if parts.scheme != "s3" or not parts.netloc or sse not in SSE:
            raise Internal("LINKFLOW_BLOBS is s3://bucket/prefix, or empty for Postgres.")
        self._bucket = parts.netloc
        self._prefix = f"{parts.path.strip('/')}/".lstrip("/")
        self._sse = {} if sse == "bucket" else {"ServerSideEncryption": sse}
        self._concurrency = concurrency
        self._endpoint = endpoint
        self._threads: ThreadPoolExecutor | None = None
        self._client: Any = None
        self._making = threading.Lock()

    async def put(self, blobs: Mapping[str, bytes]) -> None:
        await asyncio.gather(*(self._run(self._put, key, data) for key, data in blobs.items()))

    async def get(self, keys: Sequence[str]) -> dict[str, bytes]:
        wanted = list(dict.fromkeys(keys))
        found = await asyncio.gather(*(self._run(self._get, key) for key in wanted))
        return {key: data for key, data in zip(wanted, found, strict=True) if data is not None}

    async def drop(self, runs: Sequence[tuple[str, str]]) -> None:
        await asyncio.gather(*(self._run(self._drop, f"{workspace}/{run}/") for workspace, run in runs))

    async def close(self) -> None:
        """Let go of threads and sockets; a later call makes new ones."""
        threads, self._threads = self._threads, None
        client, self._client = self._client, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)
        if client is not None:
            client.close()

    async def _run(self, work: Callable[..., T], *args: Any) -> T:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._concurrency, thread_name_prefix="s3")
        return await asyncio.get_running_loop().run_in_executor(self._threads, _translated, work, *args)

    def _put(self, key: str, data: bytes) -> None:
        self._boto().put_object(
            Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentType="application/json", **self._sse
        )

    def _get(self, key: str) -> bytes | None:
        try:
            data: bytes = self._boto().get_object(Bucket=self._bucket, Key=self._prefix + key)["Body"].read()
        except Exception as error:
            if _code(error) in _GONE:
                return None
            raise
        return data

    def _drop(self, under: str) -> None:
        pages = self._boto().get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + under
        )  # fmt: skip
        for page in pages:
            found = [{"Key": item["Key"]} for item in page.get("Contents", ())]
            if found:
                self._boto().delete_objects(Bucket=self._bucket, Delete={"Objects": found, "Quiet": True})

    def _boto(self) -> Any:
        with self._making:
            if self._client is None:
                import boto3  # 100 ms or more: only where a payload is really large
                from botocore.config import Config

                config = Config(
                    connect_timeout=5,
                    read_timeout=20,
                    retries={"mode": "standard", "total_max_attempts": 3},
                    max_pool_connections=self._concurrency,
                )
                session = boto3.session.Session(region_name=os.environ.get("AWS_REGION"))  # it knows only the old name
                self._client = session.client("s3", endpoint_url=self._endpoint, config=config)
            return self._client


def _translated(work: Callable[..., T], *args: Any) -> T:
    """Do it, with boto3's errors turned into ours."""
    try:
        return work(*args)
    except Exception as error:
        raise _error(error) from None


def _code(error: Exception) -> str:
    return str(getattr(error, "response", {}).get("Error", {}).get("Code", ""))


def _error(error: Exception) -> LinkFlowError:
    from botocore import exceptions as boto

    answer = getattr(error, "response", {})
    status = int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if isinstance(error, boto.ClientError) and (status >= 500 or status == 429 or _code(error) in _BUSY):
        return Unavailable(f"The blob store does not answer now ({_code(error)}); try again.")
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError):
        return Unavailable(f"The blob store cannot be reached: {type(error).__name__}.")
    _log.error("the blob store refused a request", exc_info=error)
    return Internal(f"The blob store refused a request ({_code(error) or type(error).__name__}).")

"""The console's assets on their way into the bucket, once a deployment."""

from __future__ import annotations

import hashlib
import logging
import mimetypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from linkflow.domain.errors import Internal

ABSENT = frozenset(("403", "404", "NoSuchKey", "NotFound"))
"""How S3 says that a key is not there; 403 to who may not list."""
_log = logging.getLogger("linkflow.transports")


def upload(folder: Path, url: str, *, client: Any = None) -> int:
    """Put each file of `folder` under `url` (``s3://bucket/prefix``) unless it is there with this content; how many
    were put. Nothing is taken away: pages that are open go on with the assets they know. Raises what boto3 does."""
    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.netloc or not parts.path.strip("/"):
        raise Internal("LINKFLOW_CONSOLE is s3://bucket/prefix, or empty.")
    s3 = client or _client()
    put = 0
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        key = f"{parts.path.strip('/')}/{path.name}"
        if _known(s3, parts.netloc, key).get("sha256") == digest:
            continue
        kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        s3.put_object(
            Bucket=parts.netloc, Key=key, Body=content, ContentType=kind, Metadata={"sha256": digest},
            CacheControl="public, max-age=31536000, immutable", ChecksumAlgorithm="SHA256",
        )  # fmt: skip
        put += 1
    _log.info("the console is in its bucket", extra={"files": put})
    return put


def _known(s3: Any, bucket: str, key: str) -> Mapping[str, str]:
    """What is said of an object; nothing where it is not there."""
    try:
        told: Mapping[str, str] = s3.head_object(Bucket=bucket, Key=key)["Metadata"]
    except Exception as error:
        if str(getattr(error, "response", {}).get("Error", {}).get("Code", "")) in ABSENT:
            return {}
        raise
    return told


def _client() -> Any:
    import os

    import boto3
    from botocore.config import Config

    config = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
    return boto3.session.Session(region_name=os.environ.get("AWS_REGION")).client("s3", config=config)

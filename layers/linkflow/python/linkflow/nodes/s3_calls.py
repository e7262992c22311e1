"""Calls of the S3 node, and how a bucket's address is made."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote_plus, urlencode
from xml.sax.saxutils import escape

import msgspec

from linkflow.nodes.aws import Service, account, failure, listed, refused, xml_of
from linkflow.nodes.base import Context, EgressResponse, NodeFailure
from linkflow.nodes.contents import decoded, encoded

if TYPE_CHECKING:
    from linkflow.nodes.s3 import S3Params

AT_ONCE = 1000
"""Objects of one page, and of one call that deletes."""
TOLD = 50
_IN_A_HOST = re.compile(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")


class Bucket:
    """One bucket, as the node is configured."""

    def __init__(self, to: Service, params: S3Params, context: Context) -> None:
        self._to, self._params, self._context = to, params, context
        base = to.account.url()
        path_style = params.path_style
        if path_style is None:
            path_style = bool(to.account.endpoint)
        if path_style or not _IN_A_HOST.fullmatch(params.bucket):
            self._base = f"{base}/{params.bucket}"
        else:
            scheme, _, host = base.partition("://")
            self._base = f"{scheme}://{params.bucket}.{host}"

    @classmethod
    async def open(cls, params: S3Params, context: Context) -> Bucket:
        """Raises `NodeFailure` ``no_credential``, ``bad_credential``."""
        found = await account(context, "s3", params.region, params.endpoint)
        return cls(Service(context, found, params.timeout), params, context)

    async def get(self) -> dict[str, Any]:
        params = self._params
        wanted = params.range and f"bytes={params.range.removeprefix('bytes=')}"
        response = await self._call("GET", self._url(params.key, self._version()), {"Range": wanted} if wanted else {})
        kind = response.headers.get("content-type", "")
        found = {**_about(params.key, response), "size": len(response.content)}
        if params.save_as:
            kept = await self._context.storage().put(params.save_as, response.content, kind, overwrite=params.overwrite)
            return {**found, "file": kept.path}
        return {**found, "content": decoded(response.content, kind, params.read_as)}

    async def head(self) -> dict[str, Any]:
        response = await self._to.send("HEAD", self._url(self._params.key, self._version()))
        if response.status_code == 404:
            return {"key": self._params.key, "exists": False}
        if response.status_code >= 300:  # an answer to HEAD has no body that says more
            raise refused(response, self._to.now_ms())
        size = int(response.headers.get("content-length") or 0)
        return {**_about(self._params.key, response), "size": size, "exists": True}

    async def put(self) -> dict[str, Any]:
        params = self._params
        if params.file:
            info, data = await self._context.storage().get(params.file)
            kind = params.content_type or info.content_type
        else:
            data, kind = encoded(params.content, params.content_type)
        headers = {f"x-amz-meta-{name.lower()}": value for name, value in params.metadata.items()}
        headers |= {"Content-Type": kind, **self._unless_there()}
        response = await self._call("PUT", self._url(params.key), headers, data)
        return {**_written(params.key, response), "size": len(data)}

    async def copy(self) -> dict[str, Any]:
        params = self._params
        source = quote(f"/{params.source_bucket or params.bucket}/{params.source_key}", safe="/-_.~")
        headers = {"x-amz-copy-source": source, **self._unless_there()}
        response = await self._call("PUT", self._url(params.key), headers)
        if b"<Error>" in response.content:  # a copy may begin with 200 and fail then
            error = xml_of(response, "Error")
            raise failure(str(error.get("Code")), str(error.get("Message") or ""))
        found = xml_of(response, "CopyObjectResult")
        return {**_written(params.key, response), "etag": str(found.get("ETag") or "").strip('"')}

    async def list(self) -> dict[str, Any]:
        params = self._params
        items: list[dict[str, Any]] = []
        prefixes: dict[str, None] = {}
        token, after, more = "", params.start_after, True
        while more and (room := params.max_items - len(items) - len(prefixes)) > 0:
            query = {"list-type": "2", "encoding-type": "url", "max-keys": str(min(room, AT_ONCE))}
            given = {"prefix": params.prefix, "delimiter": params.delimiter, "start-after": after,
                     "continuation-token": token}  # fmt: skip
            query |= {name: value for name, value in given.items() if value}
            found = xml_of(await self._call("GET", f"{self._base}/?{urlencode(query)}"), "ListBucketResult")
            items += [_item(one) for one in listed(found.get("Contents"))]
            prefixes |= dict.fromkeys(unquote_plus(str(one["Prefix"])) for one in listed(found.get("CommonPrefixes")))
            token = str(found.get("NextContinuationToken") or "")
            more = found.get("IsTruncated") == "true" and bool(token)
            await self._context.heartbeat({"items": len(items)})
        last = max([one["key"] for one in items[-1:]] + list(prefixes)[-1:], default=None)
        return {
            "items": items, "prefixes": list(prefixes), "count": len(items), "truncated": more,
            "next": last if more else None,
        }  # fmt: skip

    async def delete(self) -> dict[str, Any]:
        params = self._params
        if "keys" not in params.model_fields_set:
            await self._call("DELETE", self._url(params.key, self._version()))
            return {"deleted": [params.key], "failed": []}
        keys = [*([params.key] if params.key else []), *params.keys]
        deleted: list[str] = []
        failed: list[dict[str, Any]] = []
        for start in range(0, len(keys), AT_ONCE):
            found = await self._delete_many(keys[start : start + AT_ONCE])
            errors = [one for one in listed(found.get("Error")) if isinstance(one, dict)]
            failed += [
                {"key": one.get("Key"), "code": one.get("Code"), "message": one.get("Message") or ""} for one in errors
            ]
            deleted += [str(one["Key"]) for one in listed(found.get("Deleted")) if isinstance(one, dict)]
            await self._context.heartbeat({"done": start + AT_ONCE, "of": len(keys)})
        if failed and params.on_failed == "fail":
            text = f"{len(failed)} of {len(keys)} objects were not deleted; the first: {failed[0]['code']}."
            raise NodeFailure("s3_partial", text, retryable=False, details={"failed": failed[:TOLD]})
        return {"deleted": deleted, "failed": failed}

    async def presign(self) -> dict[str, Any]:
        from linkflow.nodes.sigv4 import presigned

        params = self._params
        address = self._url(params.key, self._version())
        url = presigned(params.method, address, self._to.account.keys, params.expires, self._to.now_ms())
        return {"url": url, "method": params.method, "expires": params.expires}

    async def _delete_many(self, keys: Sequence[str]) -> dict[str, Any]:
        objects = "".join(f"<Object><Key>{escape(key)}</Key></Object>" for key in keys)
        body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{objects}</Delete>'.encode()
        digest = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()
        headers = {"Content-Type": "application/xml", "Content-MD5": digest}
        return xml_of(await self._call("POST", f"{self._base}/?delete=", headers, body), "DeleteResult")

    def _url(self, key: str, query: str = "") -> str:
        if any(part in (".", "..") for part in key.split("/")):
            # On the way such parts of a path are taken out: another object would be meant.
            raise NodeFailure("bad_key", "An object's name cannot have a part . or .. in it.", retryable=False)
        return f"{self._base}/{quote(key, safe='/-_.~')}{query}"

    def _version(self) -> str:
        return f"?versionId={quote(self._params.version_id, safe='')}" if self._params.version_id else ""

    def _unless_there(self) -> dict[str, str]:
        return {} if self._params.overwrite else {"If-None-Match": "*"}

    async def _call(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, content: bytes = b""
    ) -> EgressResponse:
        response = await self._to.send(method, url, headers=headers, content=content)
        if response.status_code < 300:
            return response
        if response.status_code == 412 and not self._params.overwrite:
            text = f"There is an object {self._params.key} already."
            raise NodeFailure("s3_exists", text, retryable=False, details={"key": self._params.key})
        error = refused(response, self._to.now_ms())
        if region := error.error.details.get("region"):
            message = f"{error.error.message} The bucket is in {region}."
            error.error = msgspec.structs.replace(error.error, message=message)
        raise error


def _about(key: str, response: EgressResponse) -> dict[str, Any]:
    headers = response.headers
    return {
        "key": key,
        "content_type": headers.get("content-type", ""),
        "etag": headers.get("etag", "").strip('"'),
        "last_modified": _moment(headers.get("last-modified", "")),
        "metadata": {
            name.removeprefix("x-amz-meta-"): value for name, value in headers.items() if name.startswith("x-amz-meta-")
        },
        "version_id": headers.get("x-amz-version-id"),
    }


def _moment(text: str) -> str:
    try:
        return parsedate_to_datetime(text).isoformat()
    except ValueError:
        return text


def _written(key: str, response: EgressResponse) -> dict[str, Any]:
    headers = response.headers
    return {"key": key, "etag": headers.get("etag", "").strip('"'), "version_id": headers.get("x-amz-version-id")}


def _item(one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "key": unquote_plus(str(one.get("Key") or "")),
        "size": int(one.get("Size") or 0),
        "etag": str(one.get("ETag") or "").strip('"'),
        "last_modified": one.get("LastModified"),
    }

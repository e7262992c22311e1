"""Objects of S3, and of any store that speaks S3: get, put, list, head, copy, delete, presign."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, Call, Example, Fault, Refusal
from linkflow.nodes.aws import FAULTS, HELP, SLOTS, AwsParams
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.contents import Reading
from linkflow.nodes.fields import Headers, Text, TextList, ui
from linkflow.nodes.storage import FAULTS as STORAGE_FAULTS

_NEEDS = {
    "get": ("key",), "put": ("key",), "head": ("key",), "copy": ("source_key", "key"), "presign": ("key",),
}  # fmt: skip


class S3Params(AwsParams):
    operation: Annotated[
        Literal["get", "put", "list", "head", "copy", "delete", "presign"],
        Field(validation_alias=AliasChoices("operation", "action")),
    ]
    bucket: Annotated[Text, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$")]
    key: Annotated[Text, Field(max_length=1024)] = Field("", description="The object's name. For copy: of the new one.")
    content: Any = Field(
        None,
        validation_alias=AliasChoices("content", "body", "data"),
        description="For put: text, {base64: …}, or any JSON value.",
        json_schema_extra=ui("json"),
    )
    file: Text = Field("", description="For put: a file of the workspace in place of `content`.")
    save_as: Text = Field("", description="For get: keep it as a file of the workspace in place of handing it on.")
    content_type: Text = Field("", description="For put. Left out: as the content is.")
    metadata: Headers = Field(default_factory=dict, description="For put: x-amz-meta-… without that prefix.")
    overwrite: bool = Field(True, description="For put, copy: false fails where there is such an object already.")
    read_as: Reading = Field(
        "auto",
        description="For get. auto: JSON by its content type, else text, else base64.",
        json_schema_extra=ui("select"),
    )
    range: Annotated[Text, Field(pattern=r"^$|^(bytes=)?(\d+-\d*|-\d+)$")] = Field(
        "", description="For get: a part, as 0-1023."
    )
    version_id: Text = Field("", description="For get, head, delete: of a bucket that keeps versions.")
    prefix: Text = Field("", description="For list.")
    delimiter: Text = Field("", description="For list: / gives folders as `prefixes`.")
    start_after: Text = Field("", description="For list: names behind this one; `next` of the page before.")
    max_items: int = Field(1000, ge=1, le=10_000, description="For list.")
    keys: Annotated[TextList, Field(max_length=10_000)] = Field(
        default_factory=list, description="For delete: several at once.", json_schema_extra=ui("list")
    )
    source_bucket: Text = Field("", description="For copy. Left out: the same bucket.")
    source_key: Text = Field("", description="For copy.")
    method: Literal["GET", "PUT"] = Field("GET", description="For presign: to read it, or to write it.")
    expires: int = Field(3600, ge=1, le=604_800, description="For presign: seconds for which the address holds.")
    on_failed: Literal["fail", "collect"] = Field(
        "fail", description="For delete of several: fail the node where some stayed, or hand on `failed`."
    )
    path_style: bool | None = Field(
        None,
        description="Bucket in the path of the address, not in its host. Left out: with an endpoint of one's own.",
        json_schema_extra=ui(group="Connection"),
    )

    @model_validator(mode="after")
    def _is_complete(self) -> S3Params:
        missing = [name for name in _NEEDS.get(self.operation, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"operation {self.operation} needs {' and '.join(f'`{name}`' for name in missing)}")
        if self.operation == "delete" and not self.key and "keys" not in self.model_fields_set:
            raise ValueError("operation delete needs `key` or `keys`")
        if self.operation == "put" and ("content" in self.model_fields_set) == bool(self.file):
            raise ValueError("operation put needs `content`, or a `file`")
        return self


class S3(Base):
    type: ClassVar[str] = "action_s3"
    aliases: ClassVar[tuple[str, ...]] = ("s3", "aws_s3")
    name: ClassVar[str] = "S3"
    description: ClassVar[str] = "Read, write and list objects of S3, or of any store that speaks S3."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = S3Params
    slots = SLOTS
    help = (
        """
    | operation | hands on |
    |---|---|
    | `get` | `{key, content (or file), content_type, size, etag, last_modified, metadata, version_id}` |
    | `put`, `copy` | `{key, etag, size, version_id}` |
    | `head` | `exists`, and what `get` says besides the content |
    | `list` | `{items: [{key, size, etag, last_modified}], prefixes, count, truncated, next}` |
    | `delete` | `{deleted, failed}`; an object that is not there counts as deleted |
    | `presign` | `{url, method, expires}`: whoever has the address may do this one thing until then |

    An object that is not there fails `get` with `aws_error`, `details.code` `NoSuchKey`. Other stores (MinIO, R2, Ceph,
    …) are named by `endpoint`, best in the credential. An object is read and written whole: what a node hands on is
    bounded ([limits](../limits.md)), and so is an answer (`max_body` of `LINKFLOW_EGRESS`). What is larger than an
    output goes by way of [the workspace's files](action_storage.md): `save_as`, `file`. `put` twice is the same as
    once; a retry harms nothing.
"""
        + HELP
    )
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "key": {"type": "string"},
                "content": ANY,
                "file": {"type": "string", "description": "With `save_as`: the file's path."},
                "content_type": {"type": "string"},
                "size": {"type": "integer"},
                "etag": {"type": "string"},
                "last_modified": {"type": "string"},
                "metadata": {"type": "object"},
                "version_id": {"type": ["string", "null"]},
                "exists": {"type": "boolean"},
                "items": {"type": "array", "items": {"type": "object"}},
                "prefixes": {"type": "array", "items": {"type": "string"}},
                "count": {"type": "integer"},
                "truncated": {"type": "boolean"},
                "next": {"type": ["string", "null"]},
                "deleted": {"type": "array", "items": {"type": "string"}},
                "failed": {"type": "array", "items": {"type": "object"}},
                "url": {"type": "string"},
                "method": {"type": "string"},
                "expires": {"type": "integer"},
            },
        }
    }
    faults = (
        Fault("s3_exists", "There is such an object already, and `overwrite` is false."),
        Fault("s3_partial", "Some objects could not be deleted; `details.failed` lists those."),
        *STORAGE_FAULTS,
        Fault("bad_key", "A name with a part . or .. cannot be sent."),
        Fault("bad_content", "The content is not what it was said to be."),
        *FAULTS,
    )
    examples = (
        Example(
            name="Read a report",
            config={"operation": "get", "bucket": "reports", "key": "{{ input.year }}/sales.json"},
            input={"year": 2026},
            connections={
                "aws": {"access_key_id": "AKIDEXAMPLE", "secret_access_key": "x", "endpoint": "http://s3.example"}
            },
            calls=(
                Call(
                    method="GET",
                    url="http://s3.example/reports/2026/sales.json",
                    headers={"ETag": '"abc"', "Last-Modified": "Fri, 15 Jan 2027 08:00:00 GMT"},
                    answer={"total": 12},
                ),
            ),
            output={
                "key": "2026/sales.json",
                "content": {"total": 12},
                "content_type": "application/json",
                "size": 13,
                "etag": "abc",
                "last_modified": "2027-01-15T08:00:00+00:00",
                "metadata": {},
                "version_id": None,
            },
        ),
    )
    refuses = (
        Refusal({"operation": "get", "bucket": "reports"}, "", "invalid_value"),
        Refusal({"operation": "move", "bucket": "reports"}, "/operation", "invalid_value"),
        Refusal({"operation": "list", "bucket": "a/b"}, "/bucket", "invalid_value"),
    )

    async def run(self, params: S3Params, context: Context) -> Outcome:
        from linkflow.nodes.s3_calls import Bucket

        bucket = await Bucket.open(params, context)
        return Completed(output=await getattr(bucket, params.operation)())


node = S3()

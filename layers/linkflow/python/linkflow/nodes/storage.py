"""Files of the workspace: upload, download, list, exists, copy, delete."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AliasChoices, Field, model_validator

from linkflow.domain.drawers import FileInfo, path_fault
from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes.about import ANY, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.contents import Reading, decoded, encoded
from linkflow.nodes.fields import Text, TextList, ui

_NEEDS = {"upload": ("path",), "download": ("path",), "exists": ("path",), "copy": ("path", "to")}
FAULTS = (
    Fault("storage_not_found", "There is no such file."),
    Fault("storage_exists", "There is another file at this path, and `overwrite` is false."),
    Fault("storage_full", "The file is too large, or the workspace has too many, or too large ones together."),
    Fault("storage_unavailable", "The store does not answer now.", True),
    Fault("no_storage", "This place runs nodes without files."),
    Fault("bad_path", "This cannot be a file's path."),
)
"""What nodes may fail with that keep files in the workspace or read them there."""


class StorageParams(Params):
    operation: Annotated[
        Literal["upload", "download", "delete", "list", "exists", "copy"],
        Field(validation_alias=AliasChoices("operation", "action")),
    ]
    path: Text = Field(
        "",
        validation_alias=AliasChoices("path", "key", "file_path"),
        description="reports/2026/sales.csv: names with / between them.",
    )
    content: Any = Field(
        None,
        validation_alias=AliasChoices("content", "data", "body"),
        description="For upload: text, {base64: …}, or any JSON value.",
        json_schema_extra=ui("json"),
    )
    content_type: Text = Field("", description="For upload. Left out: as the content is.")
    overwrite: bool = Field(True, description="For upload, copy: false fails where there is another file already.")
    read_as: Reading = Field(
        "auto",
        description="For download. auto: JSON by its content type, else text, else base64.",
        json_schema_extra=ui("select"),
    )
    to: Text = Field("", description="For copy: the new path.")
    paths: TextList = Field(
        default_factory=list, description="For delete: several at once.", json_schema_extra=ui("list")
    )
    prefix: Text = Field("", description="For list: paths that begin with it.")
    after: Text = Field("", description="For list: paths behind this one; `next` of the page before.")
    max_items: int = Field(1000, ge=1, le=1000, description="For list.")
    provider: Literal["", "local"] = Field("", deprecated="Not used: for S3 there is the node action_s3.")

    @model_validator(mode="after")
    def _is_complete(self) -> StorageParams:
        missing = [name for name in _NEEDS.get(self.operation, ()) if not getattr(self, name)]
        if missing:
            raise ValueError(f"operation {self.operation} needs {' and '.join(f'`{name}`' for name in missing)}")
        if self.operation == "upload" and "content" not in self.model_fields_set:
            raise ValueError("operation upload needs `content`")
        if self.operation == "delete" and not self.path and "paths" not in self.model_fields_set:
            raise ValueError("operation delete needs `path` or `paths`")
        for path in (self.path, self.to):
            if path and "{{" not in path and (fault := path_fault(path)):
                raise ValueError(f"{path[:80]!r} cannot be a file's path: {fault}")
        return self


class Storage(Base):
    type: ClassVar[str] = "action_storage"
    aliases: ClassVar[tuple[str, ...]] = ("storage", "files")
    name: ClassVar[str] = "Files"
    description: ClassVar[str] = "Keep files in the workspace, and read them again."
    category: ClassVar[str] = "action"
    params: ClassVar[builtins.type[Params]] = StorageParams
    help = """
    | operation | hands on |
    |---|---|
    | `upload`, `copy` | `{path, size, content_type, sha256, updated_at}` |
    | `download` | the same with `content` |
    | `exists` | `exists`, and what `upload` says |
    | `list` | `{items, count, truncated, next}` |
    | `delete` | `{deleted}`: the paths that there were |

    All workflows of a workspace share its files; no path leads to another workspace's. A file stays until somebody
    deletes it: it does not go with the run that wrote it, nor with the workspace's history. How large files may be, and
    how many, is the operator's to say ([limits](../limits.md)); what a node hands on is bounded as always, so a file
    that is larger than an output is read by nodes that take it from here (`file` of
    [action_s3](action_s3.md), `body_file` of HTTP requests, `stored_files` of mail, Discord and Slack,
    `stored_file` of Telegram), and kept by those that put it here (`save_as` of S3 and HTTP requests).

    `linkflow files`, and `…/files` of the API, show, fetch, keep and delete the same files: reading asks for
    `execution.view`, the rest for `workflow.execute`.

    To write the same content again is to write it once, also with `overwrite: false`: a retry harms nothing.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "path": {"type": "string"},
                "size": {"type": "integer"},
                "content_type": {"type": "string"},
                "sha256": {"type": "string"},
                "updated_at": {"type": "string"},
                "content": ANY,
                "exists": {"type": "boolean"},
                "items": {"type": "array", "items": {"type": "object"}},
                "count": {"type": "integer"},
                "truncated": {"type": "boolean"},
                "next": {"type": ["string", "null"]},
                "deleted": {"type": "array", "items": {"type": "string"}},
            },
        }
    }
    faults = (*FAULTS, Fault("bad_content", "The content is not what it was said to be."))
    examples = (
        Example(
            name="Keep a report",
            config={"operation": "upload", "path": "reports/{{ input.year }}.json", "content": {"total": 12}},
            input={"year": 2026},
            output={
                "path": "reports/2026.json",
                "size": 12,
                "content_type": "application/json",
                "sha256": "1defd9aad4ae88c107ebcea9ace3464d31f697c773d803f0413de16c0d421984",
                "updated_at": "2027-01-15T08:00:00+00:00",
            },
        ),
    )
    refuses = (
        Refusal({"path": "a.txt"}, "/operation", "missing_field"),
        Refusal({"operation": "upload", "path": "a.txt"}, "", "invalid_value"),
        Refusal({"operation": "download", "path": "../other/a.txt"}, "", "invalid_value"),
        Refusal({"operation": "download", "path": "a.txt", "provider": "s3"}, "/provider", "invalid_value"),
    )

    async def run(self, params: StorageParams, context: Context) -> Outcome:
        return Completed(output=await getattr(self, f"_{params.operation}")(params, context))

    async def _upload(self, params: StorageParams, context: Context) -> dict[str, Any]:
        data, kind = encoded(params.content, params.content_type)
        return shown(await context.storage().put(params.path, data, kind, overwrite=params.overwrite))

    async def _download(self, params: StorageParams, context: Context) -> dict[str, Any]:
        info, data = await context.storage().get(params.path)
        return {**shown(info), "content": decoded(data, info.content_type, params.read_as)}

    async def _exists(self, params: StorageParams, context: Context) -> dict[str, Any]:
        found = await context.storage().head(params.path)
        return {**shown(found), "exists": True} if found else {"path": params.path, "exists": False}

    async def _copy(self, params: StorageParams, context: Context) -> dict[str, Any]:
        info, data = await context.storage().get(params.path)
        return shown(await context.storage().put(params.to, data, info.content_type, overwrite=params.overwrite))

    async def _list(self, params: StorageParams, context: Context) -> dict[str, Any]:
        found = await context.storage().list(params.prefix, params.after, params.max_items + 1)
        items = [shown(one) for one in found[: params.max_items]]
        more = len(found) > len(items)
        return {"items": items, "count": len(items), "truncated": more, "next": items[-1]["path"] if more else None}

    async def _delete(self, params: StorageParams, context: Context) -> dict[str, Any]:
        paths = [*([params.path] if params.path else []), *params.paths]
        return {"deleted": list(await context.storage().delete(paths))}


def shown(info: FileInfo) -> dict[str, Any]:
    """A file as nodes hand it on."""
    return {
        "path": info.path,
        "size": info.size,
        "content_type": info.content_type,
        "sha256": info.sha256,
        "updated_at": datetime.fromtimestamp(info.updated_at / 1000, UTC).isoformat(),
    }


node = Storage()

"""Files that a node is given: bytes of the config, or of another node's output."""

from __future__ import annotations

import base64
import binascii
import mimetypes
import re
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, ConfigDict, Field, model_validator

from linkflow.nodes.base import Context, NodeFailure, Params
from linkflow.nodes.contents import encoded
from linkflow.nodes.fields import Text, to_text

_KIND = re.compile(r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(\s*;[^\r\n\0]*)?")


class File(Params):
    """A file, as other nodes hand it on: an HTTP request with `response_type: binary`, or a store's `content`."""

    model_config = ConfigDict(extra="ignore")  # a node's output may have more: its size, where it came from

    filename: Text = Field("", validation_alias=AliasChoices("filename", "name"), description="Without a folder.")
    base64: Text = Field("", description="Its bytes.")
    text: Text = Field("", description="In place of base64.")
    content: Any = Field(None, description="In place of both: text, `{base64: …}`, or any other value, as JSON.")
    content_type: Text = Field(
        "", validation_alias=AliasChoices("content_type", "mime_type"), description="Left out: told from the name."
    )

    @model_validator(mode="after")
    def _has_content(self) -> File:
        if not {"base64", "text", "content"} & self.model_fields_set:
            raise ValueError("a file needs `base64`, `text` or `content`")
        return self

    def data(self) -> bytes:
        """Its bytes. Raises `NodeFailure` ``bad_file``."""
        try:
            if "content" in self.model_fields_set:
                return encoded(self.content, "")[0]
            if not self.base64:
                return self.text.encode()
            return base64.b64decode("".join(self.base64.split()), validate=True)
        except (binascii.Error, ValueError, NodeFailure):
            raise NodeFailure("bad_file", f"The file {self.name!r} is no base64.", retryable=False) from None

    @property
    def name(self) -> str:
        """A name without folders, controls and blanks around it."""
        last = self.filename.replace("\\", "/").rpartition("/")[2]
        return re.sub(r"[\x00-\x1f\x7f]", "", last).strip()[:255] or "file"

    @property
    def kind(self) -> str:
        """Its media type. Raises `NodeFailure` ``bad_file``."""
        inner = self.content.get("content_type") if isinstance(self.content, dict) else ""
        given = self.content_type.strip() or str(inner or "")
        found = given or mimetypes.guess_type(self.name)[0] or "application/octet-stream"
        if not _KIND.fullmatch(found):
            raise NodeFailure("bad_file", f"{found!r} is no media type.", retryable=False)
        return found

    def part(self) -> dict[str, Any]:
        """As `http_bodies` takes it for a multipart body."""
        content = base64.b64encode(self.data()).decode()
        return {"filename": self.name, "base64": content, "content_type": self.kind}


async def stored(paths: Iterable[str], context: Context) -> list[dict[str, str]]:
    """Files of the workspace as a `File` takes them. Their paths are fields of their own: data that come from outside
    must not name them. Raises `NodeFailure` ``storage_not_found`` and the like."""
    found = []
    for path in paths:
        info, data = await context.storage().get(path)
        content = base64.b64encode(data).decode()
        found.append({"filename": path, "base64": content, "content_type": info.content_type})
    return found


def one_or_many(value: Any) -> Any:
    """One value or a list of them, as a list; nothing is none."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return []
    return [value] if isinstance(value, str | dict) else value


Files = Annotated[list[File], BeforeValidator(one_or_many)]
"""One file or a list of them."""


def file_or_text(value: Any) -> Any:
    """A file as it is; anything else as text (an address, an id)."""
    return value if isinstance(value, dict | File) else to_text(value)

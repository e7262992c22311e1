"""Several files in one: a zip, packed and unpacked in memory."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterable

from linkflow.domain.errors import InvalidInput, PayloadTooLarge, Problem

MEDIA_TYPE = "application/zip"
MOST_BYTES = 64 * 1024 * 1024
"""Of what is in one, unpacked."""

_WHEN = (1980, 1, 1, 0, 0, 0)
"""Equal contents are equal archives."""


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """An archive of these files; names that are alike get a number."""
    made, names = io.BytesIO(), set[str]()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files:
            stem = re.sub(r"[^\w.-]+", "-", name).strip("-.")[:100] or "workflow"
            own, count = stem, 1
            while own.lower() in names:
                count += 1
                own = f"{stem}-{count}"
            names.add(own.lower())
            archive.writestr(zipfile.ZipInfo(f"{own}.json", _WHEN), content, zipfile.ZIP_DEFLATED)
    return made.getvalue()


def unpack(content: bytes, most: int) -> list[tuple[str, bytes]]:
    """The JSON files in an archive, by name. Raises `InvalidInput` for what is none, `PayloadTooLarge`."""
    found: list[tuple[str, bytes]] = []
    left = MOST_BYTES
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for info in sorted(archive.infolist(), key=lambda one: one.filename):
                if info.is_dir() or not info.filename.lower().endswith(".json") or "__MACOSX" in info.filename:
                    continue
                if len(found) == most:
                    raise PayloadTooLarge(f"The archive has more than {most} files.")
                with archive.open(info) as file:
                    text = file.read(left + 1)  # what the directory says of sizes may be a lie
                left -= len(text)
                if left < 0:
                    raise PayloadTooLarge(f"The archive has more than {MOST_BYTES // 1024 // 1024} MB in it.")
                found.append((info.filename, text))
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError, EOFError, OSError, ValueError, zlib.error) as error:
        message = f"This is no zip archive that can be read: {error}."
        raise InvalidInput(message, problems=[Problem("", "bad_archive", message)]) from None
    return found

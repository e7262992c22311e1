"""What ``linkflow files`` does."""

from __future__ import annotations

import base64
import json
import mimetypes
import sys
from pathlib import Path
from urllib.parse import quote

from .client import say
from .work import connected, guarded


def show(home: str, url: str, prefix: str, as_json: bool) -> int:
    def work() -> int:
        with connected(home, url) as api:
            cursor: str | None = ""
            while cursor is not None:
                found = api.get(f"{api.base}/files", prefix=prefix, cursor=cursor, per_page=1000)
                for one in found["data"]:
                    line = f"{one['size']:>12,}  {one['updated_at']}  {one['path']}"
                    print(json.dumps(one) if as_json else line, flush=True)
                cursor = found["meta"]["next_cursor"]
        return 0

    return guarded(work)


def fetch(home: str, url: str, path: str, output: str | None) -> int:
    def work() -> int:
        with connected(home, url) as api:
            data = api.content(f"{api.base}/files/{quote(path)}")
        if output:
            Path(output).write_bytes(data)
        else:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        return 0

    return guarded(work)


def send(home: str, url: str, file: str, path: str, content_type: str) -> int:
    def work() -> int:
        kind = content_type or mimetypes.guess_type(path)[0] or ""
        body = {"base64": base64.b64encode(Path(file).read_bytes()).decode(), "content_type": kind}
        with connected(home, url) as api:
            print(json.dumps(api.put(f"{api.base}/files/{quote(path)}", body)["file"], indent=2))
        return 0

    return guarded(work)


def remove(home: str, url: str, paths: tuple[str, ...]) -> int:
    def work() -> int:
        with connected(home, url) as api:
            for path in paths:
                api.delete(f"{api.base}/files/{quote(path)}")
                say(f"Deleted {path}.")
        return 0

    return guarded(work)

"""What the console is made of: `make console` builds it into the package."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import quote

from linkflow.domain.errors import NotFound

FOLDER = Path(__file__).parent / "console"
Read = Callable[[str], Awaitable["bytes | None"]]
"""An asset's bytes by its name, such as ``index-Ab12Cd34.js.br``; None where there is none."""
ABSENT = (
    "The console is not here: it was not built (`make console`), or on AWS there is no bucket for it (`Payloads: s3`)."
    " The API works without it."
)


class Console:
    """What is served. `folder` holds ``index.html``, and ``assets/`` unless `read` has them from elsewhere."""

    def __init__(self, folder: Path = FOLDER, read: Read | None = None) -> None:
        self._folder, self._elsewhere = folder, read is not None
        self._read = read or self._from_folder
        self._pages: dict[str, tuple[bytes, str]] = {}
        self._assets: dict[str, bytes] = {}

    def page(self, at: str) -> tuple[bytes, str]:
        """The page for the path ``at`` (with a slash behind it) and its ETag. Raises `NotFound` where it was not built.

        Its parts are named by whole paths: some gateways take the slash away from behind the page's own address.
        """
        if at not in self._pages:
            path = self._folder / "index.html"
            if not path.is_file() or not (self._elsewhere or (self._folder / "assets").is_dir()):
                raise NotFound(ABSENT)
            content = path.read_bytes().replace(b'"./assets/', f'"{quote(at)}assets/'.encode())
            self._pages[at] = content, f'"{hashlib.sha256(content).hexdigest()[:32]}"'
        return self._pages[at]

    async def asset(self, name: str) -> bytes | None:
        """Kept from the first time on: there are few, and they never change. What is not there is not remembered."""
        found = self._assets.get(name)
        if found is None and (found := await self._read(name)) is not None:
            self._assets[name] = found
        return found

    async def _from_folder(self, name: str) -> bytes | None:
        path = self._folder / "assets" / name
        return path.read_bytes() if path.is_file() else None

"""Lua scripts: each runs in the server as one atomic step, called by its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from importlib import resources
from typing import Any

from .connection import Client, reachable
from .resp import NoScript

Call = tuple[Sequence[str], Sequence[Any]]
"""Keys and arguments of one run."""


class Script:
    """A ``.lua`` file of this package, behind those whose functions it uses. Raises `Unavailable` or `Internal` when
    run."""

    def __init__(self, name: str, *uses: str) -> None:
        folder = resources.files(__package__).joinpath("lua")
        self._text = "\n".join(folder.joinpath(f"{part}.lua").read_text(encoding="utf-8") for part in (*uses, name))
        self._sha = hashlib.sha1(self._text.encode(), usedforsecurity=False).hexdigest()

    async def run(self, client: Client, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run once. The server forgets scripts when it restarts; then the text is sent again."""
        with reachable():
            try:
                return await client.execute_command("EVALSHA", self._sha, len(keys), *keys, *args)
            except NoScript:
                return await client.execute_command("EVAL", self._text, len(keys), *keys, *args)

    async def run_all(self, client: Client, calls: Sequence[Call], *, one_by_one: bool = False) -> list[Any]:
        """Run for each of `calls` in one round trip, or `one_by_one` where they live on different servers.

        Where one fails the others may have run: every script can be repeated.
        """
        if one_by_one or len(calls) == 1:
            return [await self.run(client, keys, args) for keys, args in calls]
        if not calls:
            return []
        with reachable():
            replies = await client.execute_commands(
                [("EVALSHA", self._sha, len(keys), *keys, *args) for keys, args in calls]
            )
        for index, reply in enumerate(replies):
            if isinstance(reply, NoScript):
                replies[index] = await self.run(client, *calls[index])
            elif isinstance(reply, Exception):
                with reachable():
                    raise reply
        return replies

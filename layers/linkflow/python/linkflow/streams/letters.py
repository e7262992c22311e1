"""Dead letters in the queue's store: a queue's, or one workspace's in all queues.

They are no truth: that the node failed, and why, is in the execution's history. A letter says what to look at.
"""

from __future__ import annotations

import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple
from urllib.parse import unquote

import msgspec

from linkflow.contracts.history import Task
from linkflow.contracts.matching import DeadLetter

from .connection import Clients, reachable
from .partition import Place, plain, tag, word
from .scripts import Script

KNOWN_FOR = 60.0
"""Seconds after which a queue that is used is entered into the list of queues again."""
FORGOTTEN_AFTER = 90 * 24 * 3600
"""Seconds after which a queue that nobody uses is in the list no more."""

_stored = msgspec.msgpack.Decoder(tuple[int, int, str, str])
_task = msgspec.json.Decoder(Task)


class Name(NamedTuple):
    """What a letter's id names: when the task died, where, and which."""

    at: int
    place: Place
    task_id: str

    def __str__(self) -> str:
        text = f"{self.at}|{self.place.partition}|{plain(self.place.queue)}|{self.task_id}"
        return urlsafe_b64encode(text.encode()).decode().rstrip("=")


class Letters:
    """Dead letters over the partitions that are named. Raises `Unavailable` while the store does not answer."""

    def __init__(self, clients: Clients, prefix: str) -> None:
        self._clients = clients
        self._prefix = prefix
        self._queues = f"{prefix}:queues"
        self._known: dict[str, float] = {}
        self._newest = Script("letters")
        self._find = Script("find")
        self._forget = Script("forget", "graves")

    async def know(self, queues: Iterable[str]) -> None:
        """Remember that these queues are in use."""
        now = time.time()
        new = [queue for queue in queues if self._known.get(queue, 0.0) <= now]
        if not new:
            return
        scores = [part for queue in new for part in (round(now), queue)]
        with reachable():
            await self._clients.commands.execute_command("ZADD", self._queues, *scores)
            await self._clients.commands.execute_command(
                "ZREMRANGEBYSCORE", self._queues, "-inf", round(now - FORGOTTEN_AFTER)
            )
        if len(self._known) > 1000:
            self._known.clear()
        self._known.update(dict.fromkeys(new, now + KNOWN_FOR))

    async def queues(self) -> list[str]:
        """The queues that have been in use."""
        with reachable():
            found = await self._clients.commands.execute_command("ZRANGE", self._queues, 0, -1)
        return [name.decode() for name in found]

    async def newest(
        self, places: Sequence[Place], limit: int, workspace_id: str | None = None, before: str = ""
    ) -> list[DeadLetter]:
        """Newest first, after the one whose id is `before`; of all workspaces where none is named."""
        after = parse(before)
        who = "" if workspace_id is None else f":{word(workspace_id)}"
        args = (who, after.at if after else "+inf", limit)
        rows = await self._run(self._newest, [(place, args) for place in places])
        found = []
        for place, row in zip(places, rows, strict=True):
            for task_id, data in zip(*[iter(row)] * 2, strict=True):
                found += _letter(place, task_id.decode(), data)
        if after:
            found = [letter for letter in found if (letter.at, letter.id) < (after.at, before)]
        found.sort(key=lambda letter: (letter.at, letter.id), reverse=True)
        return found[:limit]

    async def find(self, workspace_id: str, ids: Sequence[str]) -> list[DeadLetter]:
        """Those that exist and belong to the workspace."""
        names = [name for name in map(parse, ids) if name]
        rows = await self._run(self._find, [(name.place, (word(workspace_id), name.task_id)) for name in names])
        found = []
        for name, [data] in zip(names, rows, strict=True):
            found += [letter for letter in _letter(name.place, name.task_id, data) if letter.at == name.at]
        return found

    async def drop(self, workspace_id: str, ids: Sequence[str], more: Sequence[tuple[str, str, Place]] = ()) -> int:
        """Drop those named by id and, in the places of `more`, those of a ``run`` or ``all``."""
        wanted = [("task", name.task_id, name.place) for name in map(parse, ids) if name]
        calls = [(place, (word(workspace_id), what, name)) for what, name, place in (*wanted, *more)]
        return sum(await self._run(self._forget, calls))

    async def _run(self, script: Script, calls: Sequence[tuple[Place, Sequence[object]]]) -> list[Any]:
        keyed = [([tag(self._prefix, place)], args) for place, args in calls]
        return await script.run_all(self._clients.commands, keyed, one_by_one=self._clients.cluster)


def parse(id: str) -> Name | None:
    """What a letter's id names; None for a text that is none."""
    try:
        text = urlsafe_b64decode(id + "=" * (-len(id) % 4)).decode()
    except ValueError:
        return None
    parts = text.split("|", 3)
    if len(parts) != 4 or not (parts[0] + parts[1]).isdecimal() or len(parts[0]) > 15 or len(parts[1]) > 9:
        return None
    return Name(int(parts[0]), Place(unquote(parts[2]), int(parts[1])), parts[3])


def _letter(place: Place, task_id: str, data: bytes | None) -> list[DeadLetter]:
    """The letter, or nothing where it or its task cannot be read."""
    try:
        deliveries, at, reason, text = _stored.decode(data or b"")
        task = _task.decode(text)
    except msgspec.MsgspecError:
        return []
    return [DeadLetter(task, deliveries, reason, at, str(Name(at, place, task_id)))]

"""Where a task lives: queue, partition, line, keys; and the token that names a lease.

A partition's keys begin with its tag (``lf:{q:queue:partition}``), one hash tag, so that a cluster keeps them on one
server. Below a workspace's or a line's name stands for a key each, which exists only while something waits there:

==================  ==========================================================================================
``:s:LINE``         stream of one line's tasks, waiting and leased: ``i`` id, ``t`` JSON, ``n`` deliveries before
``:cursors``        hash: line → the last entry of its stream that was read
``:turns``          sorted set: workspaces with waiting tasks, by whose turn it is; ``:rests`` and ``:held`` beside it
``:turns:WS``       … the lines of one workspace (see ``turns.lua``)
``:known``          set of the ids of all tasks here, so that adding twice is adding once
``:open``           hash: workspace → how many of them it has
``:leases``         sorted set: lease → deadline, ms of the server's clock
``:workers``        sorted set: worker → until when it counts as live, ms
``:rooms``          sorted set: who will take how many tasks: workers, and invitations under way (see ``rooms.lua``)
``:letters``        hash of the dead letters; ``:dead`` and ``:dead:WS`` order them (see ``graves.lua``)
``:bell``           list of at most one element, on which one waiting worker is woken; ``:bell:WORKER`` wakes that one
``:mine:WORKER``    set of the lines that are meant for a worker
==================  ==========================================================================================

A line is ``class:workspace:key`` or ``class:workspace:key@worker``: what is served in order. A lease is
``line/entry/deliveries/worker|task id``, and this text is the sorted set's member: to hold the token is to hold the
lease. Whoever takes a task over replaces the member, so a zombie's heartbeat or release finds nothing to act on.

A queue's own keys begin with its home (``lf:{h:queue}``): ``:shape``, ``:rules``, ``:bucket:NAME``, ``:copy`` (see
``shapes.py``, ``rules.py``, ``copies.py``); in a cluster rules and buckets
stand beside each partition instead.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from linkflow.contracts.history import Task


class Place(NamedTuple):
    """One partition of one queue."""

    queue: str
    partition: int


class Held(NamedTuple):
    """What a token names."""

    place: Place
    lease: str
    task_id: str

    @property
    def member(self) -> str:
        """The lease as it stands in the partition's sorted set."""
        return f"{self.lease}|{self.task_id}"


@lru_cache(maxsize=4096)
def tag(prefix: str, place: Place) -> str:
    """What the partition's keys begin with."""
    return f"{prefix}:{{q:{plain(place.queue)}:{place.partition}}}"


@lru_cache(maxsize=4096)
def home(prefix: str, queue: str) -> str:
    """What the keys of the queue itself begin with."""
    return f"{prefix}:{{h:{plain(queue)}}}"


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A queue's name without characters that mean something in keys and tokens."""
    return quote(name, safe=":@+~")


@lru_cache(maxsize=4096)
def word(name: str) -> str:
    """A workspace's, key's or worker's name as a part of a line's or lease's."""
    return quote(name, safe="+~")


def line_of(task: Task) -> str:
    """The line in which a task waits; one that is meant for a worker has a line of its own."""
    line = f"{priority_class(task)}:{word(task.workspace_id)}:{word(task.fairness)}"
    return f"{line}@{word(task.sticky)}" if task.sticky else line


def partition_of(execution_id: str, partitions: int) -> int:
    """All tasks of an execution share a partition: its worker finds the next one near."""
    return zlib.crc32(execution_id.encode()) % partitions


def priority_class(task: Task) -> int:
    """0 before 1 before 2."""
    if task.priority > 0:
        return 0
    return 1 if task.priority == 0 else 2


def deliveries_of(lease: str) -> int:
    return int(lease.split("/", 3)[2])


def token(place: Place, lease: str) -> str:
    return f"{place.partition}|{plain(place.queue)}|{lease}"


def parse(text: str) -> Held | None:
    """What a token names; None for a text that is not a token."""
    parts = text.split("|", 3)
    if len(parts) != 4 or not parts[0].isdecimal() or parts[2].count("/") != 3:
        return None
    return Held(Place(unquote(parts[1]), int(parts[0])), parts[2], parts[3])

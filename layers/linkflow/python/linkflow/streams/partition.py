"""Where a task lives: queue, partition, keys; and the token that names a lease.

A partition's keys, all under one hash tag, so that a cluster keeps them on one server:

==  =============  ==============================================================================================
1   ``:s:0``       stream of the tasks with priority > 0: fields ``i`` id, ``t`` task as JSON, ``n`` deliveries before
2   ``:s:1``       … of priority 0
3   ``:s:2``       … of priority < 0
4   ``:known``     set of the ids of all tasks here, so that adding twice is adding once
5   ``:leases``    sorted set: lease → deadline, ms of the server's clock
6   ``:workers``   sorted set: worker → until when it counts as live, ms
7   ``:dead``      stream of dead letters
8   ``:bell``      list of at most one element, on which one waiting worker is woken
==  =============  ==============================================================================================

A lease is ``class/entry/deliveries/worker``, and this text is the sorted set's member: to hold the token is to hold the
lease. Whoever takes a task over replaces the member, so a zombie's heartbeat or release finds nothing to act on.
"""

from __future__ import annotations

import zlib
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote

from linkflow.contracts.history import Task

_NAMES = ("s:0", "s:1", "s:2", "known", "leases", "workers", "dead", "bell")


class Place(NamedTuple):
    """One partition of one queue."""

    queue: str
    partition: int


class Held(NamedTuple):
    """What a token names."""

    place: Place
    lease: str
    task_id: str


@lru_cache(maxsize=4096)
def keys(prefix: str, place: Place) -> tuple[str, ...]:
    """The partition's keys, in the order the scripts expect."""
    tag = f"{prefix}:{{q:{plain(place.queue)}:{place.partition}}}"
    return tuple(f"{tag}:{name}" for name in _NAMES)


@lru_cache(maxsize=4096)
def plain(name: str) -> str:
    """A queue's or worker's name without characters that mean something in keys and tokens."""
    return quote(name, safe=":@+~")


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


def token(place: Place, lease: str, task_id: str) -> str:
    return f"{place.partition}|{plain(place.queue)}|{lease}|{task_id}"


def parse(text: str) -> Held | None:
    """What a token names; None for a text that is not a token."""
    parts = text.split("|", 3)
    if len(parts) != 4 or not parts[0].isdecimal() or parts[2].count("/") != 3:
        return None
    return Held(Place(unquote(parts[1]), int(parts[0])), parts[2], parts[3])

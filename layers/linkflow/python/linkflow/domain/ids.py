"""Identifiers: UUIDv7 (RFC 9562), with the shard in an execution's own id.

An execution id is a valid UUIDv7 whose 12 `rand_a` bits are its virtual shard, so any id finds its database without a
lookup, ids sort by start time, and history can be partitioned by time on the id alone.
"""

from __future__ import annotations

import hashlib
import uuid
from functools import lru_cache

SHARDS = 4096
"""Virtual shards. Fixed for ever: a table maps ranges of them to databases."""


def uuid7(at_ms: int, rand_a: int, rand_b: int) -> str:
    """A UUIDv7 from milliseconds since the epoch, 12 bits and 62 bits."""
    value = (at_ms & 0xFFFF_FFFF_FFFF) << 80 | 0x7 << 76 | (rand_a & 0xFFF) << 64 | 0b10 << 62
    text = f"{value | rand_b & 0x3FFF_FFFF_FFFF_FFFF:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=65_536)
def time_of(id: str) -> int:
    """When a UUIDv7 was made, in ms since the epoch."""
    return int(id[:8] + id[9:13], 16)


def shard_of_workflow(workflow_id: str, slot: int = 0) -> int:
    """The virtual shard of a workflow; `slot` > 0 spreads a hot one over further shards."""
    digest = hashlib.blake2b(f"{workflow_id}:{slot}".encode() if slot else workflow_id.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % SHARDS


def floor_of(at_ms: int) -> str:
    """The lowest id of an execution that was accepted at this time or later."""
    text = f"{at_ms & 0xFFFF_FFFF_FFFF:012x}"
    return f"{text[:8]}-{text[8:]}-0000-0000-000000000000"


def execution_id(at_ms: int, shard: int, rand_b: int) -> str:
    """An execution's id: UUIDv7 with the shard in `rand_a`."""
    return uuid7(at_ms, shard, rand_b)


def shard_of_execution(id: str) -> int:
    """The shard that an execution id carries."""
    return int(id[15:18], 16)


def derived_id(text: str, at_ms: int, shard: int) -> str:
    """An execution id that follows from `text`: made twice, it is the same (for the same `at_ms`)."""
    bits = int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")
    return uuid7(at_ms, shard, bits)


def is_uuid(text: str) -> bool:
    """Is `text` a UUID in its canonical form? Asked before an id reaches a store."""
    if len(text) != 36:
        return False
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False

"""The settings that say how runs are let in: `concurrency`, `rate_limit`, `debounce` and `batch`."""

from __future__ import annotations

from linkflow.domain.definition import Batch, Concurrency, Debounce, RateLimit
from linkflow.domain.importing.fields import Fields

KEY_LIMIT = 1_000
"""Characters of the expression of a key."""


def read_concurrency(owner: Fields) -> Concurrency | None:
    fields = owner.object("concurrency")
    if fields is None:
        return None
    standard = Concurrency()
    concurrency = Concurrency(
        key=fields.text("key", limit=KEY_LIMIT),
        limit=fields.whole("limit", default=standard.limit),
        policy=fields.choice("policy", options=("queue", "reject", "cancel_oldest"), default="queue"),
    )
    fields.unread(strict=True)
    return concurrency


def read_rate_limit(owner: Fields) -> int | RateLimit:
    """A number (runs a minute), or the object."""
    if not isinstance(owner.value.get("rate_limit"), dict):
        return owner.whole("rate_limit", default=0)
    fields = owner.object("rate_limit")
    if fields is None:
        return 0
    standard = RateLimit()
    rate = RateLimit(
        key=fields.text("key", limit=KEY_LIMIT),
        limit=fields.whole("limit", default=standard.limit),
        per=fields.number("per", default=standard.per),
        policy=fields.choice("policy", options=("reject", "queue"), default="reject"),
    )
    fields.unread(strict=True)
    return rate


def read_debounce(owner: Fields) -> Debounce | None:
    fields = owner.object("debounce")
    if fields is None:
        return None
    debounce = Debounce(
        key=fields.text("key", limit=KEY_LIMIT),
        wait=fields.number("wait", default=0),
        max_wait=fields.number("max_wait", default=0),
    )
    fields.unread(strict=True)
    return debounce


def read_batch(owner: Fields) -> Batch | None:
    fields = owner.object("batch")
    if fields is None:
        return None
    batch = Batch(
        key=fields.text("key", limit=KEY_LIMIT),
        size=fields.whole("size", default=Batch().size),
        wait=fields.number("wait", default=0),
    )
    fields.unread(strict=True)
    return batch

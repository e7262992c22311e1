"""How a run is let in, as the workflow's settings say: whom it belongs to, whether there is room, when it is its turn.

Pure. A `Gate` is compiled once a version; History asks it inside the start's own transaction.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from .definition import Batch, Concurrency, Debounce, Definition, RateLimit
from .errors import InvalidInput, LinkFlowError, Problem

MAX_KEY = 200
"""Characters of a key; a longer one, or one that cannot be printed, is replaced by its hash."""


SLOT, RATE, COLLECT, IDEMPOTENCY = "slot", "rate", "collect", "key"


def lock_name(kind: str, workflow_id: str, *key: str) -> str:
    """What must be held by whoever decides about this key."""
    return "/".join((kind, workflow_id, *key))


class Keys(Struct, frozen=True):
    """Whom one start belongs to, by each of the settings that has a key."""

    slot: str = ""
    rate: str = ""
    collect: str = ""
    fairness: str = ""


class Gate:
    """The settings that say how runs of one workflow version are let in. `doors`: something may stop a start."""

    def __init__(self, definition: Definition) -> None:
        settings = definition.settings
        self.concurrency: Concurrency | None = settings.concurrency
        self.rate = rate_of(settings.rate_limit)
        self.collect: Debounce | Batch | None = settings.debounce or settings.batch
        self.doors = bool(self.concurrency or self.rate or self.collect)
        self._name = definition.name
        self._fairness = settings.fairness_key

    @cached_property
    def _compiled(self) -> dict[str, Any]:
        from .expressions import compile_value

        asked = {
            "slot": ("/settings/concurrency/key", self.concurrency.key if self.concurrency else ""),
            "rate": ("/settings/rate_limit/key", self.rate.key if self.rate else ""),
            "collect": (f"/settings/{self.collecting}/key", self.collect.key if self.collect else ""),
            "fairness": ("/settings/fairness_key", self._fairness),
        }
        return {name: (path, compile_value(text)) for name, (path, text) in asked.items() if text}

    @property
    def collecting(self) -> str:
        """``debounce`` or ``batch``."""
        return "batch" if isinstance(self.collect, Batch) else "debounce"

    @cached_property
    def reads(self) -> bool:
        """Does a key come from the data with which a run begins?"""
        return any(compiled.facts.fixed & {"trigger", "input"} for _, compiled in self._compiled.values())

    def keys(self, trigger: Any, workflow_id: str, version: int, execution_id: str, mode: str) -> Keys:
        """The keys for this trigger data. Raises `InvalidInput` with every one that cannot be evaluated."""
        from .expressions import Scope

        scope = Scope(
            trigger=trigger,
            input=trigger,
            workflow={"id": workflow_id, "version": version, "name": self._name},
            execution={"id": execution_id, "mode": mode},
        )
        found: dict[str, str] = {}
        problems = []
        for name, (path, compiled) in self._compiled.items():
            try:
                found[name] = key_text(compiled.evaluate(scope))
            except LinkFlowError as error:
                problems.append(Problem(path, "bad_key", error.message))
        if problems:
            raise InvalidInput("A key of the workflow's settings does not fit this start.", problems=problems)
        return Keys(**found)


class Comer(Protocol):
    """A start, or a run that was not let in yet."""

    @property
    def execution_id(self) -> str: ...
    @property
    def workflow_id(self) -> str: ...
    @property
    def workflow_version(self) -> int: ...
    @property
    def mode(self) -> str: ...
    @property
    def environment(self) -> str: ...


def keys_of(gate: Gate | None, comer: Comer, trigger: Any) -> Keys:
    """The keys of a run that begins with this data. Raises `InvalidInput`."""
    if gate is None:
        return Keys()
    keys = gate.keys(trigger, comer.workflow_id, comer.workflow_version, comer.execution_id, comer.mode)
    if not comer.environment:
        return keys
    # Each environment counts by itself: a trial of staging takes no slot of production's.
    apart = f"@{comer.environment}/"
    return Keys(f"{apart}{keys.slot}", f"{apart}{keys.rate}", f"{apart}{keys.collect}", keys.fairness)


def gate_of(definition: Definition) -> Gate | None:
    """The gate of a version, None where every start is let in as it comes."""
    gate = Gate(definition)
    return gate if gate.doors or definition.settings.fairness_key else None


def rate_of(setting: int | RateLimit) -> RateLimit | None:
    """The rate limit that a setting means; a number is runs a minute."""
    if isinstance(setting, RateLimit):
        return setting
    return RateLimit("", setting, 60.0) if setting > 0 else None


def key_text(value: Any) -> str:
    """A key as text: null is the empty one, other values are their JSON."""
    text = value if isinstance(value, str) else "" if value is None else _json(value)
    if len(text) <= MAX_KEY and text.isprintable():
        return text
    return "#" + hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _json(value: Any) -> str:
    try:
        return msgspec.json.encode(value, order="deterministic").decode()
    except (UnicodeEncodeError, msgspec.MsgspecError):  # a lone surrogate inside
        return repr(value)


def next_turn(rate: RateLimit, until: int, now_us: int) -> tuple[int, int]:
    """GCRA. `until` is the time (µs) up to which the key's rate is used. Returns what it is with one run more, and
    when (µs) that one may begin: not after `now_us` means at once."""
    span = max(1, round(rate.per * 1_000_000))
    used = max(until, now_us) + max(1, span // max(1, rate.limit))
    return used, used - span


class Line(Struct):
    """Who has, and who waits for, the slots of one concurrency key. `staying` are those nobody has asked to end, the
    oldest first; `last` is the highest place that was given."""

    open: int = 0
    queued: int = 0
    last: int = 0
    staying: list[str] = []

    def has_room(self, limit: int) -> bool:
        """May the next one that comes have a slot? Not before those who wait."""
        return self.open < limit and not self.queued

    def join(self, execution_id: str, limit: int) -> bool:
        """Take a slot, or the last place of those who wait; true where it is a slot."""
        room = self.has_room(limit)
        self.open += room
        self.queued += not room
        self.last += 1
        self.staying.append(execution_id)
        return room

    def surplus(self, limit: int) -> list[str]:
        """The oldest ones that have to go so that one more is among the `limit` newest. They count no longer."""
        gone = self.staying[: max(0, len(self.staying) + 1 - limit)]
        del self.staying[: len(gone)]
        return gone

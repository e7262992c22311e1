"""What becomes of a schedule's fires: started, queued behind the run before, or skipped, and why.

The rules are pure: `plan` reads a schedule and its open firings and says all that follows. The store writes a plan only
if nobody has touched the schedule since it was read, so two timer processes never decide the same fire differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from msgspec import Struct

from linkflow.domain.arrivals import AT_ONCE, Arrivals, arrived
from linkflow.domain.timetable import Timetable, delay

ALLOW, SKIP, QUEUE_ONE, QUEUE_ALL, CANCEL, TERMINATE = OVERLAPS = (
    "allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other",
)  # fmt: skip
QUEUED, STARTING, STARTED, SKIPPED = OUTCOMES = ("queued", "starting", "started", "skipped")
OVERLAP, QUEUE_FULL, REPLACED = "overlap", "queue_full", "replaced_by_later_fire"

BY_SCHEDULE = "schedule"
"""Why a firing is there; others are ``trigger:<id>`` and ``backfill:<id>``."""

MAX_QUEUED = 1000
"""Firings of one schedule that may wait."""

YEAR_MS = 365 * 86_400_000
OFFER_AGAIN_MS, LOOK_MS, LONGEST_MS = 5_000, 1_000, 60_000
STOP_LOOK_MS = 100


class Policy(Struct, frozen=True, omit_defaults=True):
    """What a schedule does when its runs overlap, and after an outage. `window` is milliseconds."""

    overlap: str = ALLOW
    window: int = YEAR_MS
    catch_up: str = "latest"


class Firing(Struct, frozen=True):
    """One fire, or for skipped ones a stretch of `fires` from `due_at` to `last_due_at`.

    Started ones stay `open` while their run goes on (`running`). `offer_at` is when a start whose answer was lost is
    made again. `missed` is how many fires before it were skipped in the same pass.
    """

    due_at: int
    cause: str
    outcome: str
    at: int
    overlap: str = ALLOW
    reason: str = ""
    execution_id: str = ""
    missed: int = 0
    fires: int = 1
    last_due_at: int = 0
    offer_at: int = 0
    open: bool = False
    running: bool = False


class Plan(Struct, frozen=True):
    """What a pass over one schedule leads to.

    `starts` are to be started now, among them those whose answer was lost; `stops` are runs to end, with the verb.
    `changed` are all firings to be written. `look_at` is when to come back, `rest_at` when once `starts` are confirmed.
    """

    next_at: int | None
    delay_ms: int
    look_at: int | None
    rest_at: int | None
    starts: tuple[Firing, ...] = ()
    stops: tuple[tuple[str, str], ...] = ()
    changed: tuple[Firing, ...] = ()


class _Desk:
    """One pass: candidates come in order, and each is started, queued or skipped."""

    def __init__(self, now: int, new_id: Callable[[], str], live: list[Firing]) -> None:
        self.now, self.new_id = now, new_id
        self.live = live
        self.waiting: list[Firing] = []
        self.starts: list[Firing] = []
        self.skipped: list[Firing] = []

    def take(self, firing: Firing) -> None:
        if len(self.starts) >= AT_ONCE:
            self.waiting.append(firing)
        elif firing.overlap == ALLOW or not (self.live or self.waiting):
            self._start(firing)
        elif firing.overlap == SKIP:
            self._skip(firing, OVERLAP)
        elif firing.overlap in (CANCEL, TERMINATE):
            for other in self.waiting:
                self._skip(other, REPLACED)
            self.waiting = []
            if self.live:
                self.waiting.append(firing)
            else:
                self._start(firing)
        elif len(self.waiting) >= (1 if firing.overlap == QUEUE_ONE else MAX_QUEUED):
            self._skip(firing, QUEUE_FULL)
        else:
            self.waiting.append(firing)

    def _start(self, firing: Firing) -> None:
        started = msgspec.structs.replace(
            firing, outcome=STARTING, execution_id=self.new_id(), open=True, offer_at=self.now + OFFER_AGAIN_MS
        )
        self.starts.append(started)
        self.live.append(started)

    def _skip(self, firing: Firing, reason: str) -> None:
        self.skipped.append(msgspec.structs.replace(firing, outcome=SKIPPED, reason=reason, open=False))

    def stops(self) -> list[tuple[str, str]]:
        """The runs that the one who waits wants out of the way."""
        verbs = {CANCEL: "cancel", TERMINATE: "terminate"}
        verb = next((verbs[firing.overlap] for firing in self.waiting if firing.overlap in verbs), "")
        return [(run.execution_id, verb) for run in self.live if run.outcome == STARTED] if verb else []

    def rest_at(self) -> int | None:
        """When to look after those who wait: soon at first, then less and less often."""
        if not self.waiting:
            return None
        if len(self.starts) >= AT_ONCE:
            return self.now
        waited = self.now - min(firing.at for firing in self.waiting)
        shortest = STOP_LOOK_MS if self.stops() else LOOK_MS
        return self.now + min(max(waited // 8, shortest), LONGEST_MS)


def plan(
    key: str,
    table: Timetable,
    policy: Policy,
    next_at: int | None,
    delay_ms: int,
    firings: Sequence[Firing],
    now_ms: int,
    new_id: Callable[[], str],
) -> Plan:
    """A pass over the schedule `key` (for jitter). `next_at` None where it is paused or over; `firings` are the open
    ones. Raises `InvalidInput` for a cron that is none."""
    come = Arrivals((), (), next_at)
    if next_at is not None and next_at + delay_ms <= now_ms:
        come = arrived(table, next_at, now_ms, lambda at: delay(table, key, at), policy.window, policy.catch_up)
    fresh = [Firing(f.at, BY_SCHEDULE, QUEUED, now_ms, policy.overlap, missed=f.missed, open=True) for f in come.fires]
    desk = _Desk(now_ms, new_id, [f for f in firings if f.outcome == STARTING or f.running])
    for firing in (*sorted((f for f in firings if f.outcome == QUEUED), key=lambda f: (f.at, f.due_at)), *fresh):
        desk.take(firing)
    starts = (*_again(firings, now_ms), *desk.starts)
    later = [f.offer_at for f in firings if f.outcome == STARTING and f.offer_at > now_ms]
    return Plan(
        next_at=come.next_at,
        delay_ms=0 if come.next_at is None else delay(table, key, come.next_at),
        look_at=_earliest(desk.rest_at(), *later, *(f.offer_at for f in starts)),
        rest_at=_earliest(desk.rest_at(), *later),
        starts=starts,
        stops=tuple(desk.stops()),
        changed=(*_closed(firings), *_passed(come, now_ms), *desk.skipped, *starts, *_new(desk.waiting, fresh)),
    )


def _closed(firings: Sequence[Firing]) -> list[Firing]:
    return [msgspec.structs.replace(f, open=False) for f in firings if f.outcome == STARTED and not f.running]


def _passed(come: Arrivals, now: int) -> list[Firing]:
    return [
        Firing(s.first, BY_SCHEDULE, SKIPPED, now, reason=s.reason, fires=s.fires, last_due_at=s.last)
        for s in come.skipped
    ]


def _again(firings: Sequence[Firing], now: int) -> list[Firing]:
    """Starts whose answer did not come; the longer that goes on, the less often they are made again."""
    return [
        msgspec.structs.replace(f, offer_at=now + _pause(now - f.at))
        for f in firings
        if f.outcome == STARTING and f.offer_at <= now
    ]


def _new(waiting: Sequence[Firing], fresh: Sequence[Firing]) -> list[Firing]:
    return [firing for firing in waiting if firing in fresh]


def _pause(age_ms: int) -> int:
    return min(max(age_ms // 2, OFFER_AGAIN_MS), LONGEST_MS)


def _earliest(*times: int | None) -> int | None:
    return min((at for at in times if at is not None), default=None)

"""Which fires of a schedule have come by now, and which of them count after an outage."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from linkflow.domain.timetable import Timetable, following, latest, upcoming

AT_ONCE = 100
"""Fires that one pass takes up; the next pass goes on behind them."""

CATCH_UPS = ("latest", "all")
OUTSIDE_WINDOW, SUPERSEDED = "outside_catch_up_window", "superseded_by_later_fire"


class Stretch(Struct, frozen=True):
    """Fires in a row that are skipped for one reason. `fires` counts them, up to `schedules.MAX_MISSED`."""

    first: int
    last: int
    fires: int
    reason: str


class Fire(Struct, frozen=True):
    """A fire that counts; `missed` is how many before it do not."""

    at: int
    missed: int = 0


class Arrivals(Struct, frozen=True):
    """What has come, and the first fire that has not."""

    fires: tuple[Fire, ...]
    skipped: tuple[Stretch, ...]
    next_at: int | None


def arrived(
    table: Timetable, due_ms: int, now_ms: int, delay_of: Callable[[int], int], window_ms: int, catch_up: str
) -> Arrivals:
    """What has come of a schedule whose earliest open fire is `due_ms`, which has come.

    Fires longer ago than `window_ms` are skipped. Of the others all count, or the latest alone. `delay_of` is jitter.
    """
    last, before = latest(table, due_ms, now_ms)
    if last > due_ms and last + delay_of(last) > now_ms:  # its own time has not come yet
        last, before = latest(table, due_ms, last - 1)
    horizon = now_ms - window_ms - table.jitter
    skipped: list[Stretch] = []
    first: int | None = due_ms
    if due_ms < horizon:
        end, count = latest(table, due_ms, horizon - 1)
        skipped.append(Stretch(due_ms, end, count + 1, OUTSIDE_WINDOW))
        first = following(table, end)
        if first is None or first > last:
            return Arrivals((), tuple(skipped), first)
    if catch_up == "all":
        return _all(table, first or due_ms, last, tuple(skipped))
    if first != last:
        end, count = latest(table, first or due_ms, last - 1)
        skipped.append(Stretch(first or due_ms, end, count + 1, SUPERSEDED))
    return Arrivals((Fire(last, before),), tuple(skipped), following(table, last))


def _all(table: Timetable, first: int, last: int, skipped: tuple[Stretch, ...]) -> Arrivals:
    fires = [first, *upcoming(table, first, AT_ONCE - 1, last)]
    missed = sum(stretch.fires for stretch in skipped)
    counted = tuple(Fire(at, 0 if number else missed) for number, at in enumerate(fires))
    return Arrivals(counted, skipped, following(table, fires[-1]))

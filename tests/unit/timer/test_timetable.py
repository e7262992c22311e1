"""Intervals, one-off times, starts and ends, jitter, and what is caught up after an outage."""

from __future__ import annotations

import pytest

from linkflow.domain.arrivals import AT_ONCE, Fire, Stretch, arrived
from linkflow.domain.timetable import Timetable, delay, following, latest, parse_length, upcoming

T = 1_750_000_000_000  # 2025-06-15T15:06:40Z
MINUTE, DAY = 60_000, 86_400_000
EVERY = Timetable(every=15 * MINUTE)
CRON = Timetable(cron="*/5 * * * *")


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("15m", 900_000),
        ("1h30m", 5_400_000),
        ("90s", 90_000),
        ("PT15M", 900_000),
        ("P1DT2H", 93_600_000),
        ("1w", 7 * DAY),
    ],
)
def test_lengths(text: str, ms: int) -> None:
    assert parse_length(text) == ms


@pytest.mark.parametrize("text", ["", "15", "m", "1y", "P", "PT", "P1M", "-5m", "5m x", "1.5h", "9" * 20 + "s"])
def test_what_is_no_length(text: str) -> None:
    with pytest.raises(ValueError, match="length of time"):
        parse_length(text)


def test_an_interval_counts_from_its_anchor() -> None:
    assert following(EVERY, T) == T - T % 900_000 + 900_000
    anchored = Timetable(every=900_000, anchor=T + 7)
    assert following(anchored, T) == T + 7
    assert following(anchored, T + 7) == T + 7 + 900_000
    assert (following(anchored, T - DAY) - anchored.anchor) % 900_000 == 0  # type: ignore[operator]


def test_once() -> None:
    table = Timetable(at=T)
    assert upcoming(table, T - 1, 5) == [T]
    assert following(table, T) is None


def test_start_and_end_are_both_inside() -> None:
    table = Timetable(every=MINUTE, anchor=T, starts_at=T + 2 * MINUTE, ends_at=T + 4 * MINUTE)
    assert upcoming(table, 0, 10) == [T + n * MINUTE for n in (2, 3, 4)]
    assert latest(table, T + 2 * MINUTE, T + DAY) == (T + 4 * MINUTE, 2)


@pytest.mark.parametrize("table", [EVERY, CRON])
def test_the_latest_is_what_counting_one_by_one_gives(table: Timetable) -> None:
    due = following(table, T)
    assert due is not None
    for until in (due, due + MINUTE, due + 15 * MINUTE, due + 100 * MINUTE):
        fires = [due, *upcoming(table, due, 100, until)]
        assert latest(table, due, until) == (fires[-1], len(fires) - 1)


def test_jitter_is_the_same_every_time_spread_and_never_past_the_next_fire() -> None:
    table = Timetable(every=MINUTE, anchor=T, jitter=10 * MINUTE)
    delays = [delay(table, "w/n", T + n * MINUTE) for n in range(200)]
    assert delays == [delay(table, "w/n", T + n * MINUTE) for n in range(200)]
    assert delays != [delay(table, "w/other", T + n * MINUTE) for n in range(200)]
    assert max(delays) < MINUTE
    spread = {delay(Timetable(every=DAY, jitter=MINUTE), f"w/{n}", T) // 10_000 for n in range(300)}
    assert spread == {0, 1, 2, 3, 4, 5}


def none(at: int) -> int:
    return 0


def test_the_latest_is_caught_up_and_the_others_are_on_record() -> None:
    due = T
    found = arrived(Timetable(every=MINUTE, anchor=T), due, T + 5 * MINUTE + 1, none, DAY, "latest")
    assert found.fires == (Fire(T + 5 * MINUTE, missed=5),)
    assert found.skipped == (Stretch(T, T + 4 * MINUTE, 5, "superseded_by_later_fire"),)
    assert found.next_at == T + 6 * MINUTE


def test_all_are_caught_up_within_the_window() -> None:
    found = arrived(Timetable(every=MINUTE, anchor=T), T, T + 5 * MINUTE + 1, none, 2 * MINUTE + 10, "all")
    assert [fire.at for fire in found.fires] == [T + n * MINUTE for n in (3, 4, 5)]
    assert found.fires[0].missed == 3
    assert found.skipped == (Stretch(T, T + 2 * MINUTE, 3, "outside_catch_up_window"),)
    assert found.next_at == T + 6 * MINUTE


def test_an_outage_longer_than_the_window_starts_nothing() -> None:
    found = arrived(Timetable(every=DAY, anchor=T), T, T + DAY - 1, none, 10_000, "latest")
    assert (found.fires, found.next_at) == ((), T + DAY)
    assert found.skipped == (Stretch(T, T, 1, "outside_catch_up_window"),)


def test_very_many_are_taken_up_in_passes() -> None:
    table, at, taken = Timetable(every=1000, anchor=T), T, []
    while at is not None and at <= T + 250_000:
        found = arrived(table, at, T + 250_000, none, DAY, "all")
        assert len(found.fires) <= AT_ONCE
        taken += [fire.at for fire in found.fires]
        at = found.next_at
    assert taken == [T + n * 1000 for n in range(251)]


def test_a_fire_whose_jitter_is_not_over_has_not_come() -> None:
    table = Timetable(every=MINUTE, anchor=T, jitter=30_000)
    found = arrived(table, T, T + MINUTE + 5_000, lambda at: 20_000, DAY, "latest")
    assert (found.fires, found.next_at) == ((Fire(T),), T + MINUTE)

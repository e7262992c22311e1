"""When cron schedules fire: properties against a scan of every minute, and the days when clocks change."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from cronsim import CronSim
from hypothesis import given, settings
from hypothesis import strategies as st

from linkflow.domain.errors import InvalidInput
from linkflow.domain.schedules import MAX_MISSED, catch_up, check, local_time, next_fire, preview

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",  # half an hour
    "America/Havana",  # at midnight
    "Asia/Kolkata",
    "Africa/Casablanca",
    "Antarctica/Troll",  # two hours
    "Pacific/Apia",
]


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def texts(fires: list[int], zone: str) -> list[str]:
    return [local_time(at, zone) for at in fires]


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    # cronsim reads 5-5/2 like 5/2, from 5 to the end: ranges here have two ends
    pair = st.tuples(number, number).map(sorted).filter(lambda p: p[0] < p[1])
    return st.one_of(
        st.just("*"),
        number.map(str),
        pair.map(lambda p: f"{p[0]}-{p[1]}"),
        st.lists(number, min_size=1, max_size=3).map(lambda n: ",".join(map(str, n))),
        st.integers(1, 15).map(lambda n: f"*/{n}"),
        st.tuples(pair, st.integers(1, 5)).map(lambda p: f"{p[0][0]}-{p[0][1]}/{p[1]}"),
    )


minutes, hours, days, months, weekdays = field(0, 59), field(0, 23), field(1, 28), field(1, 12), field(0, 7)
crons = st.tuples(minutes, hours, days, months, weekdays).map(" ".join)
dense = st.tuples(minutes, hours, st.sampled_from(["*", "*/2", "1-20"]), st.just("*"), weekdays).map(" ".join)
moments = st.integers(ms("2019-01-01T00:00:00+00:00"), ms("2032-01-01T00:00:00+00:00"))
changes = st.sampled_from(
    [
        "2024-03-31T00:30:00+00:00",  # Berlin, Troll
        "2024-10-27T00:00:00+00:00",
        "2024-03-10T05:00:00+00:00",  # New York, Havana
        "2024-11-03T03:30:00+00:00",
        "2024-04-06T13:00:00+00:00",  # Lord Howe
        "2024-10-05T13:00:00+00:00",
        "2024-03-10T01:00:00+00:00",  # Casablanca
        "2024-04-14T01:00:00+00:00",
    ]
).map(ms)
near = st.one_of(moments, st.tuples(changes, st.integers(-7_200_000, 7_200_000)).map(sum))


def numbers(text: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = (low, high) if span == "*" else (int(span.split("-")[0]), int(span.split("-")[-1]))
        found |= set(range(first, last + 1, int(step or 1)))
    return found


def matcher(cron: str) -> Callable[[datetime], bool]:
    minute, hour, day, month, weekday = cron.split()
    in_minute, in_hour, in_month = numbers(minute, 0, 59), numbers(hour, 0, 23), numbers(month, 1, 12)
    in_days, in_week = numbers(day, 1, 31), {n % 7 for n in numbers(weekday, 0, 7)}
    both = day.startswith("*") or weekday.startswith("*")

    def matches(wall: datetime) -> bool:
        if wall.minute not in in_minute or wall.hour not in in_hour or wall.month not in in_month:
            return False
        by_day, by_week = wall.day in in_days, wall.isoweekday() % 7 in in_week
        return (by_day and by_week) if both else (by_day or by_week)

    return matches


def scan(cron: str, zone: ZoneInfo, after: int, stop: int) -> list[int]:
    """Every minute in (after, stop], by the documented rules and nothing else."""
    fixed = not cron.startswith("*") and not cron.split()[1].startswith("*")
    matches = matcher(cron)
    fires = set()
    start = after // 60_000 * 60_000
    before = datetime.fromtimestamp(start / 1000, zone).replace(tzinfo=None)
    for at in range(start + 60_000, stop + 1, 60_000):
        here = datetime.fromtimestamp(at / 1000, zone)
        wall = here.replace(tzinfo=None)
        skipped = before + timedelta(minutes=1)
        while fixed and skipped < wall:
            if matches(skipped):
                fires.add(at)
            skipped += timedelta(minutes=1)
        if matches(wall) and not (fixed and here.fold):
            fires.add(at)
        before = wall
    return sorted(fires)


@given(crons, st.sampled_from(ZONES), near)
@settings(max_examples=300, deadline=None)
def test_fires_increase_and_never_come_before_after(cron: str, zone: str, after: int) -> None:
    fires = preview(cron, zone, after, 6)
    assert all(a < b for a, b in zip([after, *fires], fires, strict=False))
    assert all(at % 1000 == 0 for at in fires)
    for previous, at in zip([after, *fires], fires, strict=False):  # one by one is the same as in a row
        assert next_fire(cron, zone, previous) == at


@given(dense, st.sampled_from(ZONES), near)
@settings(max_examples=250, deadline=None)
def test_fires_are_those_of_a_scan_of_every_minute(cron: str, zone: str, after: int) -> None:
    stop = after + 36 * 3_600_000
    expected = scan(cron, ZoneInfo(zone), after, stop)
    assert [at for at in preview(cron, zone, after, len(expected) + 1) if at <= stop] == expected


@given(crons, st.sampled_from(["UTC", "Asia/Kolkata", "Asia/Tokyo"]), moments)
@settings(max_examples=100, deadline=None)
def test_where_clocks_never_change_it_is_cronsim(cron: str, zone: str, after: int) -> None:
    start = datetime.fromtimestamp(after // 1000, ZoneInfo(zone))
    expected = [int(at.timestamp() * 1000) for _, at in zip(range(4), CronSim(cron, start), strict=False)]
    assert preview(cron, zone, after, 4) == expected


@pytest.mark.parametrize(
    ("cron", "after", "fires"),
    [
        ("30 2 * * *", "2024-03-31T00:00:00+01:00", ["2024-03-31T03:00:00+02:00", "2024-04-01T02:30:00+02:00"]),
        ("0,30 2 * * *", "2024-03-31T00:00:00+01:00", ["2024-03-31T03:00:00+02:00", "2024-04-01T02:00:00+02:00"]),
        ("15 2,3 * * *", "2024-03-31T00:00:00+01:00", ["2024-03-31T03:00:00+02:00", "2024-03-31T03:15:00+02:00"]),
        ("30 2 * * *", "2024-10-27T00:00:00+02:00", ["2024-10-27T02:30:00+02:00", "2024-10-28T02:30:00+01:00"]),
        ("30 2 * * *", "2024-10-27T02:10:00+01:00", ["2024-10-28T02:30:00+01:00", "2024-10-29T02:30:00+01:00"]),
        ("30 * * * *", "2024-03-31T01:00:00+01:00", ["2024-03-31T01:30:00+01:00", "2024-03-31T03:30:00+02:00"]),
        ("30 * * * *", "2024-10-27T02:00:00+02:00", ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"]),
        ("*/30 2 * * *", "2024-03-31T00:00:00+01:00", ["2024-04-01T02:00:00+02:00", "2024-04-01T02:30:00+02:00"]),
        ("0 30 2 * * *", "2024-03-31T00:00:00+01:00", ["2024-04-01T02:30:00+02:00", "2024-04-02T02:30:00+02:00"]),
        ("0 30 2 * * *", "2024-10-27T00:00:00+02:00", ["2024-10-27T02:30:00+02:00", "2024-10-27T02:30:00+01:00"]),
        ("*/20 * * * * *", "2024-06-01T00:00:10+02:00", ["2024-06-01T00:00:20+02:00", "2024-06-01T00:00:40+02:00"]),
    ],
)
def test_days_when_clocks_change_in_berlin(cron: str, after: str, fires: list[str]) -> None:
    assert texts(preview(cron, "Europe/Berlin", ms(after), 2), "Europe/Berlin") == fires


@pytest.mark.parametrize(
    ("zone", "cron", "after", "fire"),
    [
        # Clocks go back by half an hour: an hour with a wildcard is complete all the same.
        ("Australia/Lord_Howe", "*/5 3 * * *", "2024-04-06T14:45:00+00:00", "2024-04-07T03:00:00+10:30"),
        # Midnight is skipped: by the clock on the wall there is no hour 0 that day; at a fixed time it is made good.
        ("America/Havana", "* 0 * * *", "2024-03-09T12:00:00-05:00", "2024-03-11T00:00:00-04:00"),
        ("America/Havana", "15 0 * * *", "2024-03-09T12:00:00-05:00", "2024-03-10T01:00:00-04:00"),
        # A whole day was skipped.
        ("Pacific/Apia", "0 9 30 12 *", "2011-12-29T12:00:00-10:00", "2011-12-31T00:00:00+14:00"),
    ],
)
def test_odd_zones(zone: str, cron: str, after: str, fire: str) -> None:
    found = next_fire(cron, zone, ms(after))
    assert found is not None
    assert local_time(found, zone) == fire


def test_a_date_that_is_rare_or_never() -> None:
    assert next_fire("0 0 29 2 *", "UTC", ms("2024-03-01T00:00:00+00:00")) == ms("2028-02-29T00:00:00+00:00")
    assert [p.code for p in check("0 0 30 2 *", "UTC")] == ["bad_cron"]
    assert [p.code for p in check("0 0 31 2 1#5", "UTC")] == []  # either day may match: a February with five Mondays
    assert next_fire("* * * * *", "UTC", 2**62) is None
    assert next_fire("* * * * *", "UTC", -(2**62)) == 60_000


def test_check_lists_every_problem() -> None:
    problems = check("61 * * * *", "Mars/Olympus")
    assert [(p.path, p.code) for p in problems] == [("/timezone", "bad_timezone"), ("/cron", "bad_cron")]
    assert check("*/5 9-17 * * MON-FRI", "America/New_York") == []
    assert [p.path for p in check("* * * *", "../etc/passwd")] == ["/timezone", "/cron"]
    assert [p.path for p in check("* " * 500, "localtime")] == ["/timezone", "/cron"]


@given(st.text(max_size=30), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_check(cron: str, zone: str) -> None:
    check(cron, zone)


@given(st.text("0123456789*/-,#LW ", max_size=20), st.sampled_from(ZONES))
@settings(max_examples=500, deadline=None)
def test_what_passes_check_has_a_next_fire(cron: str, zone: str) -> None:
    if check(cron, zone):
        return
    assert next_fire(cron, zone, ms("2024-01-01T00:00:00+00:00")) is not None


def test_a_wrong_expression_raises_invalid_input() -> None:
    with pytest.raises(InvalidInput) as raised:
        next_fire("every day", "UTC", 0)
    assert raised.value.problems[0].path == "/cron"
    with pytest.raises(InvalidInput):
        local_time(0, "Nowhere")


@given(crons, st.sampled_from(ZONES), near, st.integers(0, 40 * 86_400_000))
@settings(max_examples=150, deadline=None)
def test_catch_up_finds_the_latest_and_counts_the_rest(cron: str, zone: str, after: int, late: int) -> None:
    due = next_fire(cron, zone, after)
    assert due is not None
    now = due + late
    fires = [due]
    while (following := next_fire(cron, zone, fires[-1])) is not None and following <= now and len(fires) < 900:
        fires.append(following)
    latest, missed = catch_up(cron, zone, due, now)
    if len(fires) < 900:
        assert (latest, missed) == (fires[-1], len(fires) - 1)
    else:
        assert latest <= now
        assert missed >= 899


def test_catch_up_after_years_of_seconds_is_quick_and_its_count_bounded() -> None:
    due, now = ms("2020-01-01T00:00:00+00:00"), ms("2024-06-01T12:00:00.500+00:00")
    assert catch_up("* * * * * *", "Europe/Berlin", due, now) == (ms("2024-06-01T12:00:00+00:00"), MAX_MISSED)


def test_local_time_tells_the_offset() -> None:
    at = int(datetime(2024, 7, 1, 7, 0, 0, 5000, tzinfo=UTC).timestamp() * 1000)
    assert local_time(at, "Europe/Berlin", "milliseconds") == "2024-07-01T09:00:00.005+02:00"

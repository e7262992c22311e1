"""Cron schedules: when do they fire? Five fields (minute hour day month weekday) or six, seconds first.

Fields are Debian cron's, with cronsim's extensions (``L``, ``LW``, ``5L``, ``MON#2``, names). When both day fields are
restricted, either may match; when one of them starts with ``*``, both must.

Clocks that change follow Debian cron as well:

- A job at fixed times (five fields, minute and hour both not starting with ``*``) runs once a day whatever the clock
  does: a time that is skipped fires at the first minute after the gap, a time that comes twice fires the first time.
- Any other job (a wildcard in minute or hour, or six fields) runs by the clock on the wall: what is skipped does not
  fire, and what comes twice fires twice.

The cron fields are matched by cronsim on plain wall-clock time; the zone is applied here, because cronsim's own way
through zones loses fires where clocks change by half an hour or at midnight.

Times are milliseconds since the epoch; fires are whole seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError

from linkflow.domain.errors import InvalidInput, Problem

MAX_LENGTH = 200
"""Characters of a cron expression."""

MAX_MISSED = 1000
"""Missed fires are counted up to here."""

_EPOCH = datetime(1970, 1, 1)
_LAST = int(datetime(9900, 1, 1, tzinfo=UTC).timestamp())
_DAY = 86_400
_PROBE_MS = 1_704_067_200_000
"""2024-01-01: any moment serves to ask whether an expression fires at all."""


def next_fire(cron: str, timezone: str, after_ms: int) -> int | None:
    """The first fire after `after_ms`, or None if there is none within 50 years.

    Raises `InvalidInput` for an expression or an IANA zone that is none.
    """
    return next(_fires(cron, timezone, after_ms), None)


def preview(cron: str, timezone: str, after_ms: int, count: int) -> list[int]:
    """The next `count` fires after `after_ms`, in order; fewer where there are no more. Raises `InvalidInput`."""
    return list(islice(_fires(cron, timezone, after_ms), count))


def check(cron: str, timezone: str) -> list[Problem]:
    """All that is wrong with a schedule; paths are ``/cron`` and ``/timezone``."""
    problems: list[Problem] = []
    try:
        _zone(timezone)
    except InvalidInput as error:
        problems += error.problems
    try:
        if next_fire(cron, "UTC", _PROBE_MS) is None:
            problems.append(Problem("/cron", "never_fires", f"The cron expression {cron!r} matches no date."))
    except InvalidInput as error:
        problems += error.problems
    return problems


def catch_up(cron: str, timezone: str, due_ms: int, now_ms: int) -> tuple[int, int]:
    """For a schedule that fell due at `due_ms`: the latest fire not after `now_ms`, and how many came before it.

    The count starts with `due_ms` and stops at `MAX_MISSED`. Raises `InvalidInput`.
    """
    first = next_fire(cron, timezone, due_ms)
    if first is None or first > now_ms:
        return due_ms, 0
    low, high = due_ms, now_ms  # something fires in (low, now], nothing in (high, now]
    while high - low > 1000:
        middle = (low + high) // 2
        found = next_fire(cron, timezone, middle)
        if found is not None and found <= now_ms:
            low = middle
        else:
            high = middle
    latest = next_fire(cron, timezone, low) or first
    between = islice(_fires(cron, timezone, due_ms), MAX_MISSED - 1)
    return latest, 1 + sum(1 for at in between if at < latest)


def local_time(at_ms: int, timezone: str, timespec: str = "seconds") -> str:
    """ISO 8601 in the zone, with its offset: ``2026-03-29T09:00:00+02:00``. Raises `InvalidInput`."""
    at = datetime.fromtimestamp(at_ms // 1000, _zone(timezone)).replace(microsecond=at_ms % 1000 * 1000)
    return at.isoformat(timespec=timespec)


def _fires(cron: str, timezone: str, after_ms: int) -> Iterator[int]:
    """Fires after `after_ms` in ms, strictly increasing."""
    zone = _zone(timezone)
    after = max(after_ms // 1000, 0)
    if after > _LAST:
        return
    _walls(cron, after)  # a wrong expression is refused here, whatever comes below
    seconds = _fixed(cron, zone, after) if _is_fixed(cron) else _by_the_wall(cron, zone, after)
    for at in seconds:
        yield at * 1000


def _is_fixed(cron: str) -> bool:
    fields = cron.split()
    return len(fields) == 5 and not fields[0].startswith("*") and not fields[1].startswith("*")


def _fixed(cron: str, zone: tzinfo, after: int) -> Iterator[int]:
    for wall in _walls(cron, after + _offset(after, zone)):
        while not _exists(wall, zone):
            wall += timedelta(minutes=1)
        at = int(wall.replace(tzinfo=zone, fold=0).timestamp())
        if at > after:  # an hour that comes again, and times that a gap has pushed together, are behind us
            after = at
            yield at


def _by_the_wall(cron: str, zone: tzinfo, after: int) -> Iterator[int]:
    """Walk one stretch of constant offset after another: within one, wall time and real time run alike."""
    offset = _offset(after, zone)
    while True:
        for wall in _walls(cron, after + offset):
            at = _seconds(wall) - offset
            change = _change(zone, offset, after, at)
            if change is not None:
                break
            after = at
            yield at
        else:
            return
        offset = _offset(change, zone)
        after = change - 1


def _change(zone: tzinfo, offset: int, low: int, high: int) -> int | None:
    """The first second in (low, high] at which the zone's offset is another one."""
    at = low + 1
    while _offset(at, zone) == offset:
        if at >= high:
            return None
        low, at = at, min(at + _DAY, high)
    while at - low > 1:
        middle = (low + at) // 2
        if _offset(middle, zone) == offset:
            low = middle
        else:
            at = middle
    return at


def _walls(cron: str, after: int) -> CronSim:
    """Matching wall-clock times after `after`, which is wall-clock seconds."""
    if len(cron) > MAX_LENGTH:
        raise _refused("/cron", "bad_cron", f"A cron expression has at most {MAX_LENGTH} characters.")
    try:
        return CronSim(cron, _EPOCH + timedelta(seconds=after))
    except (CronSimError, ValueError, AssertionError) as error:
        reason = str(error) or "it does not parse"
        raise _refused("/cron", "bad_cron", f"Not a cron expression: {cron!r} ({reason}).") from None


def _zone(timezone: str) -> tzinfo:
    try:
        if timezone == "localtime":  # what it means depends on the host
            raise ValueError(timezone)
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        message = f"Not an IANA time zone: {timezone!r}. Use a name such as Europe/Berlin or UTC."
        raise _refused("/timezone", "bad_timezone", message) from None


def _refused(path: str, code: str, message: str) -> InvalidInput:
    return InvalidInput(message, problems=[Problem(path, code, message)])


def _exists(wall: datetime, zone: tzinfo) -> bool:
    there = wall.replace(tzinfo=zone)
    return there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def _offset(at: int, zone: tzinfo) -> int:
    offset = datetime.fromtimestamp(at, zone).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0


def _seconds(wall: datetime) -> int:
    passed = wall - _EPOCH
    return passed.days * _DAY + passed.seconds

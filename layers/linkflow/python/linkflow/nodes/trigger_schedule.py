"""Start by the clock: a cron expression in a time zone, an interval, or one moment."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AliasChoices, ConfigDict, Field, model_validator

from linkflow.domain import schedules
from linkflow.domain.errors import Problem
from linkflow.domain.timetable import SHORTEST_MS, Timetable, parse_length
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Params
from linkflow.nodes.fields import Text
from linkflow.nodes.trigger_manual import Trigger

LONGEST_MS = 366 * 86_400_000
"""Longest interval, and longest jitter."""

LAST_YEAR = 9000
"""Far enough from the calendar's end that every fire after it can still be told."""

YEAR = 365 * 86_400

Overlap = Literal["allow", "skip", "queue_one", "queue_all", "cancel_other", "terminate_other"]


def _cron(text: str) -> str:
    if text:
        _raise(schedules.check(text, "UTC"))
    return text


def _zone(text: str) -> str:
    if text:
        _raise(schedules.check("0 0 * * *", text))
    return text


def _raise(problems: list[Problem]) -> None:
    if problems:
        raise ValueError(problems[0].message)


def _day(text: str) -> str:
    if text:
        try:
            year = datetime.fromisoformat(text).year
        except ValueError:
            raise ValueError("write a date as 2026-12-24 or 2026-12-24T18:00:00Z") from None
        if not 1970 <= year < LAST_YEAR:
            raise ValueError(f"write a year from 1970 to {LAST_YEAR - 1}")
    return text


def _interval(text: str) -> str:
    if text and not SHORTEST_MS <= parse_length(text) <= LONGEST_MS:
        raise ValueError("an interval is one second at least, and 366 days at most")
    return text


def _short(text: str) -> str:
    if text and parse_length(text) > LONGEST_MS:
        raise ValueError("366 days at most")
    return text


def _any_of_three(schema: dict[str, Any]) -> None:
    """The form asks for none of them in particular."""
    schema.pop("required", None)
    schema["properties"]["cron"]["default"] = ""
    schema["anyOf"] = [{"required": [name]} for name in ("cron", "every", "at")]


Day = Annotated[Text, AfterValidator(_day)]


class ScheduleParams(Params):
    """One of `cron`, `every` and `at`; where there is none, it is `cron` that is missing."""

    model_config = ConfigDict(json_schema_extra=_any_of_three)

    cron: Annotated[Text, AfterValidator(_cron)] = Field(
        validation_alias=AliasChoices("cron", "cron_expression"),
        description="Minute, hour, day of month, month, day of week; a sixth field in front is seconds.",
    )
    every: Annotated[Text, AfterValidator(_interval)] = Field(
        "", description="An interval: 15m, 1h30m or PT15M, one second at least."
    )
    anchor: Day = Field("", description="A moment the interval counts from. Left out: the start, else 1970 in UTC.")
    at: Day = Field("", description="Once, at this time; in the time zone where it has no offset.")
    timezone: Annotated[Text, AfterValidator(_zone)] = Field("", description="Left out: the workflow's.")
    start_date: Day = Field("", description="Not before this time.")
    end_date: Day = Field("", description="Not after this time.")
    jitter: Annotated[Text, AfterValidator(_short)] = Field(
        "", description="Start up to so much later (30s, 5m), each fire by an amount of its own; never past the next."
    )
    overlap: Overlap = Field("allow", description="When the run before has not ended yet.")
    catch_up_window: Annotated[int, Field(ge=10, le=YEAR)] = Field(
        YEAR, description="Seconds: after an outage, fires missed longer ago are skipped."
    )
    catch_up: Literal["latest", "all"] = Field("latest", description="Which fires within the window are run.")

    @model_validator(mode="before")
    @classmethod
    def _has_another_way(cls, data: Any) -> Any:
        if isinstance(data, dict) and (data.get("every") or data.get("at")) and "cron_expression" not in data:
            return {"cron": "", **data}
        return data

    @model_validator(mode="after")
    def _says_when(self) -> ScheduleParams:
        given = [name for name in ("cron", "every", "at") if getattr(self, name)]
        if len(given) != 1:
            found = f"here are {' and '.join(given)}" if given else "none of them is here"
            raise ValueError(f"say when with one of `cron`, `every` and `at`; {found}")
        if self.anchor and not self.every:
            raise ValueError("`anchor` goes with `every`")
        start, end = moment(self.start_date), moment(self.end_date)
        if start and end and end < start:
            raise ValueError("`end_date` is before `start_date`")
        return self

    def timetable(self, timezone: str) -> Timetable:
        """These settings as numbers. `timezone` is the workflow's, for where none is given here."""
        zone = self.timezone or timezone or "UTC"
        start = moment(self.start_date)
        return Timetable(
            cron=self.cron,
            every=parse_length(self.every) if self.every else 0,
            anchor=(moment(self.anchor, zone) or start) if self.every else 0,
            at=moment(self.at, zone),
            timezone=zone,
            starts_at=start,
            ends_at=moment(self.end_date),
            jitter=parse_length(self.jitter) if self.jitter else 0,
        )


def moment(text: str, timezone: str = "UTC") -> int:
    """An ISO 8601 date or time in ms, in the zone where it does not say; 0 for none.

    A time that a clock change skips is the one as long after the change; of a doubled one, the first.
    """
    if not text:
        return 0
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        at = at.replace(tzinfo=ZoneInfo(timezone))
    return int(at.astimezone(UTC).timestamp() * 1000)


class ScheduleTrigger(Trigger):
    type: ClassVar[str] = "trigger_schedule"
    name: ClassVar[str] = "Schedule"
    description: ClassVar[str] = "Start by the clock."
    params: ClassVar[builtins.type[Params]] = ScheduleParams
    help = """
    One of `cron` (five fields, or six with seconds first), `every` and `at`. What becomes of a fire while the run
    before it has not ended is `overlap`'s; what was missed in an outage is `catch_up`'s. See
    [schedules](../schedules.md).
    """
    produces = {
        "main": {
            "type": "object",
            "description": "When it was due, and by which schedule.",
        }
    }
    examples = (
        Example(
            name="Every morning in Berlin",
            config={"cron": "0 9 * * *", "timezone": "Europe/Berlin", "overlap": "skip"},
            input={"scheduled_at": "2027-01-15T08:00:00.000Z"},
            output={"scheduled_at": "2027-01-15T08:00:00.000Z"},
        ),
    )
    refuses = (Refusal({"cron": "at nine"}, "/cron", "invalid_value"),)


node = ScheduleTrigger()

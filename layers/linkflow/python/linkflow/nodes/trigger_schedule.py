"""Start by the clock: a cron expression in a time zone."""

from __future__ import annotations

import builtins
from datetime import datetime
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, Field

from linkflow.domain import schedules
from linkflow.domain.errors import Problem
from linkflow.nodes.base import Params
from linkflow.nodes.fields import Text
from linkflow.nodes.trigger_manual import Trigger


def _cron(text: str) -> str:
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
            datetime.fromisoformat(text)
        except ValueError:
            raise ValueError("write a date as 2026-12-24 or 2026-12-24T18:00:00Z") from None
    return text


Day = Annotated[Text, AfterValidator(_day)]


class ScheduleParams(Params):
    cron: Annotated[str, AfterValidator(_cron)] = Field(
        validation_alias=AliasChoices("cron", "cron_expression"),
        description="Minute, hour, day of month, month, day of week; a sixth field in front is seconds.",
    )
    timezone: Annotated[Text, AfterValidator(_zone)] = Field("", description="Left out: the workflow's.")
    start_date: Day = Field("", description="Not before this time.")
    end_date: Day = Field("", description="Not after this time.")


class ScheduleTrigger(Trigger):
    type: ClassVar[str] = "trigger_schedule"
    name: ClassVar[str] = "Schedule"
    description: ClassVar[str] = "Start by the clock."
    params: ClassVar[builtins.type[Params]] = ScheduleParams


node = ScheduleTrigger()

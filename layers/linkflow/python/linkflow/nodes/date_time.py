"""Read, shift, round, show and compare dates in a time zone. The output is the moment in many forms."""

from __future__ import annotations

import builtins
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, AliasChoices, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome
from linkflow.nodes import moments
from linkflow.nodes.about import Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text, ui

Unit = Annotated[Text, AfterValidator(moments.unit)]
Zone = Annotated[Text, AfterValidator(moments.checked_zone)]


class DateTimeParams(Params):
    operation: Literal["convert", "add", "start_of", "end_of", "difference"] = Field(
        "convert", description="convert: read and show. add: `amount` of `unit`, also less than none."
    )
    date: Any = Field(
        None,
        validation_alias=AliasChoices("date", "value"),
        description="ISO 8601, or milliseconds since 1970. Left out: now.",
    )
    to: Any = Field(None, description="The other date; operation difference. Left out: now.")
    amount: int = Field(0, ge=-1_000_000_000, le=1_000_000_000)
    unit: Unit = Field("day", description="millisecond, second, minute, hour, day, week, month, quarter or year.")
    timezone: Zone = Field("UTC", description="An IANA zone, such as Europe/Berlin: days and months are its own.")
    format: Annotated[Text, Field(max_length=200)] = Field(
        "", description="For `text`: yyyy-MM-dd HH:mm and the like; text in single quotes is copied."
    )
    parse: Annotated[Text, Field(max_length=200)] = Field(
        "",
        validation_alias=AliasChoices("parse", "from_format"),
        description="How `date` is written, where it is not ISO 8601: dd.MM.yyyy.",
        json_schema_extra=ui(group="More"),
    )

    @model_validator(mode="after")
    def _has_an_amount(self) -> DateTimeParams:
        if self.operation == "add" and "amount" not in self.model_fields_set:
            raise ValueError("operation add needs an `amount`")
        return self


class DateTime(Base):
    type: ClassVar[str] = "datetime"
    aliases: ClassVar[tuple[str, ...]] = ("date_time", "transform_date")
    name: ClassVar[str] = "Date and time"
    description: ClassVar[str] = "Read, shift, round, show and compare dates."
    category: ClassVar[str] = "data"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = DateTimeParams
    help = """
    A date without an offset is one of the time zone. Days, weeks, months and years are added by the calendar: noon
    stays noon over a clock change, and 31 January plus a month is the last of February. Smaller units are added by the
    clock. Where a local time does not exist, the one as long after the change is meant. Weeks begin on Monday.

    `difference` counts whole units from `date` to `to` (less than none where that is earlier); `exact` has the fraction
    as well.
    """
    produces = {
        "main": {
            "type": "object",
            "properties": {
                "iso": {"type": "string", "description": "In the time zone, with its offset."},
                "utc": {"type": "string", "description": "In UTC, ending in Z."},
                "ms": {"type": "integer", "description": "Milliseconds since 1970."},
                "date": {"type": "string"},
                "time": {"type": "string"},
                "year": {"type": "integer"},
                "month": {"type": "integer"},
                "day": {"type": "integer"},
                "hour": {"type": "integer"},
                "minute": {"type": "integer"},
                "second": {"type": "integer"},
                "weekday": {"type": "integer", "description": "Monday is 1."},
                "week": {"type": "integer", "description": "ISO 8601's."},
                "text": {"type": "string", "description": "As `format` says."},
                "difference": {"type": "integer", "description": "Whole units; operation difference."},
                "exact": {"type": "number"},
                "unit": {"type": "string"},
            },
        }
    }
    faults = (Fault("bad_date", "There is no date, or one out of the years 1 to 9999."),)
    examples = (
        Example(
            name="A month later, in Berlin",
            config={
                "operation": "add",
                "date": "{{ input.due }}",
                "amount": 1,
                "unit": "month",
                "timezone": "Europe/Berlin",
                "format": "d MMMM yyyy",
            },
            input={"due": "2027-01-31T12:00:00+01:00"},
            output={
                "iso": "2027-02-28T12:00:00.000+01:00",
                "utc": "2027-02-28T11:00:00.000Z",
                "ms": 1803812400000,
                "date": "2027-02-28",
                "time": "12:00:00",
                "year": 2027,
                "month": 2,
                "day": 28,
                "hour": 12,
                "minute": 0,
                "second": 0,
                "weekday": 7,
                "week": 8,
                "text": "28 February 2027",
            },
        ),
        Example(
            name="How many days are left?",
            config={"operation": "difference", "to": "2027-01-20", "unit": "day"},
            output={"difference": 4, "exact": 4.666666666666667, "unit": "day"},
        ),
    )
    refuses = (
        Refusal({"timezone": "Berlin"}, "/timezone", "invalid_value"),
        Refusal({"operation": "add", "unit": "day"}, "", "invalid_value"),
    )

    def run(self, params: DateTimeParams, context: Context) -> Outcome:
        zone = moments.zone(params.timezone)
        now = datetime.fromtimestamp(context.now_ms / 1000, UTC).astimezone(zone)
        try:
            moment = moments.read(params.date, zone, params.parse) if "date" in params.model_fields_set else now
            if params.operation == "difference":
                other = moments.read(params.to, zone, params.parse) if "to" in params.model_fields_set else now
                whole, exact = moments.difference(moment, other, params.unit)
                return Completed(output={"difference": whole, "exact": exact, "unit": params.unit})
            if params.operation == "add":
                moment = moments.add(moment, params.amount, params.unit)
            elif params.operation != "convert":
                moment = moments.start(moment, params.unit)
                if params.operation == "end_of":
                    moment = moments.add(moments.add(moment, 1, params.unit), -1, "millisecond")
            return Completed(output=moments.parts(moment, params.format))
        except (ValueError, OverflowError) as error:
            text = str(error) if isinstance(error, moments.NoDate) else "the date is out of range (years 1 to 9999)"
            raise NodeFailure("bad_date", f"{text[:1].upper()}{text[1:]}.", retryable=False) from None


node = DateTime()

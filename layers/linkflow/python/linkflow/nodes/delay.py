"""Wait for a time, or until one, without holding a worker; then pass the input on."""

from __future__ import annotations

import builtins
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome, Sleep
from linkflow.nodes.about import INPUT, Example, Fault, Refusal
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.durations import LONGEST_MS, duration_ms, until_ms
from linkflow.nodes.fields import Text


def _checked_duration(text: str) -> str:
    if text:
        duration_ms(text)
    return text


def _checked_until(value: int | str) -> int | str:
    if isinstance(value, str) and value:
        until_ms(value)
    return value


Amount = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class DelayParams(Params):
    """Amounts add up. `duration` and `until` stand alone."""

    milliseconds: Amount = 0
    seconds: Amount = 0
    minutes: Amount = 0
    hours: Amount = 0
    days: Amount = 0
    duration: Annotated[Text, AfterValidator(_checked_duration)] = Field("", description="1h30m or PT1H30M")
    until: Annotated[int | str, AfterValidator(_checked_until)] = Field("", description="RFC 3339, or milliseconds")

    @model_validator(mode="before")
    @classmethod
    def _says_how_long(cls, data: Any) -> Any:
        if isinstance(data, dict) and not any(value not in (None, "") for value in data.values()):
            raise ValueError("say how long: seconds, minutes, hours, days, `duration` or `until`")
        return data

    @property
    def total_ms(self) -> int:
        parts = self.milliseconds + 1000 * (self.seconds + 60 * (self.minutes + 60 * (self.hours + 24 * self.days)))
        return round(parts) + (duration_ms(self.duration) if self.duration else 0)


class Delay(Base):
    type: ClassVar[str] = "delay"
    aliases: ClassVar[tuple[str, ...]] = ("logic_delay",)
    name: ClassVar[str] = "Delay"
    description: ClassVar[str] = "Wait for a time or until one."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    params: ClassVar[builtins.type[Params]] = DelayParams
    help = (
        "Amounts add up. A delay holds no worker, and lasts 366 days at most; a time that has passed ends it at once."
    )
    produces = {"main": INPUT}
    faults = (Fault("delay_too_long", "The delay is longer than 366 days."),)
    examples = (
        Example(
            name="Wait for an hour and a half",
            config={"duration": "1h30m"},
            input={"id": 7},
            outcome={"type": "sleep", "until": 1_800_005_400_000, "output": {"id": 7}},
        ),
    )
    refuses = (Refusal({"duration": "soon"}, "/duration", "invalid_value"),)

    def run(self, params: DelayParams, context: Context) -> Outcome:
        if params.until:
            until = until_ms(params.until) if isinstance(params.until, str) else params.until
        else:
            until = context.now_ms + params.total_ms
        if until - context.now_ms > LONGEST_MS:
            raise NodeFailure("delay_too_long", "A delay may last 366 days at most.", retryable=False)
        if until <= context.now_ms:
            return Completed(output=context.input)
        return Sleep(until=until, output=context.input)


node = Delay()

"""Wait for a time, or until one, without holding a worker; then pass the input on."""

from __future__ import annotations

import builtins
import re
from datetime import datetime
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, Field, model_validator

from linkflow.domain.outcomes import Completed, Outcome, Sleep
from linkflow.nodes.base import Base, Context, NodeFailure, Params
from linkflow.nodes.fields import Text

LONGEST_MS = 366 * 24 * 3_600_000
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_GO = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)\s*")
_ISO = re.compile(
    r"P(?:(?P<w>\d+)W)?(?:(?P<d>\d+)D)?(?:T(?:(?P<h>\d+)H)?(?:(?P<m>\d+)M)?(?:(?P<s>\d+(?:\.\d+)?)S)?)?", re.IGNORECASE
)


def duration_ms(text: str) -> int:
    """Milliseconds of ``1h30m`` (Go's form, with d and w) or ``PT1H30M`` (ISO 8601, without months and years)."""
    text = text.strip()
    if text[:1] in ("P", "p"):
        found = _ISO.fullmatch(text)
        parts = {unit: value for unit, value in found.groupdict().items() if value} if found else {}
    else:
        parts, at = {}, 0
        while found := _GO.match(text, at):
            parts[found[2]] = str(float(parts.get(found[2], 0)) + float(found[1]))
            at = found.end()
        parts = parts if at == len(text) else {}
    if not parts:
        raise ValueError("write a duration as 1h30m or PT1H30M")
    return round(sum(float(value) * _UNITS[unit] for unit, value in parts.items()))


def until_ms(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time, which has an offset or Z."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("write a time with its offset, such as 2026-12-24T18:00:00+01:00")
    return round(moment.timestamp() * 1000)


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

"""Which runs, as a request says it: in its query, or in the filter of a bulk operation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

from fastapi import Depends, Query
from pydantic import StringConstraints

from linkflow.contracts.searching import OPERATORS, Attribute, RunFilter
from linkflow.domain.errors import InvalidInput, Problem
from linkflow.domain.searching import NAME_LENGTH, VALUE_LENGTH

from .moments import Moment

Seconds = Annotated[float | None, Query(ge=0, le=10**9, allow_inf_nan=False)]
Compared = Annotated[str, StringConstraints(min_length=1, max_length=NAME_LENGTH + VALUE_LENGTH + 2)]


async def _filter(
    version: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    environment: Annotated[str, Query(max_length=100)] = "",
    error_code: Annotated[str, Query(max_length=VALUE_LENGTH)] = "",
    text: Annotated[str, Query(max_length=500)] = "",
    attribute: Annotated[Sequence[Compared], Query(max_length=10)] = (),
    started_after: Moment | None = None,
    started_before: Moment | None = None,
    min_duration: Seconds = None,
    max_duration: Seconds = None,
) -> RunFilter:
    return run_filter(
        version, environment, error_code, text, attribute, started_after, started_before, min_duration, max_duration
    )


def run_filter(
    version: int,
    environment: str,
    error_code: str,
    text: str,
    attributes: Sequence[str],
    started_after: datetime | None = None,
    started_before: datetime | None = None,
    min_duration: float | None = None,
    max_duration: float | None = None,
    pointer: str = "/attribute",
) -> RunFilter:
    """Durations are seconds. Raises `InvalidInput` for attributes that compare nothing."""
    faults = []
    found = []
    for place, written in enumerate(attributes):
        one = _compared(written)
        if one is None:
            fix = "Write it as name=value; >=, <=, > and < compare numbers, or text."
            faults.append(Problem(f"{pointer}/{place}", "bad_attribute", fix))
        else:
            found.append(one)
    if faults:
        raise InvalidInput("This compares nothing.", problems=faults)
    return RunFilter(
        version, environment, error_code, text, tuple(found), _ms(started_after), _ms(started_before),
        math.ceil(1000 * (min_duration or 0)), math.floor(1000 * (max_duration or 0)),
    )  # fmt: skip


def _compared(written: str) -> Attribute | None:
    places = [(written.find(operator), -len(operator), operator) for operator in OPERATORS if operator in written]
    if not places:
        return None
    place, _, operator = min(places)
    name, value = written[:place].strip(), written[place + len(operator) :].strip()
    return Attribute(name, operator, value) if name and len(name) <= NAME_LENGTH else None


def _ms(moment: datetime | None) -> int:
    return max(0, round(moment.timestamp() * 1000)) if moment else 0


Filtered = Annotated[RunFilter, Depends(_filter)]

"""Limits, as History keeps them: a transition that leads over one ends the run, one that comes near says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from linkflow.config import Config
from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.decider import Decision
from linkflow.domain.limits import NEAR, Limits, Use, near, too_much
from linkflow.domain.payloads import BLOB, blob_of
from linkflow.domain.state import split_key
from linkflow.observability import logger
from linkflow.ports import Transition

from .plans import Plan

_encode = msgspec.json.Encoder().encode
_REFERENCE = BLOB.encode()


def limits_of(config: Config) -> Limits:
    return Limits(
        config.max_events, config.max_pending, config.max_signals, config.max_history_bytes, config.max_payload
    )


class Remedy:
    """What is decided instead: the end of the run, or what was asked with warnings in it."""

    __slots__ = ("commands", "ends", "first", "warnings")

    def __init__(self, commands: Sequence[c.Command], *, ends: bool = False, first: int = 0, warnings: int = 0) -> None:
        self.commands = commands
        self.ends = ends
        self.first = first
        self.warnings = warnings

    def answered(self, decision: Decision, asked: int) -> Decision:
        """The decision as the answer to the `asked` commands that were given."""
        if self.ends:
            accepted = (True, *[False] * (asked - 1))
        else:
            accepted = decision.accepted[: self.first] + decision.accepted[self.first + self.warnings :]
        return msgspec.structs.replace(decision, accepted=accepted)


class Guard:
    """Looks at each transition before it is written. The look costs some comparisons; only what is large costs more."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits

    def fits(self, decision: Decision, row: Transition, plan: Plan) -> bool:
        """Is nothing of a new run near a limit?"""
        return not self._near(decision, row, 0, plan)

    def review(
        self, commands: Sequence[c.Command], decision: Decision, row: Transition, history: int, plan: Plan
    ) -> Remedy | None:
        """What to do instead of a transition near a limit or over it. `history` is bytes so far."""
        found = self._near(decision, row, history, plan)
        if not found:
            return None
        if not decision.state.closed and any(map(too_much, found)):
            return self.end(commands, found)
        first = 1 if isinstance(commands[0], c.Start) else 0
        if not first and decision.was_closed:
            return None
        for use in found:
            extra = {"execution_id": decision.state.execution_id, "limit": use.limit, "value": use.value}
            logger.warning("A run is near a limit", extra=extra)
        # In front, so that what ends a run stays its last event.
        warnings = [c.Warn(use.limit, use.value, use.max) for use in found]
        more = (*commands[:first], *warnings, *commands[first:])
        return Remedy(more, first=first, warnings=len(warnings))

    def end(self, commands: Sequence[c.Command], found: Sequence[Use]) -> Remedy:
        """The run fails, and nothing else of what was asked happens."""
        error = next(error for use in found if (error := too_much(use)))
        first = commands[:1] if isinstance(commands[0], c.Start) else ()
        return Remedy((*first, c.Abort(error)), ends=True)

    def _near(self, decision: Decision, row: Transition, history: int, plan: Plan) -> list[Use]:
        size = len(row.events)
        large = size >= self.limits.payload_bytes * NEAR or _REFERENCE in row.events
        payload = _largest(decision, plan) if large else 0
        said = {warning.limit for warning in decision.state.warnings}
        uses = near(decision.state, self.limits, history + size, payload)
        return [use for use in uses if use.limit not in said or too_much(use)]


def _largest(decision: Decision, plan: Plan) -> int:
    """Bytes of the largest payload that came in. A loop's results are many payloads."""
    values = (_payload(event, plan) for event in decision.events)
    return max((_size(value) for value in values if value is not None), default=0)


def _size(value: Any) -> int:
    blob = blob_of(value)
    return blob.size if blob is not None else len(_encode(value))


def _payload(event: e.Event, plan: Plan) -> Any:
    if isinstance(event, e.ExecutionStarted):
        return event.trigger
    if isinstance(event, e.SignalReceived):
        return event.payload
    if isinstance(event, e.ChildStarted):
        return event.input
    if isinstance(event, e.StepCompleted):
        return event.output
    if isinstance(event, e.NodeCompleted) and not plan.graph.is_loop(split_key(event.node)[0]):
        return event.output
    return None

"""Wait for an event from outside, by its name and key, without holding a worker; go on with its payload."""

from __future__ import annotations

import builtins
from typing import Annotated, ClassVar

from pydantic import AfterValidator, AliasChoices, Field

from linkflow.domain.outcomes import Outcome, WaitEvent
from linkflow.domain.waiting import MAX_NAME, name_fault
from linkflow.nodes.about import Example, Refusal
from linkflow.nodes.base import Base, Context, Params
from linkflow.nodes.durations import Span, span_ms
from linkflow.nodes.fields import Text


def _checked(text: str) -> str:
    if fault := name_fault(text):
        raise ValueError(f"It {fault}")
    return text


EventText = Annotated[Text, AfterValidator(_checked), Field(max_length=MAX_NAME)]


class WaitParams(Params):
    event: Annotated[EventText, Field(min_length=1)] = Field(
        validation_alias=AliasChoices("event", "event_name", "name"), description="Its name."
    )
    key: EventText = Field("", description="Take only an event with this key; without one, any of the name.")
    timeout: Span = Field(
        "",
        validation_alias=AliasChoices("timeout", "duration"),
        description="Seconds, 1h30m or PT1H30M; then the node fails. Left out or 0: wait for ever.",
    )


class WaitForEvent(Base):
    type: ClassVar[str] = "wait_for_event"
    aliases: ClassVar[tuple[str, ...]] = ("wait", "logic_wait")
    name: ClassVar[str] = "Wait for an event"
    description: ClassVar[str] = "Wait until an event comes from outside, and take its payload."
    category: ClassVar[str] = "logic"
    pure: ClassVar[bool] = True
    acts: ClassVar[bool | None] = True
    params: ClassVar[builtins.type[Params]] = WaitParams
    help = """
    With a `key`, only an event that carries it ends the wait; without one, any of the name does. A wait that times out
    fails the node (`timeout`); it is not retried. An event that came before the wait was kept for it.

    - `POST …/events/{name}` `{key, data}` goes to every run of the workspace that waits for it. Where none does, it is
      kept (`keep` seconds, a day if left out, 30 days at most) for the first wait that fits. `id` or an
      `Idempotency-Key` makes a second sending the same event.
    - `POST …/executions/{id}/signal` `{name, key, payload, signal_id}` goes to one run, which takes it or keeps it for
      a later wait. Of several waits in one run an event ends the oldest.
    """
    produces = {"main": {"description": "The event's payload."}}
    examples = (
        Example(
            name="Until the order is paid",
            config={"event": "paid", "key": "{{ trigger.order }}", "timeout": "2d"},
            input={"order": "A7"},
            outcome={"type": "wait", "name": "paid", "key": "A7", "until": 1_800_172_800_000},
        ),
    )
    refuses = (Refusal({}, "/event", "missing_field"),)

    def run(self, params: WaitParams, context: Context) -> Outcome:
        timeout = span_ms(params.timeout)
        return WaitEvent(params.event, params.key, context.now_ms + timeout if timeout else 0)


node = WaitForEvent()

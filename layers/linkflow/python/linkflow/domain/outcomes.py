"""What running a node comes to. Outcomes are values, so worker, wire and decider speak of the same thing."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .payloads import Part

DEAD_LETTER_CODE = "task_dead_lettered"
"""The error of a node whose task no worker finished."""


class NodeError(Struct, frozen=True, omit_defaults=True):
    """Why a node run failed. `code` is what `retry.non_retryable` names."""

    code: str
    message: str
    retryable: bool = True
    details: dict[str, Any] = {}


class Completed(Struct, frozen=True, omit_defaults=True, tag="completed"):
    """The node ended well. `ports` are the outputs taken; `respond` is the run's answer if the node sets one."""

    output: Any = None
    ports: tuple[str, ...] = ("main",)
    respond: Any = None
    answers: bool = False
    """True where `respond` is meant, so that an answer of null is an answer."""
    logs: tuple[str, ...] = ()


class Failed(Struct, frozen=True, omit_defaults=True, tag="failed"):
    """The attempt failed. `timed_out` names the timeout that passed, if one did.
    `retry_after` (ms) is what the other side asked for. `heartbeat` is what the attempt's last heartbeat told."""

    error: NodeError
    timed_out: str = ""
    retry_after: int = 0
    logs: tuple[str, ...] = ()
    heartbeat: Any = None
    fresh: bool = False
    """The next attempt is to do all steps anew: what was recorded led to this."""


class Sleep(Struct, frozen=True, omit_defaults=True, tag="sleep"):
    """Wait until `until` (ms since the epoch), then complete with `output` (or the input, where that is unset)."""

    until: int
    output: Any = None


class Iterate(Struct, frozen=True, omit_defaults=True, tag="iterate"):
    """Run the loop's body once for each of `items` (`concurrency` at a time), or for each batch of them.

    `concurrency` 0 means all at once. `on_item_error`: ``stop`` fails the loop, ``collect`` keeps the error as the
    item's result.
    """

    items: tuple[Any, ...]
    concurrency: int = 1
    on_item_error: str = "stop"
    parts: tuple[Part, ...] = ()
    """In place of items that are too large: where they are kept."""


class Repeat(Struct, frozen=True, omit_defaults=True, tag="repeat"):
    """Whether a while loop's condition holds: then its body runs once more, else the loop completes.

    Where it still holds after `max_iterations` the node fails. `on_item_error` is as in `Iterate`.
    """

    holds: bool
    max_iterations: int = 1000
    on_item_error: str = "stop"


class CallWorkflow(Struct, frozen=True, omit_defaults=True, tag="call"):
    """Start another workflow. With `wait` the node completes when the child closes."""

    workflow_id: str
    input: Any = None
    wait: bool = True
    parent_close: str = "terminate"  # terminate | cancel | abandon
    step: str = ""
    """With this (and `wait`) the call is a step of the node: when the child has closed the node goes on, in an attempt
    that finds the result, or the error, among its steps."""
    name: str = ""
    """What the step is called in the history."""


class WaitEvent(Struct, frozen=True, omit_defaults=True, tag="wait"):
    """Wait for an event called `name`; with a `key`, for one that carries it. `until` (ms) 0 means for ever.

    The node completes with the event's payload. An event that came before the wait was kept for it.
    """

    name: str
    key: str = ""
    until: int = 0


class RequestApproval(Struct, frozen=True, omit_defaults=True, tag="approval"):
    """Ask people. The node takes the output ``approved`` or ``rejected``; `until` (ms) 0 means no due date.

    `escalate_at` (ms) is when `escalate_to` are asked as well. With `only_assignees` nobody else may decide.
    """

    title: str
    description: str = ""
    payload: Any = None
    assignees: tuple[str, ...] = ()
    until: int = 0
    escalate_at: int = 0
    escalate_to: tuple[str, ...] = ()
    only_assignees: bool = False


Waiting = Sleep | Iterate | Repeat | CallWorkflow | WaitEvent | RequestApproval
Outcome = Completed | Failed | Sleep | Iterate | Repeat | CallWorkflow | WaitEvent | RequestApproval

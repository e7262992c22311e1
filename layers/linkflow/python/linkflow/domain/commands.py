"""Commands: what is asked of an execution, in the imperative. `decide` answers with events or with none."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from .comparing import Report
from .events import Event, Parent
from .outcomes import NodeError, Outcome
from .steps import Stepped
from .trial import Trial


class Fork(Struct, frozen=True):
    """What a new run takes over: from which node of its source on it goes, and which of that one's events it keeps.

    `edited`: the node is given `input`. `reset`: the source is terminated once the new run is there.
    """

    node: str
    from_version: int
    kept: tuple[Event, ...] = ()
    edited: bool = False
    input: Any = None
    reset: bool = False
    reason: str = ""
    report: Report | None = None


class Start(Struct, frozen=True):
    execution_id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger: Any = None
    mode: str = "manual"
    actor: str = ""
    idempotency_key: str = ""
    parent: Parent | None = None
    reply_to: str = ""
    caused_by: str = ""
    slot: str | None = None
    fairness: str = ""
    source_id: str = ""
    fork: Fork | None = None
    trial: Trial | None = None
    pins: bool = False
    vars: dict[str, str] = {}
    """The workspace's variables that the definition speaks of, as they are now."""
    environment: str = ""


class Hold(Struct, frozen=True):
    """A limit lets a run wait: a new one (`start`), or one whose time came. See `events.ExecutionQueued`."""

    line: str
    key: str
    due_at: int = 0
    start: Start | None = None
    fairness: str = ""


class Collect(Struct, frozen=True):
    """Begin to collect, or add a start to what is collected. Times are ms from now."""

    start: Start
    line: str
    key: str
    wait: int
    max_wait: int = 0
    size: int = 0


class Admit(Struct, frozen=True):
    """Let a waiting run in."""

    slot: str | None = None
    fairness: str = ""


class Complete(Struct, frozen=True):
    """A worker reports what an attempt came to."""

    node: str
    attempt: int
    outcome: Outcome
    started_at: int = 0
    duration_us: int = 0
    worker: str = ""


class Begin(Struct, frozen=True):
    """A worker took up a node whose start matters for a timeout."""

    node: str
    attempt: int
    worker: str = ""


class Record(Struct, frozen=True):
    """A worker reports a step inside a node run."""

    node: str
    attempt: int
    step: Stepped
    worker: str = ""


class Fire(Struct, frozen=True):
    """A timer fell due. Its id says what for; see `timing`. `due_at` (ms) is the time it was set to.

    Of a node run with heartbeats, `beat_at` (ms) is when the latest came, and `beat` what it told.
    """

    timer_id: str
    due_at: int = 0
    beat_at: int = 0
    beat: Any = None


class CloseChild(Struct, frozen=True):
    """A child closed, or could not be started (`status` ``rejected``)."""

    node: str
    attempt: int
    execution_id: str
    status: str
    result: Any = None
    error: NodeError | None = None


class Abort(Struct, frozen=True):
    """The engine itself ends a run that would harm the store: it fails with `error`."""

    error: NodeError


class Warn(Struct, frozen=True):
    """The engine says that the run is near a limit."""

    limit: str
    value: int
    max: int


class RefuseErrorWorkflow(Struct, frozen=True):
    """The error workflow for the failure at event `failure` cannot be started: say so in the history."""

    failure: int
    workflow_id: str
    error: NodeError


class Signal(Struct, frozen=True):
    """An event from outside; the oldest node run that waits for it gets it. Where none does it is kept for a later
    wait, or refused if not `keep` (then somebody else keeps it)."""

    signal_id: str
    name: str
    key: str = ""
    payload: Any = None
    actor: str = ""
    keep: bool = True


class Decide(Struct, frozen=True):
    """Somebody decides an approval: ``approved`` or ``rejected``."""

    node: str
    attempt: int
    decision: str
    payload: Any = None
    actor: str = ""
    comment: str = ""


class Pause(Struct, frozen=True):
    actor: str = ""
    reason: str = ""


class Resume(Struct, frozen=True):
    actor: str = ""


class Cancel(Struct, frozen=True):
    actor: str = ""
    reason: str = ""


class Terminate(Struct, frozen=True):
    actor: str = ""
    reason: str = ""


class RetryFailed(Struct, frozen=True):
    """Run the failed nodes of a failed execution again."""

    actor: str = ""


Command = (
    Start
    | Hold
    | Collect
    | Admit
    | Complete
    | Begin
    | Record
    | Fire
    | CloseChild
    | Signal
    | Decide
    | Pause
    | Resume
    | Abort
    | RefuseErrorWorkflow
    | Warn
    | Cancel
    | Terminate
    | RetryFailed
)

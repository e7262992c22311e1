"""History: the only writer of execution state. Every method takes and returns a batch."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec
from msgspec import Struct

from linkflow.domain.errors import ErrorData
from linkflow.domain.outcomes import Outcome
from linkflow.domain.policy import Policy
from linkflow.domain.reach import Reach
from linkflow.domain.steps import Stepped
from linkflow.domain.trial import Trial

from .controlling import BulkReply, BulkRequest, BulksReply, BulksRequest, ForkReply, ForkRequest
from .searching import RunFilter
from .secrets import SecretsReply, SecretsRequest, TokensReply, TokensRequest
from .usage import UsageReply, UsageRequest

NO_STATE = msgspec.Raw(b"null")
"""In place of a state that does not travel (msgspec knows no optional `Raw`)."""


class Task(Struct, frozen=True, omit_defaults=True):
    """A node run that is due: what Matching carries and a worker runs.

    `version` is that of the execution's state as the node run became due, and `state` that very state where it is small
    enough to travel; else the worker loads it.
    (execution_id, node_key, attempt) is the task's identity; a result for another attempt is refused.
    `fairness` names one of the workspace's own lines (a customer of its, say), which take turns among each other.
    `sticky` names a worker that has the execution's state: while it lives it is preferred for a moment, then anyone.
    Where the state does not travel, a worker's own copy has to be of that version, and `tail` may have what leads
    there.
    """

    execution_id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    node_key: str
    attempt: int
    queue: str = "default"
    priority: int = 0
    scheduled_at: int = 0
    state: msgspec.Raw = NO_STATE
    fairness: str = ""
    sticky: str = ""
    version: int = 0
    tail: Tail | None = None

    @property
    def id(self) -> str:
        return f"{self.execution_id}/{self.node_key}/{self.attempt}"


class Tail(Struct, frozen=True):
    """The events (JSON) that lead an execution's state from version `after` to `version`."""

    execution_id: str
    after: int
    version: int
    events: msgspec.Raw


class TaskRef(Struct, frozen=True, omit_defaults=True):
    execution_id: str
    node_key: str
    attempt: int


class StartRequest(Struct, frozen=True, omit_defaults=True):
    """Start one run. The caller makes `execution_id` (see `domain.ids`), so that a repeated start is the same start."""

    execution_id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger: Any = None
    mode: str = "manual"  # manual | api | webhook | schedule | retry | sub_workflow | error | test
    actor: str = ""
    idempotency_key: str = ""
    on_conflict: str = "return_existing"  # return_existing | reject | terminate_existing
    parent: ParentRef | None = None
    reply_to: str = ""
    """Inbox (a doorbell topic) that is rung with the result when the run closes."""
    trial: Trial | None = None
    """Of a test run."""
    environment: str = ""


class ParentRef(Struct, frozen=True, omit_defaults=True):
    execution_id: str
    node_key: str
    attempt: int
    depth: int = 1
    close_policy: str = "terminate"


class StartBatch(Struct, frozen=True):
    items: tuple[StartRequest, ...]
    worker: str = ""


class Closed(Struct, frozen=True, omit_defaults=True):
    """How a run ended: what History rings a start's `reply_to` with, as JSON, and what a start
    brings back whose run closed at once."""

    execution_id: str
    status: str
    result: Any = None
    error: dict[str, Any] | None = None
    answered: bool = False


class Started(Struct, frozen=True, omit_defaults=True):
    """`created` is false where an idempotency key or a repeated call found the run that was there.

    `closed` where the run ended, or answered, in its first transition and somebody waits: then nobody is rung.
    `status` is ``queued`` or ``collecting`` where the run was not let in at once; `position` is its place in the line
    (1 is next). A start that was collected is answered with the run that collects it.
    """

    execution_id: str = ""
    created: bool = True
    error: ErrorData | None = None
    closed: Closed | None = None
    status: str = ""
    position: int = 0


class StartReply(Struct, frozen=True):
    results: tuple[Started, ...]


class Report(Struct, frozen=True, omit_defaults=True):
    """What one attempt came to. Reports of one execution apply in their order: a fused chain is several in a row."""

    execution_id: str
    node_key: str
    attempt: int
    outcome: Outcome
    started_at: int = 0
    duration_us: int = 0
    worker: str = ""


class StepReport(Struct, frozen=True, omit_defaults=True):
    """A step inside a node run was done."""

    execution_id: str
    node_key: str
    attempt: int
    step: Stepped
    worker: str = ""


class StartedNode(Struct, frozen=True, omit_defaults=True):
    """A worker took up a node that has a timeout. `beats`: it will send heartbeats, and asks for the latest one."""

    execution_id: str
    node_key: str
    attempt: int
    worker: str = ""
    beats: bool = False


class CompleteBatch(Struct, frozen=True, omit_defaults=True):
    """`capacity` is how many of the executions' next tasks the worker takes along in the reply (eager continuation).
    `keeps` are executions whose big states the worker has, and up to which version."""

    reports: tuple[Report, ...] = ()
    started: tuple[StartedNode, ...] = ()
    worker: str = ""
    capacity: int = 0
    queues: tuple[str, ...] = ("default",)
    keeps: dict[str, int] = {}
    steps: tuple[StepReport, ...] = ()


class Recorded(Struct, frozen=True, omit_defaults=True):
    """Per report: was it recorded? A late, doubled or fenced one is not; that is no error."""

    recorded: bool = True
    error: ErrorData | None = None


class CompleteReply(Struct, frozen=True, omit_defaults=True):
    """`beats` are heartbeats that earlier deliveries of the started attempts sent; `tails` what has come of states that
    the worker keeps."""

    results: tuple[Recorded, ...]
    next: tuple[Task, ...] = ()
    beats: tuple[LastBeat, ...] = ()
    tails: tuple[Tail, ...] = ()
    steps: tuple[Recorded, ...] = ()
    """Per step: was it recorded? Not where it was there already, or its attempt is over."""


class Beat(Struct, frozen=True, omit_defaults=True):
    """A heartbeat of a node run: it lives, and the next one is due within `timeout` ms. `details` null: as before."""

    execution_id: str
    node_key: str
    attempt: int
    timeout: int
    details: Any = None


class BeatBatch(Struct, frozen=True, omit_defaults=True):
    """The heartbeats of a worker."""

    beats: tuple[Beat, ...]
    worker: str = ""


class BeatReply(Struct, frozen=True, omit_defaults=True):
    """Attempts that are no longer wanted (timed out, cancelled, overtaken): stop them."""

    gone: tuple[TaskRef, ...] = ()


class LastBeat(Struct, frozen=True, omit_defaults=True):
    """The latest heartbeat of an attempt under way. `at` is ms since the epoch."""

    execution_id: str
    node_key: str
    attempt: int
    at: int
    details: Any = None


class DueTimer(Struct, frozen=True, omit_defaults=True):
    execution_id: str
    timer_id: str
    due_at: int


class FireBatch(Struct, frozen=True):
    timers: tuple[DueTimer, ...]


class FireReply(Struct, frozen=True, omit_defaults=True):
    """How many timers led to events. The others had been overtaken and are gone too."""

    fired: int
    failed: tuple[str, ...] = ()


class ControlRequest(Struct, frozen=True, omit_defaults=True):
    """A control verb on one run: ``cancel``, ``terminate``, ``retry``, ``pause``, ``resume``, or ``delete`` for one
    that is over."""

    execution_id: str
    workspace_id: str
    verb: str
    actor: str = ""
    reason: str = ""


class SignalRequest(Struct, frozen=True, omit_defaults=True):
    """An event for one run. `signal_id` makes a second delivery the same one."""

    execution_id: str
    workspace_id: str
    signal_id: str
    name: str
    key: str = ""
    payload: Any = None
    actor: str = ""


class PublishRequest(Struct, frozen=True, omit_defaults=True):
    """An event for whichever runs of the workspace wait for it; kept for `keep` seconds where none does yet."""

    workspace_id: str
    event_id: str
    name: str
    key: str = ""
    payload: Any = None
    actor: str = ""
    keep: int = 86_400


class PublishReply(Struct, frozen=True):
    """The runs that took it; none means that it is kept."""

    execution_ids: tuple[str, ...]


class DecideRequest(Struct, frozen=True, omit_defaults=True):
    """A person's decision on an approval: ``approved`` or ``rejected``. `names` are what assignees may call him; ``*``
    is everybody's."""

    execution_id: str
    workspace_id: str
    node_key: str
    decision: str
    payload: Any = None
    actor: str = ""
    comment: str = ""
    names: tuple[str, ...] = ()


class ApprovalsRequest(Struct, frozen=True, omit_defaults=True):
    """Open approvals, the newest runs first. The next page starts after `before` and `after_node`: the last
    approval's execution id and node key. `assignees`: that ask one of these; `text` is in the title; `due_before`: ms.
    """

    workspace_id: str
    workflow_id: str = ""
    before: str = ""
    after_node: str = ""
    limit: int = 20
    assignees: tuple[str, ...] = ()
    text: str = ""
    due_before: int = 0


class Approval(Struct, frozen=True, omit_defaults=True):
    """An approval that waits for somebody. Times are ms since the epoch, 0 means none."""

    execution_id: str
    workflow_id: str
    node_key: str
    attempt: int
    requested_at: int
    title: str
    description: str = ""
    payload: Any = None
    assignees: tuple[str, ...] = ()
    due_at: int = 0
    only_assignees: bool = False


class ApprovalsReply(Struct, frozen=True):
    approvals: tuple[Approval, ...]


class ControlReply(Struct, frozen=True):
    status: str


class DescribeRequest(Struct, frozen=True, omit_defaults=True):
    """Several runs at once; unknown or foreign ones are absent from the reply. `in_full`: with all that is beside the
    rows, too."""

    execution_ids: tuple[str, ...]
    workspace_id: str
    with_state: bool = False
    in_full: bool = False


class Execution(Struct, frozen=True, omit_defaults=True):
    """A run as rows tell it. Times are ms since the epoch, 0 means not yet.

    `parent_id` is the run that waits for it, or in the mode ``error`` the one whose failure it answers; `error_runs`
    are those that answered failures of this one.
    """

    id: str
    workspace_id: str
    workflow_id: str
    workflow_version: int
    status: str
    mode: str
    version: int
    started_at: int
    closed_at: int = 0
    parent_id: str = ""
    state: msgspec.Raw = NO_STATE
    beats: tuple[LastBeat, ...] = ()
    error_runs: tuple[str, ...] = ()
    position: int = 0
    """Its place among those that wait for a slot, 1 is next; told by `describe` alone."""
    attributes: dict[str, Any] = {}
    """What its workflow says it is found by; told by `list`, and by `describe` in full, as the error is."""
    error: dict[str, Any] | None = None
    """Why it ended so: ``code``, ``message``, ``node``."""
    environment: str = ""


class DescribeReply(Struct, frozen=True, omit_defaults=True):
    """`next`: a search has looked at many runs, and goes on below this id."""

    executions: tuple[Execution, ...]
    next: str = ""


class ListRequest(Struct, frozen=True, omit_defaults=True):
    """Newest first. `before` is the id after which the next page starts."""

    workspace_id: str
    workflow_id: str = ""
    status: str = ""
    mode: str = ""
    before: str = ""
    limit: int = 20
    source_id: str = ""
    """Only forks and reruns of this run."""
    filter: RunFilter | None = None


class HistoryRequest(Struct, frozen=True, omit_defaults=True):
    """Events with an id above `after`, at most about `limit` of them."""

    execution_id: str
    workspace_id: str
    after: int = 0
    limit: int = 1000


class HistoryReply(Struct, frozen=True):
    """`events` is a JSON array; `last` the id of its last event, `more` whether there are further ones."""

    events: msgspec.Raw
    last: int
    more: bool = False


class PayloadsRequest(Struct, frozen=True):
    """Payloads that are kept outside of their runs' rows, by the keys in references."""

    workspace_id: str
    keys: tuple[str, ...]


class Payload(Struct, frozen=True):
    key: str
    data: msgspec.Raw


class PayloadsReply(Struct, frozen=True, omit_defaults=True):
    """Those that exist in the workspace. `more` where a reply could not carry all: ask again for the others."""

    found: tuple[Payload, ...]
    more: bool = False


class LoadRequest(Struct, frozen=True):
    """A worker asks for states that did not travel with their tasks."""

    execution_ids: tuple[str, ...]


class Loaded(Struct, frozen=True):
    execution_id: str
    state: msgspec.Raw


class LoadReply(Struct, frozen=True):
    """`more` where a reply could not carry all states that exist: ask again for the others."""

    states: tuple[Loaded, ...]
    more: bool = False


class DefinitionRequest(Struct, frozen=True):
    workflow_id: str
    version: int


class DefinitionReply(Struct, frozen=True):
    definition: msgspec.Raw


class ReachRequest(Struct, frozen=True):
    """A worker asks what a workspace's nodes may reach."""

    workspace_id: str


class ReachReply(Struct, frozen=True, omit_defaults=True):
    """`policy` is None where it forbids nothing."""

    reach: Reach
    policy: Policy | None = None


class TouchRequest(Struct, frozen=True):
    """A worker still has these tasks, which came to it in a reply and not through Matching."""

    tasks: tuple[TaskRef, ...]
    worker: str


class TouchReply(Struct, frozen=True):
    """Tasks that are no longer wanted (cancelled, overtaken): stop them."""

    gone: tuple[TaskRef, ...] = ()


class SweepRequest(Struct, frozen=True, omit_defaults=True):
    """Offer again what may have been lost between a commit and its push, and forget kept events whose time is over."""

    limit: int = 1000
    purge: bool = False
    """Nothing of that: go on with purging workspaces that were deleted."""


class SweepReply(Struct, frozen=True, omit_defaults=True):
    """How many of each; `events` are kept ones that found their wait, `forgotten` those that nobody took in time,
    `admitted` runs that were let in where the word of a free slot was lost."""

    tasks: int
    messages: int
    events: int = 0
    forgotten: int = 0
    admitted: int = 0
    bulk: int = 0
    """Runs that bulk operations saw to; there may be more of them."""


class HistoryApi(Protocol):
    """Event sourcing: decide, append, hand on."""

    async def start(self, request: StartBatch) -> StartReply: ...
    async def complete(self, request: CompleteBatch) -> CompleteReply: ...
    async def fire(self, request: FireBatch) -> FireReply: ...
    async def control(self, request: ControlRequest) -> ControlReply: ...
    async def fork(self, request: ForkRequest) -> ForkReply: ...
    async def bulk(self, request: BulkRequest) -> BulkReply: ...
    async def bulks(self, request: BulksRequest) -> BulksReply: ...
    async def signal(self, request: SignalRequest) -> ControlReply: ...
    async def publish(self, request: PublishRequest) -> PublishReply: ...
    async def decide(self, request: DecideRequest) -> ControlReply: ...
    async def approvals(self, request: ApprovalsRequest) -> ApprovalsReply: ...
    async def describe(self, request: DescribeRequest) -> DescribeReply: ...
    async def list(self, request: ListRequest) -> DescribeReply: ...
    async def history(self, request: HistoryRequest) -> HistoryReply: ...
    async def payloads(self, request: PayloadsRequest) -> PayloadsReply: ...
    async def usage(self, request: UsageRequest) -> UsageReply: ...
    async def load(self, request: LoadRequest) -> LoadReply: ...
    async def definition(self, request: DefinitionRequest) -> DefinitionReply: ...
    async def reach(self, request: ReachRequest) -> ReachReply: ...
    async def secrets(self, request: SecretsRequest) -> SecretsReply: ...
    async def tokens(self, request: TokensRequest) -> TokensReply: ...
    async def touch(self, request: TouchRequest) -> TouchReply: ...
    async def beat(self, request: BeatBatch) -> BeatReply: ...
    async def sweep(self, request: SweepRequest) -> SweepReply: ...

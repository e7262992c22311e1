"""Frontend: the execution plane's one entrance. Permissions, rate limits, and the way to History and Matching."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct

from linkflow.domain.trial import Trial

from .controlling import BulkReply, BulkRequest, BulksReply, BulksRequest, ForkReply, ForkRequest
from .history import (
    ApprovalsReply,
    ApprovalsRequest,
    ControlReply,
    ControlRequest,
    DecideRequest,
    DescribeReply,
    DescribeRequest,
    HistoryReply,
    HistoryRequest,
    ListRequest,
    PayloadsReply,
    PayloadsRequest,
    PublishReply,
    PublishRequest,
    SignalRequest,
)
from .matching import (
    ConfigureRequest,
    DeadReply,
    DeadRequest,
    DropReply,
    DropRequest,
    LettersRequest,
    QueueSettings,
    QueuesReply,
    QueuesRequest,
    SettingsRequest,
    StatsReply,
    StatsRequest,
)
from .usage import UsageReply, UsageRequest


class RunRequest(Struct, frozen=True, omit_defaults=True):
    """Start a run of a workflow version. `wait` > 0: answer when it closed, or after so many seconds.

    `execution_id` may be given to make a repeated call the same start; else one is made. `environment` is where it
    runs, empty for production; the version is for the caller to choose.
    """

    workspace_id: str
    workflow_id: str
    workflow_version: int
    trigger_node: str
    trigger: Any = None
    mode: str = "api"
    actor: str = ""
    idempotency_key: str = ""
    on_conflict: str = "return_existing"
    execution_id: str = ""
    wait: float = 0.0
    trial: Trial | None = None
    environment: str = ""


class RunReply(Struct, frozen=True, omit_defaults=True):
    """`closed` is true where the run ended within the wait; then `status` and `result` or `error` say how.

    `answered` is true where a respond node gave the answer. `position` is the place of a run that waits for a slot.
    """

    execution_id: str
    created: bool = True
    closed: bool = False
    status: str = "running"
    result: Any = None
    error: dict[str, Any] | None = None
    answered: bool = False
    position: int = 0


class RedriveRequest(Struct, frozen=True, omit_defaults=True):
    """Let the run of a dead letter go on."""

    workspace_id: str
    id: str
    actor: str = ""


class RedriveReply(Struct, frozen=True):
    """The run, its status now, and how many dead letters of it are done with."""

    execution_id: str
    status: str
    dropped: int


class FrontendApi(Protocol):
    """What the control plane may ask of the execution plane."""

    async def run(self, request: RunRequest) -> RunReply: ...
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
    async def stats(self, request: StatsRequest) -> StatsReply: ...
    async def dead(self, request: DeadRequest) -> DeadReply: ...
    async def letters(self, request: LettersRequest) -> DeadReply: ...
    async def drop(self, request: DropRequest) -> DropReply: ...
    async def redrive(self, request: RedriveRequest) -> RedriveReply: ...
    async def settings(self, request: SettingsRequest) -> QueueSettings: ...
    async def configure(self, request: ConfigureRequest) -> QueueSettings: ...
    async def queues(self, request: QueuesRequest) -> QueuesReply: ...

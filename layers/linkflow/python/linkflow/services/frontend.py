"""Frontend: the execution plane's one entrance. Rights, rate limits, and the way to History and Matching.

Rights of a workspace: ``workflow.execute`` for what moves a run, ``execution.view`` for what reads,
``execution.delete`` for `drop`. Task queues are shared by all workspaces, so their numbers and the dead letters of all
need ``queue.view``, a right of operators, as ``queue.configure`` for their settings is. A workspace's own dead letters
are its own, and ``queue.limit`` lets it bound its own work in a queue.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Sequence
from contextvars import Context
from typing import Any, TypeVar

import msgspec

from linkflow.config import Config
from linkflow.contracts.base import caller
from linkflow.contracts.controlling import BulkReply, BulkRequest, BulksReply, BulksRequest, ForkReply, ForkRequest
from linkflow.contracts.frontend import RedriveReply, RedriveRequest, RunReply, RunRequest
from linkflow.contracts.history import (
    ApprovalsReply,
    ApprovalsRequest,
    Closed,
    ControlReply,
    ControlRequest,
    DecideRequest,
    DescribeReply,
    DescribeRequest,
    HistoryApi,
    HistoryReply,
    HistoryRequest,
    ListRequest,
    PayloadsReply,
    PayloadsRequest,
    PublishReply,
    PublishRequest,
    SignalRequest,
    Started,
    StartRequest,
)
from linkflow.contracts.matching import (
    ConfigureRequest,
    DeadReply,
    DeadRequest,
    DropReply,
    DropRequest,
    LettersRequest,
    MatchingApi,
    QueueSettings,
    QueuesReply,
    QueuesRequest,
    SettingsRequest,
    StatsReply,
    StatsRequest,
)
from linkflow.contracts.usage import UsageReply, UsageRequest
from linkflow.domain.errors import InvalidInput, NotFound, Unavailable
from linkflow.domain.ids import execution_id, is_uuid, shard_of_workflow
from linkflow.domain.payloads import references, refuse_reserved
from linkflow.domain.state import CLOSED
from linkflow.ports import Clock, Doorbell, RateLimiter

from .inbox import Inbox
from .payloads import expand, fetch_all
from .quota import Quota
from .starts import StartBatcher

FIRST_LOOK = 1.0
"""Seconds until a waiting start asks History itself: the price of a lost ring."""
NEXT_LOOK = 2.0
MAX_ANSWER = 4 * 1024 * 1024
"""Bytes of kept payloads in one answer: any transport carries it."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class _State(msgspec.Struct, frozen=True):
    """What a waiting start reads of an execution's state."""

    status: str
    result: Any = None
    error: dict[str, Any] | None = None
    answered: bool = False


class Frontend:
    """Serves `FrontendApi`. Every method may raise `Forbidden`, `NotFound` (also for another tenant's things),
    `RateLimited` with ``details["retry_after"]`` in seconds, and `Unavailable`."""

    def __init__(
        self,
        history: HistoryApi,
        matching: MatchingApi,
        limiter: RateLimiter,
        doorbell: Doorbell,
        clock: Clock,
        config: Config,
    ) -> None:
        self._history = history
        self._matching = matching
        self._clock = clock
        self._quota = Quota(limiter, clock, config.rate_limit)
        self._starts = StartBatcher(history)
        self._inbox = Inbox(doorbell, f"inbox:{clock.rand_bits(64):016x}")
        self._state = msgspec.json.Decoder(_State | None)

    async def run(self, request: RunRequest) -> RunReply:
        """Start a run and, with `wait`, answer when it closed, when a respond node has answered (then it may still be
        running), or when the wait is over, whichever is first.

        Raises `NotFound` for an unknown workflow version, `Conflict` for an idempotency key that is taken where
        `on_conflict` is ``reject``, `InvalidInput` for an execution id that is no UUID.
        """
        await self._enter("workflow.execute", request.workspace_id)
        refuse_reserved(request.trigger, "" if request.mode == "webhook" else "/input")
        if request.trial is not None:
            refuse_reserved(msgspec.to_builtins(request.trial), "/mocks")
        start = self._start_request(request)
        if request.wait <= 0:
            started = await self._starts.start(start)
            return _reply(started, started.execution_id or start.execution_id)
        return await self._run_and_wait(request, start)

    async def control(self, request: ControlRequest) -> ControlReply:
        """Cancel, terminate, retry, pause, resume or delete a run."""
        await self._enter(_needed(request.verb), request.workspace_id)
        _known_form(request.execution_id)
        return await _as_service(self._history.control(request))  # a retry's tasks go to Matching from there

    async def fork(self, request: ForkRequest) -> ForkReply:
        """A new run from an old one. Raises `InvalidInput` for what cannot be forked so."""
        await self._enter("workflow.execute", request.workspace_id)
        _known_form(request.execution_id)
        if request.trial is not None:
            refuse_reserved(msgspec.to_builtins(request.trial), "/mocks")
        return await _as_service(self._history.fork(request))

    async def bulk(self, request: BulkRequest) -> BulkReply:
        """Begin a verb upon many runs, or count them."""
        await self._enter(_needed(request.verb), request.workspace_id)
        return await _as_service(self._history.bulk(request))

    async def bulks(self, request: BulksRequest) -> BulksReply:
        """Bulk operations as they stand, or the cancel of one."""
        await self._enter("workflow.execute" if request.cancel else "execution.view", request.workspace_id)
        return await _as_service(self._history.bulks(request))

    async def signal(self, request: SignalRequest) -> ControlReply:
        """An event for one run, which takes or keeps it."""
        await self._enter("workflow.execute", request.workspace_id)
        _known_form(request.execution_id)
        refuse_reserved(request.payload, "/payload")
        return await _as_service(self._history.signal(request))

    async def publish(self, request: PublishRequest) -> PublishReply:
        """An event for the runs of a workspace that wait for it, or will."""
        await self._enter("workflow.execute", request.workspace_id)
        refuse_reserved(request.payload, "/data")
        return await _as_service(self._history.publish(request))

    async def decide(self, request: DecideRequest) -> ControlReply:
        """Somebody's decision on an approval. Raises `Conflict` where it is not open any more."""
        await self._enter("workflow.execute", request.workspace_id)
        _known_form(request.execution_id)
        refuse_reserved(request.payload, "/payload")
        return await _as_service(self._history.decide(request))

    async def approvals(self, request: ApprovalsRequest) -> ApprovalsReply:
        """A page of a workspace's open approvals."""
        await self._enter("execution.view", request.workspace_id)
        return await self._history.approvals(request)

    async def describe(self, request: DescribeRequest) -> DescribeReply:
        """Runs as they stand. One unknown run raises `NotFound`; of several, the unknown ones are absent."""
        await self._enter("execution.view", request.workspace_id)
        known = tuple(id for id in request.execution_ids if is_uuid(id))
        reply = DescribeReply(())
        if known:
            reply = await self._history.describe(msgspec.structs.replace(request, execution_ids=known))
        if len(request.execution_ids) == 1 and not reply.executions:
            raise _unknown(request.execution_ids[0])
        return reply

    async def list(self, request: ListRequest) -> DescribeReply:
        """A page of a workspace's runs, newest first."""
        await self._enter("execution.view", request.workspace_id)
        return await self._history.list(request)

    async def history(self, request: HistoryRequest) -> HistoryReply:
        """A run's events."""
        await self._enter("execution.view", request.workspace_id)
        _known_form(request.execution_id)
        reply = await self._history.history(request)
        if request.after == 0 and reply.last == 0:  # every run has a first event
            raise _unknown(request.execution_id)
        return reply

    async def payloads(self, request: PayloadsRequest) -> PayloadsReply:
        """What a workspace's references stand for; unknown keys, and another workspace's, are absent."""
        await self._enter("execution.view", request.workspace_id)
        return await self._history.payloads(request)

    async def usage(self, request: UsageRequest) -> UsageReply:
        """Statistics of a workspace's runs."""
        await self._enter("execution.view", request.workspace_id)
        return await self._history.usage(request)

    async def stats(self, request: StatsRequest) -> StatsReply:
        """The numbers of task queues."""
        caller().require("queue.view")
        return await _as_service(self._matching.stats(request))

    async def dead(self, request: DeadRequest) -> DeadReply:
        """The newest dead letters of a task queue."""
        caller().require("queue.view")
        return await _as_service(self._matching.dead(request))

    async def settings(self, request: SettingsRequest) -> QueueSettings:
        """A task queue's partitions, weights and rates."""
        caller().require("queue.view")
        return await _as_service(self._matching.settings(request))

    async def configure(self, request: ConfigureRequest) -> QueueSettings:
        """Change them: the operator all of them, a workspace the limits of its own work. Raises `InvalidInput`, and
        `LimitExceeded` where a workspace has too many."""
        if request.workspace_id:
            await self._enter("queue.limit", request.workspace_id)
        else:
            caller().require("queue.configure")
        return await _as_service(self._matching.configure(request))

    async def queues(self, request: QueuesRequest) -> QueuesReply:
        """Task queues with their numbers: all, or what a workspace may know of those it uses."""
        if request.workspace_id:
            await self._enter("execution.view", request.workspace_id)
        else:
            caller().require("queue.view")
        return await _as_service(self._matching.queues(request))

    async def letters(self, request: LettersRequest) -> DeadReply:
        """A workspace's dead letters. One unknown id raises `NotFound`; of several, the unknown ones are absent."""
        await self._enter("execution.view", request.workspace_id)
        reply = await _as_service(self._matching.letters(request))
        if len(request.ids) == 1 and not reply.letters:
            raise _no_letter()
        return reply

    async def drop(self, request: DropRequest) -> DropReply:
        """Forget dead letters; their runs stay failed. One unknown id raises `NotFound`."""
        await self._enter("execution.delete", request.workspace_id)
        reply = await _as_service(self._matching.drop(request))
        if len(request.ids) == 1 and not reply.dropped:
            raise _no_letter()
        return reply

    async def redrive(self, request: RedriveRequest) -> RedriveReply:
        """Let a dead letter's run go on. Its node has failed in the run's history, so this is a retry of the run's
        failed nodes, with new attempts; then all dead letters of the run are done with.

        Raises `NotFound`, and `Conflict` where the run is not failed (it went on by another way, or goes on): then the
        letter stays, to be dropped by whoever looks at it.
        """
        await self._enter("workflow.execute", request.workspace_id)
        wanted = LettersRequest(request.workspace_id, (request.id,))
        found = (await _as_service(self._matching.letters(wanted))).letters
        if not found:
            raise _no_letter()
        run = found[0].task.execution_id
        retry = ControlRequest(run, request.workspace_id, "retry", request.actor, "Redriven from the dead letters.")
        status = (await _as_service(self._history.control(retry))).status
        gone = await _as_service(self._matching.drop(DropRequest(request.workspace_id, execution_id=run)))
        return RedriveReply(run, status, gone.dropped)

    async def close(self) -> None:
        """Stop listening to the inbox."""
        await self._inbox.close()

    async def _enter(self, permission: str, workspace_id: str) -> None:
        caller().require(permission, workspace_id)
        await self._quota.take(workspace_id)

    def _start_request(self, request: RunRequest) -> StartRequest:
        id = request.execution_id
        if id and not is_uuid(id):
            raise InvalidInput(f"{id!r} cannot be an execution's id: give a UUIDv7, or none and one is made.")
        if not id:
            shard = shard_of_workflow(request.workflow_id)
            id = execution_id(self._clock.now_ms(), shard, self._clock.rand_bits(62))
        return StartRequest(
            execution_id=id,
            workspace_id=request.workspace_id,
            workflow_id=request.workflow_id,
            workflow_version=request.workflow_version,
            trigger_node=request.trigger_node,
            trigger=request.trigger,
            mode=request.mode,
            actor=request.actor,
            idempotency_key=request.idempotency_key,
            on_conflict=request.on_conflict,
            reply_to=self._inbox.topic if request.wait > 0 else "",
            trial=request.trial,
            environment=request.environment,
        )

    async def _run_and_wait(self, request: RunRequest, start: StartRequest) -> RunReply:
        deadline = self._clock.now_ms() + round(request.wait * 1000)
        await self._inbox.open()
        with self._inbox.expect(start.execution_id) as ring:
            started = await self._starts.start(start)
            id = started.execution_id or start.execution_id
            if started.closed is not None:
                closed: Closed | None = started.closed
            elif id == start.execution_id and started.created:
                closed = await self._wait(id, request.workspace_id, ring, deadline, FIRST_LOOK)
            else:
                # The run was there: it may be over, and rings whoever started it, which may well be us.
                with self._inbox.expect(id) as other:
                    closed = await self._wait(id, request.workspace_id, other, deadline, 0.0)
        if closed is None:
            return _reply(await self._as_it_is_now(started, request.workspace_id), id)
        return RunReply(
            id,
            created=started.created,
            closed=closed.status in CLOSED,
            status=closed.status,
            result=await self._answer(request.workspace_id, closed.result),
            error=closed.error,
            answered=closed.answered,
        )

    async def _answer(self, workspace_id: str, result: Any) -> Any:
        """A result for somebody who waits: what is kept outside of the run comes along, up to `MAX_ANSWER` bytes."""
        if next(references(result), None) is None:
            return result

        async def fetch(keys: Sequence[str]) -> dict[str, Any]:
            found = await _as_service(fetch_all(self._history.payloads, workspace_id, keys))
            return {key: msgspec.json.decode(data) for key, data in found.items()}

        return (await expand(result, fetch, MAX_ANSWER)).value

    async def _as_it_is_now(self, started: Started, workspace_id: str) -> Started:
        """A run that was not let in at once may have been by now."""
        if not started.status:
            return started
        found = await _as_service(self._history.describe(DescribeRequest((started.execution_id,), workspace_id)))
        status, position = next(((run.status, run.position) for run in found.executions), (started.status, 0))
        return msgspec.structs.replace(started, status=status, position=position)

    async def _wait(
        self, id: str, workspace_id: str, ring: asyncio.Future[Closed], deadline: int, look_in: float
    ) -> Closed | None:
        """The notice of the run's end or answer, by ring or by looking; None when the deadline (ms) passed before."""
        while True:
            left = (deadline - self._clock.now_ms()) / 1000
            if await self._rings(ring, min(look_in, left)):
                return ring.result()
            closed = await self._look(id, workspace_id)
            if closed is not None or left <= look_in:
                return closed
            look_in = NEXT_LOOK if look_in else FIRST_LOOK

    async def _rings(self, ring: asyncio.Future[Closed], seconds: float) -> bool:
        """Wait for the ring, by our own clock."""
        if seconds > 0 and not ring.done():
            pause = asyncio.ensure_future(self._clock.sleep(seconds))
            try:
                either: set[asyncio.Future[Any]] = {ring, pause}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            finally:
                pause.cancel()
        return ring.done()

    async def _look(self, id: str, workspace_id: str) -> Closed | None:
        """How the run ended or what it answered, if it did. Where History is away now, the next look tells."""
        request = DescribeRequest((id,), workspace_id, with_state=True)
        try:
            reply = await _as_service(self._history.describe(request))
        except Unavailable as error:
            _log.info("Looking again for execution %s in a moment: %s", id, error)
            return None
        for execution in reply.executions:
            state = self._state.decode(execution.state)
            if state is not None and (state.status in CLOSED or state.answered):
                return Closed(id, state.status, state.result, state.error, state.answered)
        return None


async def _as_service(call: Coroutine[Any, Any, T]) -> T:
    """Make a call as this service: its caller has been checked here, and need not hold the other service's rights."""
    return await asyncio.create_task(call, context=Context())


def _reply(started: Started, id: str) -> RunReply:
    return RunReply(id, created=started.created, status=started.status or "running", position=started.position)


def _needed(verb: str) -> str:
    return "execution.delete" if verb == "delete" else "workflow.execute"


def _known_form(id: str) -> None:
    if not is_uuid(id):
        raise _unknown(id)


def _no_letter() -> NotFound:
    return NotFound("There is no such dead letter.")


def _unknown(id: str) -> NotFound:
    return NotFound(f"There is no execution {id}.")

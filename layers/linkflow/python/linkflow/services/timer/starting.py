"""Decide what becomes of due schedules, write that down, and start the runs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import msgspec

from linkflow.contracts.history import ControlRequest, HistoryApi, StartBatch, Started, StartRequest
from linkflow.domain import ids, schedules
from linkflow.domain.environments import trigger_of
from linkflow.domain.errors import Internal, InvalidInput, LinkFlowError, error_from
from linkflow.domain.firings import BY_SCHEDULE, SKIPPED, STARTED, Firing, Plan, Policy, plan
from linkflow.domain.timetable import Timetable
from linkflow.ports import Clock, Move, Schedule, TimerStore

from .lane import Sent

log = logging.getLogger(__name__)

_timetable = msgspec.json.Decoder(Timetable)


class Starting:
    """Decides, writes, starts, confirms.

    The decision is written behind a fence, so of two processes one decides, and its firings are the outbox: a start
    whose answer is lost is made again with the same execution id and idempotency key, and finds the run that is there.
    """

    def __init__(self, store: TimerStore, history: HistoryApi, clock: Clock) -> None:
        self._store, self._history, self._clock = store, history, clock

    async def send(self, due: Sequence[Schedule]) -> Sent[Schedule]:
        """Move schedules past now and start their runs; returns how many runs are new.

        Raises what History raises when the batch as a whole is refused for now: the outbox has it.
        """
        now = self._clock.now_ms()
        firings = await self._store.open_firings(due)
        planned = [(s, p) for s in due if (p := self._plan(s, firings.get((s.workflow_id, s.node_id), []), now))]
        moves = [Move(s, p.next_at, p.delay_ms, p.look_at, p.changed) for s, p in planned]
        won = await self._store.settle(moves)
        mine = [pair for pair, ok in zip(planned, won, strict=True) if ok]
        await self._stop(mine)
        return Sent(await self._start_all([pair for pair in mine if pair[1].starts]))

    def _plan(self, schedule: Schedule, firings: Sequence[Firing], now: int) -> Plan:
        """One that cannot be read can never fire: it stops, rather than fail for ever."""
        shard = ids.shard_of_workflow(schedule.workflow_id)
        policy = Policy(schedule.overlap, schedule.catch_up_window, schedule.catch_up)
        try:
            return plan(
                f"{schedule.workflow_id}/{schedule.node_id}", timetable_of(schedule), policy, schedule.next_at,
                schedule.delay_ms, firings, now, lambda: ids.execution_id(now, shard, self._clock.rand_bits(62)),
            )  # fmt: skip
        except (InvalidInput, msgspec.DecodeError) as error:
            log.error("schedule %s/%s is stopped: %s", schedule.workflow_id, schedule.node_id, error)
            return Plan(None, 0, None, None)

    async def _stop(self, planned: Sequence[tuple[Schedule, Plan]]) -> None:
        """Ask runs that are in the way to end. Whether they did, the next look tells."""
        for schedule, made in planned:
            for execution_id, verb in made.stops:
                request = ControlRequest(execution_id, schedule.workspace_id, verb, "schedule", "overlap")
                try:
                    await self._history.control(request)
                except LinkFlowError as error:
                    log.info("run %s did not take %s: %s", execution_id, verb, error.message)

    async def _start_all(self, planned: Sequence[tuple[Schedule, Plan]]) -> int:
        if not planned:
            return 0
        pairs = [(schedule, firing) for schedule, made in planned for firing in made.starts]
        results = iter(await self._start([start_of(schedule, firing) for schedule, firing in pairs]))
        created, moves = 0, []
        for schedule, made in planned:
            settled: list[Firing] = []
            look_at = made.rest_at
            for firing in made.starts:
                result = next(results)
                created += result.created and result.error is None
                became = _became(schedule, firing, result)
                if became is None:
                    look_at = min(firing.offer_at, look_at or firing.offer_at)
                else:
                    settled.append(became)
            moves.append(Move(schedule, made.next_at, made.delay_ms, look_at, tuple(settled)))
        await self._store.confirm(moves)
        return created

    async def _start(self, requests: list[StartRequest]) -> Sequence[Started]:
        try:
            return (await self._history.start(StartBatch(tuple(requests)))).results
        except LinkFlowError as error:
            if error.retryable or len(requests) == 1:
                raise
        results: list[Started] = []  # one of them spoils the batch: each alone
        for request in requests:
            try:
                results += (await self._history.start(StartBatch((request,)))).results
            except LinkFlowError as error:
                if error.retryable:
                    raise
                results.append(Started(error=error.to_data()))
        return results


def timetable_of(schedule: Schedule) -> Timetable:
    """Raises `msgspec.DecodeError` where it cannot be read."""
    if schedule.timetable:
        return _timetable.decode(schedule.timetable)
    return Timetable(schedule.cron, timezone=schedule.timezone, ends_at=schedule.ends_at or 0)


def _became(schedule: Schedule, firing: Firing, result: Started) -> Firing | None:
    """None where the start is to be tried again. One that is refused for good (a limit, a workflow that is gone) is
    skipped, so that the next one comes."""
    if result.error is None:
        execution = result.execution_id or firing.execution_id
        return msgspec.structs.replace(firing, outcome=STARTED, execution_id=execution)
    error = error_from(result.error)
    again = error.retryable or isinstance(error, Internal)
    log.warning(
        "schedule %s/%s did not start (%s: %s)%s",
        schedule.workflow_id, schedule.node_id, error.code, error.message, "" if again else "; this run is skipped",
    )  # fmt: skip
    if again:
        return None
    reason = f"refused: {error.code}: {error.message}"[:500]
    return msgspec.structs.replace(firing, outcome=SKIPPED, reason=reason, execution_id="", open=False)


def start_of(schedule: Schedule, firing: Firing) -> StartRequest:
    """What starts the run of a firing."""
    key = f"schedule:{schedule.node_id}:{firing.due_at}"
    node_id, environment = trigger_of(schedule.node_id)
    trigger = {
        "scheduled_at": schedules.local_time(firing.due_at, schedule.timezone),
        "fired_at": schedules.local_time(firing.at, schedule.timezone, "milliseconds"),
        "cron": schedule.cron,
        "timezone": schedule.timezone,
        "missed": firing.missed,
    }
    if firing.cause != BY_SCHEDULE:
        key, trigger["cause"] = f"{key}:{firing.cause}", firing.cause.partition(":")[0]
    return StartRequest(
        execution_id=firing.execution_id,
        workspace_id=schedule.workspace_id,
        workflow_id=schedule.workflow_id,
        workflow_version=schedule.workflow_version,
        trigger_node=node_id,
        trigger=trigger,
        mode="schedule",
        actor="schedule",
        idempotency_key=key,
        environment=environment,
    )


def schedule_key(schedule: Schedule) -> tuple[str, str, int, int]:
    """With the due time and the revision: every pass is one of its own."""
    return schedule.workflow_id, schedule.node_id, schedule.due_at, schedule.revision

"""Start the runs of due schedules, and move the schedules on."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from linkflow.contracts.history import HistoryApi, StartBatch, Started, StartRequest
from linkflow.domain import ids, schedules
from linkflow.domain.errors import Internal, InvalidInput, LinkFlowError, error_from
from linkflow.ports import Clock, Schedule, TimerStore

from .lane import Sent

log = logging.getLogger(__name__)


class Starting:
    """Starts, then advances.

    A crash between the two is harmless: the idempotency key is the due time that was read, so whoever reads the
    schedule again, or at the same time, finds the run that is there.
    """

    def __init__(self, store: TimerStore, history: HistoryApi, clock: Clock) -> None:
        self._store, self._history, self._clock = store, history, clock

    async def send(self, due: Sequence[Schedule]) -> Sent[Schedule]:
        """Start one run for each schedule, for its latest missed time, and advance it past now.

        Raises what History raises when the batch as a whole is refused for now.
        """
        now = self._clock.now_ms()
        requests: list[tuple[Schedule, StartRequest]] = []
        for schedule in due:
            try:
                requests.append((schedule, self._request(schedule, now)))
            except InvalidInput as error:
                await self._retire(schedule, error)
        if not requests:
            return Sent(0)
        created, failed = 0, []
        for (schedule, _), result in zip(requests, await self._start([r for _, r in requests]), strict=True):
            if self._try_again(schedule, result):
                failed.append(schedule)
                continue
            created += result.created and result.error is None
            # Past the same now that the run was made for: a fire in between would be lost without a trace.
            await self._store.advance(schedule, schedules.next_fire(schedule.cron, schedule.timezone, now))
        return Sent(created, failed)

    def _request(self, schedule: Schedule, now: int) -> StartRequest:
        at, missed = schedules.catch_up(schedule.cron, schedule.timezone, schedule.due_at, now)
        shard = ids.shard_of_workflow(schedule.workflow_id)
        return StartRequest(
            execution_id=ids.execution_id(now, shard, self._clock.rand_bits(62)),
            workspace_id=schedule.workspace_id,
            workflow_id=schedule.workflow_id,
            workflow_version=schedule.workflow_version,
            trigger_node=schedule.node_id,
            trigger={
                "scheduled_at": schedules.local_time(at, schedule.timezone),
                "fired_at": schedules.local_time(now, schedule.timezone, "milliseconds"),
                "cron": schedule.cron,
                "timezone": schedule.timezone,
                "missed": missed,
            },
            mode="schedule",
            actor="schedule",
            idempotency_key=f"schedule:{schedule.node_id}:{schedule.due_at}",
        )

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

    @staticmethod
    def _try_again(schedule: Schedule, result: Started) -> bool:
        """A run that is refused for good (a limit, a workflow that is gone) is skipped, so that the next one comes."""
        if result.error is None:
            return False
        error = error_from(result.error)
        again = error.retryable or isinstance(error, Internal)
        log.warning(
            "schedule %s/%s did not start (%s: %s)%s",
            schedule.workflow_id, schedule.node_id, error.code, error.message, "" if again else "; this run is skipped",
        )  # fmt: skip
        return again

    async def _retire(self, schedule: Schedule, error: InvalidInput) -> None:
        """It cannot be read, so it can never fire: stop it, rather than fail for ever."""
        log.error("schedule %s/%s is stopped: %s", schedule.workflow_id, schedule.node_id, error.message)
        await self._store.advance(schedule, None)


def schedule_key(schedule: Schedule) -> tuple[str, str, int]:
    """With the due time: every fire is one of its own."""
    return schedule.workflow_id, schedule.node_id, schedule.due_at

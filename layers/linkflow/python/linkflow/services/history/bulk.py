"""Verbs upon many runs, a page at a time.

The runs are chosen when the operation begins. Whoever sees to a page takes the operation for a while; if he falls, the
sweep goes on from the last page that was counted. A page that is seen to twice does no harm: a run that took the verb
refuses it the second time, and what forks and reruns make has an id that follows from the operation and the source.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from linkflow.contracts.controlling import (
    Bulk,
    BulkError,
    BulkReply,
    BulkRequest,
    BulksReply,
    BulksRequest,
    ForkRequest,
)
from linkflow.contracts.history import ControlRequest, ListRequest, SignalRequest
from linkflow.domain.errors import Conflict, InvalidInput, LinkFlowError, NotFound, Problem
from linkflow.domain.ids import derived_id, is_uuid, shard_of_execution, uuid7
from linkflow.domain.payloads import refuse_reserved
from linkflow.domain.state import CANCELLING, CLOSED, COLLECTING, PAUSED, QUEUED, RUNNING
from linkflow.domain.waiting import name_fault
from linkflow.observability import logger
from linkflow.ports import BulkPage, BulkStore, Clock, EventStore

from .deleting import DELETE, Deleter
from .forker import FORKS, RERUN, Forker
from .lanes import Commits
from .verbs import VERBS
from .world import World

PAGE = 50
LEASE_MS = 60_000
"""For so long an operation is its worker's; a page takes far less."""
BRIEFLY = 2.0
"""Seconds that a sweep gives to bulk operations."""
MAX_RUNS = 100_000
MAX_ERRORS = 20
SIGNAL, RETRY, REDRIVE = "signal", "retry", "redrive"
VERBS_OF_MANY = (*VERBS, *FORKS, SIGNAL, DELETE, REDRIVE)
DONE, SKIPPED = "done", "skipped"
STATUSES = (RUNNING, PAUSED, CANCELLING, QUEUED, COLLECTING, *CLOSED)


Forget = Callable[[str, str], Awaitable[object]]


class BulkWork:
    """Begins operations and works them off."""

    def __init__(
        self, store: EventStore, committer: Commits, forker: Forker, world: World, clock: Clock,
        deleter: Deleter | None = None, forget: Forget | None = None, page: int = PAGE,
    ) -> None:  # fmt: skip
        """`forget` drops a run's dead letters (workspace, run)."""
        self._store: EventStore = store
        self._bulks: BulkStore = store
        self._committer = committer
        self._forker = forker
        self._world = world
        self._clock = clock
        self._deleter = deleter
        self._forget = forget
        self._page = page
        self._paused = False
        self._owner = f"{clock.rand_bits(64):016x}"
        self._working = asyncio.Lock()

    @contextmanager
    def pausing(self) -> Iterator[None]:
        """Whoever works stops after his page."""
        self._paused = True
        try:
            yield
        finally:
            self._paused = False

    async def begin(self, request: BulkRequest) -> BulkReply:
        """Choose the runs; `work` does the rest. A dry run counts them."""
        _check(request)
        chosen = await self._chosen(request)
        if request.dry_run:
            count = len(chosen) if chosen is not None else await self._bulks.count_runs(request)
            return BulkReply(min(count, request.limit), count > request.limit)
        now = self._clock.now_ms()
        id = request.id or uuid7(now, self._clock.rand_bits(12), self._clock.rand_bits(62))
        await self._bulks.begin_bulk(id, request, now, now + LEASE_MS, self._owner, chosen)
        bulk = await self._one(request.workspace_id, id)
        return BulkReply(bulk.total, bulk.more, bulk)

    async def _chosen(self, request: BulkRequest) -> list[str] | None:
        """What a search finds, one more than the limit; None where the rows alone tell which runs fit."""
        given = request.filter
        if given.more is None:
            return None
        asked = replace(given.more, started_after=given.started_after, started_before=given.started_before)
        found: list[str] = []
        before = ""
        wanted, ids = set(given.status), set(given.ids)
        status = given.status[0] if len(wanted) == 1 else ""
        while len(found) <= request.limit:
            page = await self._store.search(
                ListRequest(request.workspace_id, given.workflow_id, status, given.mode, before, PAGE, filter=asked)
            )
            found += [
                run.id for run in page.runs if (not wanted or run.status in wanted) and (not ids or run.id in ids)
            ]
            before = page.next
            if not before:
                break
        return found[: request.limit + 1]

    async def show(self, request: BulksRequest) -> BulksReply:
        """One operation, or a page of them; `cancel` stops one first. Raises `NotFound` and `Conflict`."""
        if not request.id:
            if request.before and not is_uuid(request.before):
                raise InvalidInput("A page starts after the id of an operation.")
            limit = max(1, min(request.limit, 200))
            return BulksReply(tuple(await self._bulks.bulks(request.workspace_id, "", request.before, limit)))
        stopped = request.cancel and await self._stop(request)
        bulk = await self._one(request.workspace_id, request.id)
        if request.cancel and not stopped:
            raise Conflict(f"This operation is {bulk.status} already.", details={"status": bulk.status})
        return BulksReply((bulk,))

    async def _stop(self, request: BulksRequest) -> bool:
        if not is_uuid(request.id):
            return False
        return await self._bulks.cancel_bulk(request.workspace_id, request.id, self._clock.now_ms())

    async def _one(self, workspace_id: str, id: str) -> Bulk:
        found = await self._bulks.bulks(workspace_id, id, "", 1) if is_uuid(id) else []
        if not found:
            raise NotFound("There is no such bulk operation.")
        return found[0]

    async def work(self, seconds: float | None = None) -> int:
        """See to pages until none is left, or the time is over; returns how many runs that were.

        Raises what the store raises: a page that is not counted is seen to again.
        """
        if self._working.locked():  # this process is at it
            return 0
        seen = 0
        async with self._working:
            deadline = None if seconds is None else self._clock.now_ms() + seconds * 1000
            while not self._paused and (deadline is None or self._clock.now_ms() < deadline):
                now = self._clock.now_ms()
                page = await self._bulks.claim_bulk(self._owner, now, now + LEASE_MS, self._page)
                if page is None:
                    return seen
                await self._see_to(page)
                seen += len(page.targets)
            await self._bulks.release_bulks(self._owner, self._clock.now_ms())
        return seen

    async def _see_to(self, page: BulkPage) -> None:
        targets: Sequence[str] = page.targets
        if page.verb in (RETRY, REDRIVE):
            targets = await self._failed_before(page)
        came = await asyncio.gather(*(self._act(page, id) for id in targets))
        later = [found for found in came if isinstance(found, LinkFlowError)]
        if later and len(later) == len(targets):
            raise later[0]  # nothing goes on now; one that alone cannot is among the errors
        errors = [_error(id, found) for id, found in zip(targets, came, strict=True) if not isinstance(found, str)]
        skipped = came.count(SKIPPED) + len(page.targets) - len(targets)
        now = self._clock.now_ms()
        kept = (*page.errors, *errors)[:MAX_ERRORS]
        await self._bulks.advance_bulk(page, came.count(DONE), skipped, kept, now, now + LEASE_MS)

    async def _failed_before(self, page: BulkPage) -> list[str]:
        """A run that failed again after this operation retried it is not retried again."""
        found = await self._store.describe(page.targets, page.workspace_id, False)
        return [run.id for run in found if run.status == "failed" and run.closed_at <= page.created_at]

    async def _act(self, page: BulkPage, id: str) -> str | Exception:
        try:
            return await self._apply(page, id)
        except Conflict as error:
            return error if error.retryable else SKIPPED
        except LinkFlowError as error:
            return error if error.retryable else Refused(error)
        except Exception as error:  # one broken run is not the others' business
            logger.exception("A bulk operation met a broken run", extra={"execution_id": id})
            return error

    async def _apply(self, page: BulkPage, id: str) -> str:
        options = page.options
        if page.verb in VERBS:
            request = ControlRequest(id, page.workspace_id, page.verb, page.actor, options.reason)
            written = await self._committer.apply(id, [VERBS[page.verb](request)])
            return DONE if written.decision.accepted[0] else SKIPPED
        if page.verb == REDRIVE:
            # Letters first: if we fall in between, the page is seen to again and finds the run still failed.
            if self._forget is not None:
                await self._forget(page.workspace_id, id)
            retry = ControlRequest(id, page.workspace_id, RETRY, page.actor, options.reason)
            written = await self._committer.apply(id, [VERBS[RETRY](retry)])
            return DONE if written.decision.accepted[0] else SKIPPED
        if page.verb == DELETE and self._deleter is not None:
            return DONE if await self._deleter.delete(id, page.workspace_id) else SKIPPED
        if page.verb == SIGNAL:
            signal = SignalRequest(
                id, page.workspace_id, f"bulk:{page.id}", options.name, options.key, options.payload, page.actor
            )
            await self._world.signal(signal)
            return DONE
        new_id = derived_id(f"{page.id}/{id}", page.created_at, shard_of_execution(id))
        fork = ForkRequest(
            id, page.workspace_id, page.verb, options.node, options.edited, options.input, options.version,
            actor=page.actor, reason=options.reason, new_id=new_id,
        )  # fmt: skip
        await self._forker.fork(fork)
        return DONE


class Refused(Exception):
    """A run's own fault: trying again would not help."""

    def __init__(self, error: LinkFlowError) -> None:
        super().__init__(error.message)
        self.code = error.code


def _error(id: str, found: Exception) -> BulkError:
    if isinstance(found, LinkFlowError | Refused):
        return BulkError(id, found.code, str(found))
    return BulkError(id, "internal", f"This run could not be handled: {type(found).__name__}.")


def _check(request: BulkRequest) -> None:
    """Raises `InvalidInput` with all that is wrong."""
    chosen, options = request.filter, request.options
    refuse_reserved(options.input, "/input")
    refuse_reserved(options.payload, "/payload")
    faults = []
    if request.verb not in VERBS_OF_MANY:
        faults.append(Problem("/verb", "unknown_verb", f"Use one of {', '.join(VERBS_OF_MANY)}."))
    if not 0 < request.limit <= MAX_RUNS:
        faults.append(Problem("/limit", "bad_limit", f"Give a number from 1 to {MAX_RUNS:,}."))
    if chosen.workflow_id and not is_uuid(chosen.workflow_id):
        faults.append(Problem("/filter/workflow_id", "bad_id", "Give the id of a workflow."))
    if not all(is_uuid(id) for id in chosen.ids):
        faults.append(Problem("/filter/ids", "bad_id", "Give ids of executions."))
    if set(chosen.status) - set(STATUSES):
        message = f"Use some of {', '.join(STATUSES)}."
        faults.append(Problem("/filter/status", "unknown_status", message))
    if request.verb in FORKS and request.verb != RERUN and not options.node:
        faults.append(Problem("/node", "missing", f"A {request.verb} needs the node to go on from."))
    if request.verb == SIGNAL:
        if not options.name:
            faults.append(Problem("/name", "missing", "A signal needs a name."))
        faults += [
            Problem(f"/{field}", "bad_name", f"A signal's {field} {fault}.")
            for field, text in (("name", options.name), ("key", options.key))
            if (fault := name_fault(text))
        ]
    if faults:
        raise InvalidInput("This is no bulk operation: " + " ".join(f.message for f in faults), problems=faults)

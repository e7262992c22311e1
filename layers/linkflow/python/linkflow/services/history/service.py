"""The History service over its contract: parse, hand to the committer, hand on what a commit led to."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

import msgspec

from linkflow import tracing
from linkflow.config import Config
from linkflow.contracts import history as h
from linkflow.contracts.base import caller
from linkflow.contracts.controlling import BulkReply, BulkRequest, BulksReply, BulksRequest, ForkReply, ForkRequest
from linkflow.contracts.matching import DropRequest, MatchingApi
from linkflow.contracts.secrets import SecretsReply, SecretsRequest, TokensReply, TokensRequest
from linkflow.contracts.usage import MANY, UsageReply, UsageRequest
from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.errors import Conflict, InvalidInput, LinkFlowError, NotFound, Unavailable
from linkflow.domain.evolve import error_data
from linkflow.domain.ids import is_uuid
from linkflow.domain.reach import Reach
from linkflow.domain.state import QUEUED, State
from linkflow.domain.timing import ENTER, parse_timer
from linkflow.domain.upcasting import current
from linkflow.metrics import EVENTS
from linkflow.ports import (
    Ahead,
    Audience,
    Blobs,
    Clock,
    Doorbell,
    EventStore,
    PolicyBook,
    PurgeStore,
    ReachBook,
    RuleBook,
    Transition,
)  # fmt: skip
from linkflow.services.payloads import Payloads

from .admission import Admission
from .backlog import Backlog
from .batch import Item, Written
from .beats import Beats
from .bulk import BRIEFLY, BulkWork
from .committer import Committer
from .deleting import DELETE, DELETED, Deleter
from .forker import Forker
from .guard import limits_of
from .holders import Holders
from .lanes import Commits, Lanes, check_shard
from .loading import load_encoded
from .messages import Messenger
from .notifying import Notifier
from .packing import Packer
from .plans import Plan, Plans
from .policing import Policing
from .purging import Purger
from .secrets import Secrets
from .takers import Takers
from .telling import Teller
from .traces import traced
from .upkeep import Sweeper, quietly
from .verbs import VERBS
from .world import World

TIMERS = "timers"
"""Doorbell topic: the due time (ms) of a timer that falls due soon."""

MAX_LOAD = 4 * 1024 * 1024
"""Bytes of states in one reply: any transport carries it."""

PAYLOADS_AT_ONCE = 16
"""Kept payloads that are read together."""

GATHERED = 2000
"""Tallies that are summed up for somebody who looks; the sweep sums up all."""

MESSAGES_DEEP = 4
"""How far messages that lead to messages are waited for before a reply on Lambda; the sweep tells the others."""

ON_CONFLICT = ("return_existing", "reject", "terminate_existing")
ENTERS = f"{ENTER}/"
BY_SCHEDULE = "schedule"

COMPLETE, VIEW, CONTROL = "history.complete", "execution.view", "workflow.execute"
ERASE = "execution.delete"


class History:
    """Implements `HistoryApi`."""

    def __init__(
        self, store: EventStore, matching: MatchingApi, doorbell: Doorbell, clock: Clock, config: Config,
        *, push_before_reply: bool = False, ahead: Ahead | None = None, blobs: Blobs | None = None,
        lane: Callable[[str], str] | None = None, reach: ReachBook | None = None,
        audience: Audience | None = None,
        secrets: Secrets | None = None,
        policies: PolicyBook | None = None,
        rules: RuleBook | None = None,
        purging: PurgeStore | None = None,
    ) -> None:  # fmt: skip
        """`push_before_reply` where the process may be frozen once it has answered (Lambda). `ahead` runs the pure
        front of a run before its first commit; without it, workers do. Without `blobs` payloads of any size stay in the
        rows. `lane` is the database of a run, where there are several. `reach` says what workspaces may reach,
        `policies` what their workflows may do, `secrets` what runs need of credentials and variables, `rules` who is
        told of what, `purging` has what is kept of workspaces that were deleted."""
        self._store = store
        self._matching = matching
        self._backlog = Backlog(matching, clock)
        self._doorbell = doorbell
        self._clock = clock
        self._config = config
        self._plans = Plans(store)
        self._payloads = Payloads(blobs) if blobs else None
        self._reach = reach
        self._secrets = secrets
        self._policing = policing = Policing(policies, store, self._plans, clock) if policies else None
        packer = Packer(self._payloads, config.blob_limit) if self._payloads else None

        notifier = Notifier(rules, store, clock, config.public_url, self._apart) if rules else None
        notice = notifier.attach if notifier else None

        def committer() -> Committer:
            values = secrets.variables if secrets else None
            limits = limits_of(config)
            return Committer(
                store, self._plans, clock, self._after, limits, ahead, packer, self._knock, values, policing, notice
            )

        self._committer: Commits = Lanes(lane, committer) if lane else committer()
        self._split = lane is not None
        self.remembered = self._committer.remembered
        """States for a worker in the same process: what it would decode is here already."""
        self._admission = Admission(store, self._plans, clock, self._after, self._committer.keep, packer)
        self._world = World(store, self._committer, clock)
        self._beats = Beats(store, clock)
        self._messenger = Messenger(store, self._committer, config.max_depth, blobs, notifier)
        self._background: set[asyncio.Task[None]] = set()
        self._takers = Takers()
        self._holders = Holders()
        late = round(config.republish_after * 1000)
        self._forker = Forker(store, self._committer, self._messenger, clock, config.max_events)
        self._deleter = Deleter(store, self._messenger, clock, late, self._spawn)
        self._bulk = BulkWork(
            store, self._committer, self._forker, self._world, clock, self._deleter, self._forget_letters
        )
        self._sweeper = Sweeper(
            store, matching, self._messenger, self._world, self._admission, clock, late, self._bulk, notifier,
            Purger(purging, store, self._bulk, matching, clock, config.restore_days) if purging else None,
        )  # fmt: skip
        self._push_first = push_before_reply
        self._teller = Teller(audience, doorbell, clock, self._spawn) if audience else None

    async def start(self, request: h.StartBatch) -> h.StartReply:
        """Each start succeeds or fails by itself."""
        results = await asyncio.gather(*(self._start_one(item) for item in request.items))
        await self._before_reply()
        return h.StartReply(tuple(results))

    async def _start_one(self, item: h.StartRequest) -> h.Started:
        try:
            caller().require(CONTROL, item.workspace_id)
            _check_ids(item.execution_id, item.workflow_id, item.workspace_id)
            if self._split:
                check_shard(item.execution_id, item.workflow_id)
            if item.on_conflict not in ON_CONFLICT:
                raise InvalidInput(f"on_conflict is one of {', '.join(ON_CONFLICT)}.")
            parent = e.Parent(**msgspec.structs.asdict(item.parent)) if item.parent else None
            command = c.Start(
                item.execution_id, item.workspace_id, item.workflow_id, item.workflow_version, item.trigger_node,
                item.trigger, item.mode, item.actor, item.idempotency_key, parent, item.reply_to, trial=item.trial,
                environment=item.environment,
            )  # fmt: skip
            if not self._backlog.is_free:
                plan = await self._plans.get(item.workflow_id, item.workflow_version, item.trigger_node)
                queues = (n.node.queue for id, n in plan.graph.nodes.items() if id != item.trigger_node)
                await self._backlog.check(item.workspace_id, queues)
            takeover = item.on_conflict == "terminate_existing" and bool(item.idempotency_key)
            written = await self._committer.start(command, takeover)
        except LinkFlowError as error:
            return h.Started(item.execution_id, False, error.to_data())
        holder = written.duplicate
        if holder and holder != item.execution_id and item.on_conflict == "reject":
            taken = Conflict("A run with this idempotency key exists.", details={"execution_id": holder})
            return h.Started(holder, False, taken.to_data())
        closed = _notice(written) if item.reply_to and not holder else None
        state = written.decision.state
        if state.entry is not None and not holder:
            return h.Started(state.execution_id, True, None, closed, state.status, written.position)
        return h.Started(holder or item.execution_id, not holder, closed=closed)

    async def _apart(self, command: c.Start) -> None:
        """A run that nobody asked for."""
        await self._committer.start(command)

    async def _knock(self, command: c.Start, plan: Plan, takeover: bool) -> Written:
        return await self._admission.start(command, plan, takeover)

    async def complete(self, request: h.CompleteBatch) -> h.CompleteReply:
        """Reports of one execution are one transition; an execution's fault never touches the others."""
        caller().require(COMPLETE)
        groups: dict[str, list[tuple[int, c.Command]]] = {}
        for started in request.started:
            begin = c.Begin(started.node_key, started.attempt, started.worker)
            groups.setdefault(started.execution_id, []).append((-1, begin))
        count = len(request.reports)
        for index, s in enumerate(request.steps, count):
            record = c.Record(s.node_key, s.attempt, s.step, s.worker or request.worker)
            groups.setdefault(s.execution_id, []).append((index, record))
        for index, r in enumerate(request.reports):
            who = r.worker or request.worker
            command = c.Complete(r.node_key, r.attempt, r.outcome, r.started_at, r.duration_us, who)
            groups.setdefault(r.execution_id, []).append((index, command))
        results: list[h.Recorded] = [h.Recorded()] * (count + len(request.steps))
        with self._takers.open(request, groups) as taker:
            try:
                rows = await asyncio.gather(*(self._apply_group(id, group, results) for id, group in groups.items()))
            except BaseException:  # a deadline passed: what was meant for this worker is everybody's
                self._spawn(self._backlog.push(taker.tasks))
                raise
        earlier = await self._beats.earlier(request) if request.started else ()
        await self._before_reply()
        tails = self._holders.tails(request, rows)
        return h.CompleteReply(tuple(results[:count]), tuple(taker.tasks), earlier, tails, tuple(results[count:]))

    async def _apply_group(
        self, id: str, group: list[tuple[int, c.Command]], results: list[h.Recorded]
    ) -> Transition | None:
        row = None
        try:
            if not is_uuid(id):
                raise NotFound("There is no such run.")
            written = await self._committer.apply(id, [command for _, command in group])
            row = written.row
            answers = [h.Recorded(ok) for ok in written.decision.accepted]
        except LinkFlowError as error:
            answers = [h.Recorded(False, error.to_data())] * len(group)
        for (index, _), answer in zip(group, answers, strict=True):
            if index >= 0:
                results[index] = answer
        return row

    async def fire(self, request: h.FireBatch) -> h.FireReply:
        """Fire timers. One that leads to nothing any more is dropped; one that failed stays for the next pass."""
        caller().require(COMPLETE)
        groups: dict[str, list[h.DueTimer]] = {}
        for timer in request.timers:
            groups.setdefault(timer.execution_id, []).append(timer)
        fired, failed, stale = 0, [], []
        outcomes = await asyncio.gather(
            *(self._fire_one(id, timers) for id, timers in groups.items()), return_exceptions=True
        )
        for (id, timers), outcome in zip(groups.items(), outcomes, strict=True):
            if isinstance(outcome, NotFound):
                stale += timers
            elif isinstance(outcome, BaseException):
                failed += [f"{id}/{timer.timer_id}" for timer in timers]
            else:
                fired += sum(outcome)
                stale += [t for t, ok in zip(timers, outcome, strict=True) if not ok]
        away = [outcome for outcome in outcomes if isinstance(outcome, Unavailable)]
        if away and len(away) == len(outcomes):
            raise away[0]
        if stale:
            await self._store.drop_timers(stale)
        await self._before_reply()
        return h.FireReply(fired, tuple(failed))

    async def _fire_one(self, execution_id: str, timers: Sequence[h.DueTimer]) -> Sequence[bool]:
        """Which of a run's timers led to something. Whether a waiting run begins is decided at its door."""
        if not any(timer.timer_id.startswith(ENTERS) for timer in timers):
            fires = [c.Fire(timer.timer_id, timer.due_at) for timer in timers]
            return (await self._committer.apply(execution_id, fires, fires=True)).decision.accepted
        if len(timers) > 1:
            return [(await self._fire_one(execution_id, [timer]))[0] for timer in timers]
        return [await self._admission.pass_on(execution_id, parse_timer(timers[0].timer_id)[1])]

    async def control(self, request: h.ControlRequest) -> h.ControlReply:
        """Raises `InvalidInput` for an unknown verb, `Conflict` where the run's status does not allow it."""
        if request.verb == DELETE:
            return await self._delete(request)
        verb = VERBS.get(request.verb)
        if verb is None:
            raise InvalidInput(f"Unknown verb {request.verb!r}; use one of {', '.join((*VERBS, DELETE))}.")
        await self._visible(request.execution_id, request.workspace_id, CONTROL)
        written = await self._committer.apply(request.execution_id, [verb(request)])
        status = written.decision.state.status
        if not written.decision.accepted[0]:
            raise Conflict(f"A run that is {status} cannot take {request.verb}.", details={"status": status})
        await self._before_reply()
        return h.ControlReply(status)

    async def _forget_letters(self, workspace_id: str, execution_id: str) -> None:
        await self._matching.drop(DropRequest(workspace_id, execution_id=execution_id))

    async def _delete(self, request: h.ControlRequest) -> h.ControlReply:
        """Raises `Conflict` for a run that is open."""
        await self._visible(request.execution_id, request.workspace_id, ERASE)
        if not await self._deleter.delete(request.execution_id, request.workspace_id):
            raise Conflict("A run that is open cannot be deleted: end it first.")
        await self._before_reply()
        return h.ControlReply(DELETED)

    async def fork(self, request: ForkRequest) -> ForkReply:
        """Raises `NotFound`, `InvalidInput` for what cannot be forked so, `LimitExceeded` for too long a history."""
        await self._visible(request.execution_id, request.workspace_id, CONTROL)
        reply = await self._forker.fork(request)
        await self._before_reply()
        return reply

    async def bulk(self, request: BulkRequest) -> BulkReply:
        """Begin at once; the sweep goes on with what a process leaves behind. Raises `InvalidInput`."""
        caller().require(ERASE if request.verb == DELETE else CONTROL, request.workspace_id)
        reply = await self._bulk.begin(request)
        if reply.bulk is not None and reply.bulk.status == "running":
            self._spawn(self._bulk.work(BRIEFLY if self._push_first else None))
        await self._before_reply()
        return reply

    async def bulks(self, request: BulksRequest) -> BulksReply:
        """Raises `Conflict` for the cancel of an operation that is over."""
        caller().require(CONTROL if request.cancel else VIEW, request.workspace_id)
        return await self._bulk.show(request)

    async def signal(self, request: h.SignalRequest) -> h.ControlReply:
        """Raises `Conflict` where the run is closed or keeps too many events already."""
        await self._visible(request.execution_id, request.workspace_id, CONTROL)
        reply = await self._world.signal(request)
        await self._before_reply()
        return reply

    async def publish(self, request: h.PublishRequest) -> h.PublishReply:
        caller().require(CONTROL, request.workspace_id)
        reply = await self._world.publish(request)
        await self._before_reply()
        return reply

    async def decide(self, request: h.DecideRequest) -> h.ControlReply:
        """Raises `Conflict` where nobody waits for this decision any more."""
        await self._visible(request.execution_id, request.workspace_id, CONTROL)
        reply = await self._world.decide(request)
        await self._before_reply()
        return reply

    async def approvals(self, request: h.ApprovalsRequest) -> h.ApprovalsReply:
        caller().require(VIEW, request.workspace_id)
        return await self._world.approvals(request)

    async def describe(self, request: h.DescribeRequest) -> h.DescribeReply:
        caller().require(VIEW, request.workspace_id)
        ids = [id for id in request.execution_ids if is_uuid(id)]
        found = await self._store.describe(ids, request.workspace_id, request.with_state)
        if waiting := [run.id for run in found if run.status == QUEUED]:
            places = await self._store.positions(waiting)
            found = [msgspec.structs.replace(run, position=places.get(run.id, 0)) for run in found]
        if not request.in_full:
            return h.DescribeReply(tuple(found))
        return h.DescribeReply(tuple(await self._with_facts(await self._beats.beside(found))))

    async def list(self, request: h.ListRequest) -> h.DescribeReply:
        caller().require(VIEW, request.workspace_id)
        if request.filter is None:
            return h.DescribeReply(tuple(await self._with_facts(await self._store.page(request))))
        found = await self._store.search(request)
        return h.DescribeReply(tuple(await self._with_facts(found.runs)), found.next)

    async def _with_facts(self, runs: Sequence[h.Execution]) -> Sequence[h.Execution]:
        facts = await self._store.facts([run.id for run in runs]) if runs else {}
        if not facts:
            return runs
        return [
            msgspec.structs.replace(run, **msgspec.structs.asdict(facts[run.id])) if run.id in facts else run
            for run in runs
        ]

    async def history(self, request: h.HistoryRequest) -> h.HistoryReply:
        """Events in today's form, whichever release wrote them."""
        await self._visible(request.execution_id, request.workspace_id, VIEW)
        found = await self._store.history(request.execution_id, request.after, max(1, min(request.limit, 10_000)))
        return h.HistoryReply(msgspec.Raw(current(found.events)), found.last, found.more)

    async def _visible(self, id: str, workspace_id: str, permission: str) -> None:
        caller().require(permission, workspace_id)
        if not is_uuid(id) or not await self._store.describe([id], workspace_id, False):
            raise NotFound("There is no such run.")

    async def payloads(self, request: h.PayloadsRequest) -> h.PayloadsReply:
        """Kept payloads of one workspace; another's do not exist."""
        caller().require(VIEW, request.workspace_id)
        found: deque[h.Payload] = deque()
        if self._payloads is None:
            return h.PayloadsReply(())
        size = 0
        for at in range(0, len(request.keys), PAYLOADS_AT_ONCE):
            keys = request.keys[at : at + PAYLOADS_AT_ONCE]
            for key, data in (await self._payloads.raw(request.workspace_id, keys)).items():
                size += len(data)
                if found and size > MAX_LOAD:
                    return h.PayloadsReply(tuple(found), True)
                found.append(h.Payload(key, msgspec.Raw(data)))
        return h.PayloadsReply(tuple(found))

    async def usage(self, request: UsageRequest) -> UsageReply:
        """As of now: what was told last is summed up first."""
        caller().require(VIEW, request.workspace_id)
        await self._store.gather(GATHERED)
        spans = tuple(await self._store.usage(request))
        if not request.with_open:
            return UsageReply(spans)
        return UsageReply(spans, await self._store.open_runs(request.workspace_id, request.workflow_id, MANY))

    async def load(self, request: h.LoadRequest) -> h.LoadReply:
        caller().require(COMPLETE)
        found = await load_encoded(self._store, [id for id in request.execution_ids if is_uuid(id)])
        states: deque[h.Loaded] = deque()
        size = 0
        for id, state in found.items():
            size += len(state)
            if states and size > MAX_LOAD:
                return h.LoadReply(tuple(states), True)
            states.append(h.Loaded(id, msgspec.Raw(state)))
        return h.LoadReply(tuple(states))

    async def definition(self, request: h.DefinitionRequest) -> h.DefinitionReply:
        caller().require(COMPLETE)
        data = await self._store.definition(request.workflow_id, request.version)
        if data is None:
            raise NotFound(f"There is no version {request.version} of this workflow.")
        return h.DefinitionReply(msgspec.Raw(data))

    async def reach(self, request: h.ReachRequest) -> h.ReachReply:
        """What a workspace's nodes may reach; nothing special where nobody keeps that."""
        caller().require(COMPLETE)
        reach = await self._reach.read(request.workspace_id) if self._reach else Reach()
        return h.ReachReply(reach, await self._policing.of(request.workspace_id) if self._policing else None)

    async def secrets(self, request: SecretsRequest) -> SecretsReply:
        """Sealed credentials and variables of one workspace, for the worker that runs its nodes."""
        caller().require(COMPLETE, request.workspace_id)
        return await self._secrets.find(request) if self._secrets else SecretsReply()

    async def tokens(self, request: TokensRequest) -> TokensReply:
        """The right to renew a credential's tokens, and what came of it."""
        caller().require(COMPLETE, request.workspace_id)
        return await self._secrets.tokens(request) if self._secrets else TokensReply(False)

    async def touch(self, request: h.TouchRequest) -> h.TouchReply:
        caller().require(COMPLETE)
        until = self._clock.now_ms() + round(self._config.lease * 1000)
        return h.TouchReply(tuple(await self._store.touch(request.tasks, until)))

    async def beat(self, request: h.BeatBatch) -> h.BeatReply:
        """Heartbeats of a worker's node runs: no transition, only a later due time."""
        caller().require(COMPLETE)
        return await self._beats.take(request)

    async def sweep(self, request: h.SweepRequest) -> h.SweepReply:
        """Do again what was lost between a commit and its push, or with a flushed Valkey."""
        caller().require(COMPLETE)
        reply = await self._sweeper.sweep(request)
        await self._before_reply()
        return reply

    async def close(self) -> None:
        """Wait for pushes that are in the air; a bulk operation stops after its page."""
        with self._bulk.pausing():
            await self._drain()

    async def _drain(self) -> None:
        while self._background:
            await asyncio.wait(set(self._background))

    # After a commit: doorbells only. Whatever is lost here, the sweep finds.

    async def _after(self, committed: Sequence[tuple[Item, Written]]) -> None:
        push: deque[h.Task] = deque()
        soonest = self._clock.now_ms() + round(self._config.timer_horizon * 1000)
        earliest = soonest
        for item, written in committed:
            row = written.row
            if row is None or written.duplicate:
                continue
            EVENTS.types(written.decision.events)
            if row.new_tasks:
                left = self._takers.leave(item.execution_id, row.new_tasks)
                push += self._holders.hint(row, item.commands, left)
            for _, due in row.new_timers:
                earliest = min(earliest, due)
            for message in row.messages:
                self._spawn(self._messenger.tell_new(item.execution_id, message))
            for wait in row.new_waits:
                if wait.kind == "event":
                    self._spawn(self._world.look_for_kept(row.workspace_id, item.execution_id, wait.name, wait.key))
            if written.decision.state.reply_to and row.expected:  # a start's own reply tells how the run ended at once
                self._ring_back(written)
            if row.entrance is not None or row.closed_at:
                self._at_the_door(written.decision.state)
        if push:
            self._spawn(self._backlog.push(tuple(push)))
        self._tell(committed)
        if earliest < soonest:
            self._spawn(self._doorbell.ring(TIMERS, str(earliest).encode()))

    def _tell(self, committed: Sequence[tuple[Item, Written]]) -> None:
        """Who watches these runs hears of it."""
        if tracing.on():
            traced(committed)
        if self._teller is not None:
            self._teller.tell([written.row for _, written in committed if written.row and not written.duplicate])

    def _at_the_door(self, state: State) -> None:
        """A slot is free: the next one may have it. A run has collected enough: it goes on. A schedule's run is over:
        the firing that waits for that may go."""
        if state.closed and state.mode == BY_SCHEDULE:
            self._spawn(self._next_firing(state.workflow_id))
        if state.closed and state.slot is not None:
            self._spawn(self._admission.let_in(state.workflow_id, state.slot))
        elif state.entry is not None and 0 < state.entry.due_at <= self._clock.now_ms():
            self._spawn(self._admission.pass_on(state.execution_id, state.entry.due_at))

    async def _next_firing(self, workflow_id: str) -> None:
        """A firing may have waited for this run to end: the timer looks now, and not when it would have."""
        now = self._clock.now_ms()
        if await self._store.look_at_firings([workflow_id], now):
            await self._doorbell.ring(TIMERS, str(now).encode())

    async def _before_reply(self) -> None:
        """Where nothing goes on after a reply, wait for what this call led to. Never within a commit: a message that
        is told there waits for a commit itself."""
        for _ in range(MESSAGES_DEEP if self._push_first else 0):
            if not self._background:
                return
            await asyncio.wait(set(self._background))

    def _ring_back(self, written: Written) -> None:
        notice = _notice(written)
        if notice is not None:
            self._spawn(self._doorbell.ring(written.decision.state.reply_to, msgspec.json.encode(notice)))

    def _spawn(self, work: Awaitable[object]) -> None:
        # In a context of its own: a push is History's, not that of whoever's request led to it.
        task = asyncio.create_task(quietly(work), context=Context())
        self._background.add(task)
        task.add_done_callback(self._background.discard)


def _notice(written: Written) -> h.Closed | None:
    """What somebody who waits for the run is told: that it ended, or answered, in this transition."""
    state, decision = written.decision.state, written.decision
    answered = any(isinstance(event, e.NodeCompleted) and event.answers for event in decision.events)
    if not answered and not (state.closed and not decision.was_closed):
        return None
    error = error_data(state.error) if state.error else None
    return h.Closed(state.execution_id, state.status, state.result, error, state.answered)


def _check_ids(*ids: str) -> None:
    for id in ids:
        if not is_uuid(id):
            raise InvalidInput("Ids are UUIDs in lower case.", details={"id": id[:64]})

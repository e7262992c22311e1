"""Group commit: requests that arrive together share a transaction.

Each execution appears at most once in a batch and in one batch at a time; while a batch is being written the next one
gathers. States that were written are kept, so the usual transition reads nothing; the fence tells when one is stale.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

import msgspec

from linkflow.domain import commands as c
from linkflow.domain.admission import keys_of
from linkflow.domain.decider import Session, decide
from linkflow.domain.draft import DEFAULTS
from linkflow.domain.environments import shown
from linkflow.domain.errors import Internal, LinkFlowError, NoSlot, NotFound, Unavailable
from linkflow.domain.limits import LimitReached, Limits
from linkflow.domain.payloads import Stowage
from linkflow.domain.secrets import Refs
from linkflow.domain.state import State, new
from linkflow.domain.trial import starts_freely
from linkflow.metrics import COMMIT_RUNS, COMMIT_SECONDS
from linkflow.observability import logger
from linkflow.ports import Ahead, Clock, EventStore, Transition

from .batch import Item, Written, merge, reject
from .beats import Latest, informed, latest
from .guard import Guard
from .loading import load
from .packing import Packer
from .plans import Plan, Plans
from .policing import Policing
from .remembered import Remembered
from .transition import transition

MAX_BATCH = 200
IN_AIR = 1
"""Batches written at once. More make the batches smaller, and cost more than they gain (see docs/performance.md)."""
FENCE_TRIES = 20


Variables = Callable[[str, str, Refs], Awaitable[dict[str, str]]]
"""Those of a workspace and an environment."""


async def _nobody(command: c.Start, plan: Plan, takeover: bool) -> Written:
    raise Internal("Nobody is at the door.")


class _Moment(msgspec.Struct, frozen=True):
    """What a decision is made on."""

    plan: Plan
    state: State
    item: Item
    now: int
    chance: float

    @property
    def owner(self) -> str:
        """The workspace."""
        return self.item.start.workspace_id if self.item.start else self.state.workspace_id


class Committer:
    """Decides and writes. `after` runs once a batch is committed, before its callers are answered."""

    def __init__(
        self,
        store: EventStore,
        plans: Plans,
        clock: Clock,
        after: Callable[[list[tuple[Item, Written]]], Awaitable[None]],
        limits: Limits = DEFAULTS,
        ahead: Ahead | None = None,
        packer: Packer | None = None,
        knock: Callable[[c.Start, Plan, bool], Awaitable[Written]] = _nobody,
        variables: Variables | None = None,
        policing: Policing | None = None,
        notice: Callable[[Sequence[Written]], Awaitable[None]] | None = None,
    ) -> None:
        """`variables` says what a workspace's plain ones are. `knock` starts runs of workflows that do not let in
        everybody as he comes (see `Admission.start`), `policing` keeps to what workspaces allow. `notice` adds messages
        to what is about to be written."""
        self._store = store
        self._plans = plans
        self._clock = clock
        self._after = after
        self._guard = Guard(limits)
        self._ahead = ahead
        self._packer = packer
        self._waiting: OrderedDict[str, list[Item]] = OrderedDict()
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._known = Remembered()
        self.keep = self._known.keep
        self.remembered = self._known.at
        self._faults: dict[str, LinkFlowError] = {}
        self._knock = knock
        self._variables = variables
        self._notice = notice
        self._values: dict[tuple[str, str, Refs], dict[str, str]] = {}
        self._policing = policing
        self._handed: set[asyncio.Task[None]] = set()

    async def start(self, command: c.Start, takeover: bool = False) -> Written:
        """Start a run; a second start with the same id or key finds the first. With `takeover` one with the same key
        ends the first and has the key. Raises `PolicyViolation`."""
        policy = await self._policing.of(command.workspace_id) if self._policing else None
        if policy is None or self._policing is None:
            return await self._start(command, takeover)
        async with self._policing.passing(policy, command):
            return await self._start(command, takeover)

    async def _start(self, command: c.Start, takeover: bool) -> Written:
        if takeover:
            plan = await self._plans.get(command.workflow_id, command.workflow_version, command.trigger_node)
            await self._agreed(command, plan)
            return await self._knock(await self._informed(command, plan), plan, True)
        return await self._submit(Item(command.execution_id, (command,), command))

    async def apply(self, execution_id: str, commands: Sequence[c.Command], *, fires: bool = False) -> Written:
        """Apply commands to a run; with `fires` there are timers among them. Raises `NotFound` for an unknown run."""
        return await self._submit(Item(execution_id, commands, None, fires))

    async def _submit(self, item: Item) -> Written:
        self._waiting.setdefault(item.execution_id, []).append(item)
        self._kick()
        return await item.done

    def _kick(self) -> None:
        if len(self._tasks) < IN_AIR and self._ready():
            task = asyncio.create_task(self._run(), context=Context())
            self._tasks.add(task)

    def _ready(self) -> bool:
        return any(id not in self._busy for id in self._waiting) if self._busy else bool(self._waiting)

    async def _run(self) -> None:
        try:
            # One turn of the loop lets requests that arrive together be one batch.
            await asyncio.sleep(0)
            while batch := self._take():
                try:
                    await self._write(batch)
                except Exception as error:
                    self._fail(batch, error)
                finally:
                    self._busy.difference_update(batch)
                self._kick()
        finally:
            # Here and not in a callback: whoever submits after the last `_take` must find this one gone.
            task = asyncio.current_task()
            if task is not None:
                self._tasks.discard(task)

    def _take(self) -> dict[str, list[Item]]:
        batch: dict[str, list[Item]] = {}
        for id in list(self._waiting):
            if id not in self._busy:
                batch[id] = self._waiting.pop(id)
                if len(batch) == MAX_BATCH:
                    break
        self._busy.update(batch)
        return batch

    async def _write(self, batch: dict[str, list[Item]]) -> None:
        self._values = {}
        states = await self._load(batch)
        prepared = await self._recheck(batch, states, await self._decide_all(batch, states))
        if self._notice is not None:
            await self._notice([written for _, written in prepared])
        prepared = await self._keep_blobs(prepared)
        rows = [written.row for _, written in prepared if written.row is not None]
        verdicts = dict(zip((r.execution_id for r in rows), await self._commit(rows), strict=True)) if rows else {}
        await self._settle(prepared, verdicts)

    async def _decide_all(self, batch: dict[str, list[Item]], states: dict[str, State]) -> list[tuple[Item, Written]]:
        prepared: list[tuple[Item, Written]] = []
        firing = [(states[id], i.commands) for id, items in batch.items() if id in states for i in items if i.fires]
        beats = await latest(self._store, firing) if firing else {}
        for id, items in batch.items():
            for merged in merge(items):
                try:
                    written = await self._decide(merged, states.get(id), beats)
                    if written is not None:
                        prepared.append((merged, written))
                except LinkFlowError as error:
                    reject(merged, error)
                except Exception as error:
                    logger.exception("A decision failed", extra={"execution_id": id})
                    reject(merged, Internal(f"This run could not be moved on: {type(error).__name__}."))
        return prepared

    async def _recheck(
        self, batch: dict[str, list[Item]], states: dict[str, State], prepared: list[tuple[Item, Written]]
    ) -> list[tuple[Item, Written]]:
        """The fence sees only what is written. A refusal writes nothing, so one that was decided on a kept state is
        held against the stored version: another History may have moved the run on, and the command may fit by now."""
        doubtful = [
            item.execution_id
            for item, written in prepared
            if item.execution_id in self._known and not all(written.decision.accepted)
        ]
        if not doubtful:
            return prepared
        fresh = await self._read(doubtful)
        overtaken = {id: batch[id] for id, state in fresh.items() if state.version != states[id].version}
        for id in overtaken:
            self._known.forget(id)
        kept = [(item, written) for item, written in prepared if item.execution_id not in overtaken]
        return kept + await self._decide_all(overtaken, fresh)

    async def _keep_blobs(self, prepared: list[tuple[Item, Written]]) -> list[tuple[Item, Written]]:
        """Blobs first, then the rows that refer to them: a crash between leaves blobs that nobody misses. Runs without
        any do not wait for a store that is away."""
        blobs = {key: data for _, written in prepared for key, data in (written.blobs or {}).items()}
        if not blobs or self._packer is None:
            return prepared
        try:
            await self._packer.payloads.put(blobs)
        except LinkFlowError as error:
            for item, written in prepared:
                if written.blobs:
                    reject(item, error)
            return [(item, written) for item, written in prepared if not written.blobs]
        return prepared

    async def _commit(self, rows: list[Transition]) -> list[str]:
        began = time.perf_counter()
        try:
            verdicts = await self._store.commit(rows)
            COMMIT_SECONDS.observe(time.perf_counter() - began)
            COMMIT_RUNS.observe(len(rows))
            return verdicts
        except Exception:
            for row in rows:  # it may or may not have been written: the next one reads
                self._known.forget(row.execution_id)
            raise

    async def _settle(self, prepared: list[tuple[Item, Written]], verdicts: dict[str, str]) -> None:
        good: list[tuple[Item, Written]] = []
        for item, written in prepared:
            verdict = verdicts.get(item.execution_id, "ok") if written.row is not None else "ok"
            if verdict == "conflict":
                self._known.forget(item.execution_id)
                self._again(item)
                continue
            if verdict == "away":
                self._known.forget(item.execution_id)
                reject(item, Unavailable("The database of this run does not answer now; try again."))
                continue
            if verdict == "full":
                self._known.forget(item.execution_id)
                reject(item, _full(written))
                continue
            if verdict.startswith("duplicate:"):
                written.duplicate = verdict.removeprefix("duplicate:")
            else:
                self.keep(written.decision.state, written.row)
            good.append((item, written))
        await self._after(good)
        for item, written in good:
            if not item.done.done():
                item.done.set_result(written)

    def _again(self, item: Item) -> None:
        item.tries += 1
        if item.tries > FENCE_TRIES:
            reject(item, Unavailable("This run changes too quickly; try again."))
        else:
            self._waiting.setdefault(item.execution_id, []).insert(0, item)

    async def _load(self, batch: dict[str, list[Item]]) -> dict[str, State]:
        found: dict[str, State] = {}
        missing = []
        for id, items in batch.items():
            state = self._known.find(id)
            if state is not None:
                found[id] = state
            elif any(item.start is None for item in items):
                missing.append(id)
        if missing:
            found |= await self._read(missing)
        return found

    async def _read(self, ids: Sequence[str]) -> dict[str, State]:
        loaded = await load(self._store, ids)
        self._known.learn(ids, loaded)
        self._faults = loaded.faults
        return loaded.states

    async def _decide(self, item: Item, state: State | None, beats: Latest) -> Written | None:
        """None where it is decided at a door."""
        if state is None:
            if item.start is None:
                raise self._faults.pop(item.execution_id, None) or NotFound("There is no such run.")
            state = new(item.execution_id)
            start = item.start
            plan = await self._plans.get(start.workflow_id, start.workflow_version, start.trigger_node)
            if plan.agreement is not None:
                await self._agreed(start, plan)
            if plan.refs.wants_variables and (known := await self._informed(start, plan)) is not start:
                start = item.start = known
                item.commands = [start] * len(item.commands)
            if plan.gate is not None and not starts_freely(start.trial):
                if plan.gate.doors and start.fork is None:  # what is kept cannot wait for a turn
                    self._hand_over(item, start, plan)
                    return None
                full = start.trigger
                if self._packer is not None and plan.gate.reads:
                    full = await self._packer.whole(start.workspace_id, full)
                keys = keys_of(plan.gate, start, full)
                start = msgspec.structs.replace(start, fairness=keys.fairness, slot=keys.slot if start.fork else None)
                item.commands = [start] * len(item.commands)
            if self._ahead is not None and len(item.commands) == 1:
                written = self._with_head_start(self._ahead, start, plan)
                if written is not None:
                    return written
        else:
            plan = await self._plans.get(state.workflow_id, state.workflow_version, state.trigger_node)
        moment = _Moment(plan, state, item, self._clock.now_ms(), self._clock.random())
        given = commands = informed(state, item.commands, beats) if beats else item.commands
        written, stow, packer = self._apply(moment, given), None, self._packer
        if packer is not None and written.row is not None and packer.is_due(written.row.events, item.start):
            stow = packer.stowage(moment.owner, item.execution_id)
            commands = await packer.pack(given, stow)
            if commands is not given:
                written = self._apply(moment, commands, stow)
        return self._guarded(moment, commands, written, stow)

    async def _agreed(self, start: c.Start, plan: Plan) -> None:
        """Raises `InvalidInput` where a run is started with something else than its workflow says. What was let in
        once may be run again."""
        if plan.agreement is None or start.fork is not None:
            return
        given = start.trigger
        if self._packer is not None:
            given = await self._packer.whole(start.workspace_id, given)
        plan.agreement.check(given)

    async def _informed(self, start: c.Start, plan: Plan) -> c.Start:
        """The start with the variables that its definition speaks of; a batch reads each set of them once."""
        refs = plan.refs
        if self._variables is None or not refs.wants_variables or start.vars:
            return start
        wanted = Refs(variables=refs.variables, every=refs.every)
        environment = shown(start.environment)
        at = (start.workspace_id, environment, wanted)
        found = self._values.get(at)
        if found is None:
            found = self._values[at] = await self._variables(start.workspace_id, environment, wanted)
        return msgspec.structs.replace(start, vars=found) if found else start

    def _guarded(
        self, moment: _Moment, commands: Sequence[c.Command], written: Written, stow: Stowage | None
    ) -> Written:
        """As it was decided, unless that is near a limit, or over it."""
        if written.row is None:
            return written
        history = self._known.history.get(moment.item.execution_id, 0)
        remedy = self._guard.review(commands, written.decision, written.row, history, moment.plan)
        if remedy is None:
            return written
        again = self._apply(moment, remedy.commands, None if remedy.ends else stow)
        again.decision = remedy.answered(again.decision, len(commands))
        return again

    def _apply(self, moment: _Moment, commands: Sequence[c.Command], stow: Stowage | None = None) -> Written:
        plan, state, item = moment.plan, moment.state, moment.item
        if stow is None and self._packer is not None:
            stow = self._packer.stowage(moment.owner, item.execution_id)
        settings, limits = plan.definition.settings, self._guard.limits
        try:
            decision = decide(plan.graph, settings, state, commands, moment.now, moment.chance, stow, limits)
        except LimitReached as reached:
            remedy = self._guard.end(commands, [reached.use])
            decision = decide(plan.graph, settings, state, remedy.commands, moment.now)
            decision = remedy.answered(decision, len(commands))
        stored = self._known.stored.get(item.execution_id)
        row = transition(decision, plan, state.version, item.fires, stored) if decision.events else None
        duplicate = item.execution_id if item.start is not None and row is None else ""
        return Written(decision, plan, row, duplicate, stow.blobs if stow else None)

    def _with_head_start(self, ahead: Ahead, start: c.Start, plan: Plan) -> Written | None:
        """None where the run has to go the ordinary way: it nears a limit, or has something to be set aside or read."""
        if self._packer is not None and self._packer.refers(start):
            return None
        now, chance = self._clock.now_ms(), self._clock.random()
        session = Session.of_start(plan.graph, plan.definition.settings, start, now, chance)
        try:
            ahead.run(start, plan.definition, session)
        except LimitReached:
            return None
        decision = session.decision()
        row = transition(decision, plan, 0)
        if self._packer is not None and self._packer.is_due(row.events) and self._packer.has_large(decision.events):
            return None
        return Written(decision, plan, row) if self._guard.fits(decision, row, plan) else None

    def _hand_over(self, item: Item, start: c.Start, plan: Plan) -> None:
        async def work() -> None:
            try:
                written = await self._knock(start, plan, False)
            except Exception as error:
                reject(item, error)
            else:
                if not item.done.done():
                    item.done.set_result(written)

        task = asyncio.create_task(work(), context=Context())
        self._handed.add(task)
        task.add_done_callback(self._handed.discard)

    def _fail(self, batch: dict[str, list[Item]], error: Exception) -> None:
        if not isinstance(error, LinkFlowError):
            logger.error("A batch could not be written", exc_info=error)
            error = Internal("The transition could not be written.")
        for items in batch.values():
            for item in items:
                reject(item, error)


def _full(written: Written) -> NoSlot:
    slot = written.row.entrance.slot if written.row and written.row.entrance else None
    key, limit = (slot.key, slot.limit) if slot else ("", 0)
    return NoSlot(
        f"This run needs a slot, and all {limit} of the concurrency key {key!r} are taken or waited for.",
        details={"key": key, "limit": limit},
    )

"""How runs are let in: starts of workflows with limits, those who wait for their time, and those who wait for a slot.

Every decision is made in a transaction of its own that holds the locks of the keys in question (`ports.Door`), so any
number of Histories agree. Rows are the truth: a slot that is free with somebody waiting is found by the sweep, a turn
by the rate and the end of collecting are timers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextvars import Context

from msgspec.structs import replace

from linkflow.domain import commands as c
from linkflow.domain.admission import COLLECT, IDEMPOTENCY, RATE, SLOT, Keys, keys_of, lock_name
from linkflow.domain.decider import Decision
from linkflow.domain.errors import (
    Internal,
    InvalidInput,
    LinkFlowError,
    NotFound,
    PayloadTooLarge,
    Unavailable,
    VersionConflict,
)
from linkflow.domain.evolve import trigger_of
from linkflow.domain.outcomes import NodeError
from linkflow.domain.state import CONCURRENCY, State, new
from linkflow.observability import logger
from linkflow.ports import Clock, Door, EventStore, Look, Transition
from linkflow.services.payloads import Payloads

from .batch import Item, Written
from .desk import Desk, Knock, Row, collects, idempotency_keys
from .loading import Loaded, load, load_one
from .packing import MAX_WAITING, Packer
from .plans import Plan, Plans

AT_ONCE = 100
"""Starts, or runs that are let in, of one transaction."""
TRIES = 20
"""Others may write first; then everything is looked at again."""

RETRY_STATES = ("40001", "40P01")

Keep = Callable[[State, Transition | None], None]
After = Callable[[list[tuple[Item, Written]]], Awaitable[None]]


class _NotKept(Exception):
    """Blobs have to be durable before what was decided can be written. That is done outside of the door, so that nobody
    waits there for a blob store; then all is looked at again."""

    def __init__(self, blobs: dict[str, bytes], payloads: Payloads) -> None:
        super().__init__()
        self.blobs = blobs
        self._payloads = payloads

    async def keep(self) -> None:
        await self._payloads.put(self.blobs)


class Admission:
    """`after` runs once a transaction is committed; `keep` remembers states. Without a `packer` large data stays in
    the rows."""

    def __init__(
        self,
        store: EventStore,
        plans: Plans,
        clock: Clock,
        after: After,
        keep: Keep,
        packer: Packer | None = None,
    ) -> None:
        self._store = store
        self._plans = plans
        self._clock = clock
        self._after = after
        self._keep = keep
        self._packer = packer
        self._waiting: dict[str, list[Knock]] = {}
        self._serving: dict[str, asyncio.Task[None]] = {}

    async def start(self, command: c.Start, plan: Plan, takeover: bool = False) -> Written:
        """Start a run, let it wait, or collect it. Raises `NoSlot`, `TooManyStarts`, and `InvalidInput` for a key that
        cannot be evaluated."""
        knock = await self._knock(command, plan, takeover)
        workflow = command.workflow_id
        self._waiting.setdefault(workflow, []).append(knock)
        if workflow not in self._serving:
            # One at a time a workflow: its starts would wait for each other's locks.
            self._serving[workflow] = asyncio.create_task(self._serve(workflow), context=Context())
        return await knock.done

    async def _knock(self, command: c.Start, plan: Plan, takeover: bool) -> Knock:
        """Keys come from the data itself; then it is set aside where it is large. A collecting run has to have it under
        its own name, and who that is the door will say."""
        done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()
        gate, full, stow = plan.gate, command.trigger, None
        if self._packer is not None:
            collected = gate is not None and collects(gate, command)
            if gate is not None and (gate.reads or collected):
                full = await self._packer.whole(command.workspace_id, full)
            stow = self._packer.stowage(command.workspace_id, command.execution_id)
            if collected:
                command = replace(command, trigger=full)
            else:
                command = await self._packer.pack_start(command, stow)
        return Knock(command, plan, keys_of(gate, command, full), takeover, stow, done)

    async def _serve(self, workflow: str) -> None:
        try:
            await asyncio.sleep(0)
            while waiting := self._waiting.pop(workflow, None):
                for at in range(0, len(waiting), AT_ONCE):
                    await self._let_all_knock(workflow, waiting[at : at + AT_ONCE])
        finally:
            del self._serving[workflow]

    async def _let_all_knock(self, workflow: str, knocks: Sequence[Knock]) -> None:
        try:
            await self._again_until_first(lambda: self._come(workflow, knocks))
        except Exception as error:
            if len(knocks) > 1 and not (isinstance(error, LinkFlowError) and error.retryable):
                for knock in knocks:  # the one at fault must not spoil the others
                    await self._let_all_knock(workflow, (knock,))
                return
            for knock in knocks:
                _refuse(knock, error)

    async def _again_until_first(self, work: Callable[[], Awaitable[object]]) -> None:
        for _ in range(TRIES):
            try:
                await work()
            except VersionConflict:
                continue
            except _NotKept as found:
                await found.keep()
                continue
            except Unavailable as error:
                if error.details.get("sqlstate") in RETRY_STATES:
                    continue
                raise
            return
        raise Unavailable("Too many starts of this workflow come together; try again.")

    async def _come(self, workflow: str, knocks: Sequence[Knock]) -> None:
        left = [knock for knock in knocks if not knock.done.done()]
        try:
            if left:
                await self._at_the_door(workflow, left)
        except _NotKept as found:
            try:
                await found.keep()
            except LinkFlowError as error:  # the others need not wait for a store that is away
                for knock in left:
                    if knock.needs & found.blobs.keys():
                        _refuse(knock, error)
            raise VersionConflict("Once more.") from None

    async def _at_the_door(self, workflow: str, knocks: Sequence[Knock]) -> None:
        async with self._store.door(workflow) as door:
            await door.lock([name for knock in knocks for name in _locks(knock)])
            seen = await door.look(_look(workflow, knocks))
            desk = Desk(seen, self._clock.now_ms(), self._clock.random())
            answers = [(knock, desk.answer(knock)) for knock in knocks]
            written = await self._write(door, desk)
        await self._settle(written.values())
        for knock, answer in answers:
            if knock.done.done():
                continue
            if isinstance(answer, LinkFlowError):
                knock.done.set_exception(answer)
            elif isinstance(answer, str):
                nothing = Decision(new(answer), (), (False,), {}, False)
                knock.done.set_result(Written(nothing, knock.plan, None, answer))
            else:
                knock.done.set_result(written[id(answer)])

    async def _write(self, door: Door, desk: Desk) -> dict[int, Written]:
        """By the row's identity. What undoes the transaction: `VersionConflict` where somebody was first, `_NotKept`
        where the rows refer to what is not in the blob store yet."""
        if self._packer is not None:
            payloads = self._packer.payloads
            blobs = payloads.unknown({key: data for row in desk.rows for key, data in row.blobs.items()})
            if blobs:
                raise _NotKept(blobs, payloads)
        rows = [(row, row.transition()) for row in desk.rows]
        if rows and set(await door.write([t for _, t in rows], desk.rates)) != {"ok"}:
            raise VersionConflict("Somebody else wrote first.")
        return {id(row): Written(row.decision(), row.plan, t, position=row.position) for row, t in rows}

    async def _settle(self, done: Iterable[Written]) -> None:
        committed = []
        for written in done:
            state = written.decision.state
            if state.entry is None and written.row is not None:
                self._keep(state, written.row)
            committed.append((Item(state.execution_id, (), None), written))
        if committed:
            await self._after(committed)

    async def pass_on(self, execution_id: str, due_at: int) -> bool:
        """The time of a waiting run came (its turn by the rate, the end of its collecting). False where it waits for
        something else by now."""
        went = False

        async def work() -> None:
            nonlocal went
            went = await self._pass_on(execution_id, due_at)

        await self._again_until_first(work)
        return went

    async def _pass_on(self, execution_id: str, due_at: int) -> bool:
        state = await load_one(self._store, execution_id)
        if state is None:
            raise NotFound("There is no such run.")
        entry = state.entry
        if entry is None or entry.line == CONCURRENCY or entry.due_at != due_at:
            return False
        plan = await self._plans.get(state.workflow_id, state.workflow_version, state.trigger_node)
        row = self._row(plan, state)
        now, chance = max(self._clock.now_ms(), due_at), self._clock.random()
        keys, fault = await self._keys(row)
        async with self._store.door(state.workflow_id) as door:
            await door.lock(_own_locks(plan, state.workflow_id, keys))
            desk = Desk(await door.look(_own_look(plan, state.workflow_id, keys)), now, chance)
            if fault is None:
                desk.pass_on(row, keys)
            else:
                row.take(c.Abort(fault), now, chance)
                desk.rows.append(row)
            written = await self._write(door, desk)
        await self._settle(written.values())
        return True

    def _row(self, plan: Plan, state: State) -> Row:
        stow = self._packer.stowage(state.workspace_id, state.execution_id) if self._packer else None
        return Row(plan, state, state.version, stow)

    async def _keys(self, row: Row) -> tuple[Keys, NodeError | None]:
        """The keys of a waiting run, from the data that it will have; or why there are none. Raises `Unavailable`."""
        state, gate = row.state, row.plan.gate
        trigger = trigger_of(state)
        try:
            if self._packer is not None and gate is not None and gate.reads:
                trigger = await self._packer.whole(state.workspace_id, trigger, MAX_WAITING)
            return keys_of(gate, state, trigger), None
        except InvalidInput as error:
            return Keys(), NodeError("bad_key", "; ".join(problem.message for problem in error.problems), False)
        except PayloadTooLarge as error:
            return Keys(), NodeError("input_too_large", error.message, False)
        except (NotFound, Internal) as error:
            return Keys(), NodeError("payload_lost", error.message, False, error.details)

    async def let_in(self, workflow_id: str, key: str) -> int:
        """Let in those who wait for a slot, as many as are free, in their order. Returns how many."""
        total = count = 0

        async def work() -> None:
            nonlocal count
            count = await self._let_in(workflow_id, key)

        while True:
            await self._again_until_first(work)
            total += count
            if count < AT_ONCE:
                return total

    async def _let_in(self, workflow_id: str, key: str) -> int:
        rows: dict[str, Row] = {}
        ids = await self._store.queued(workflow_id, key, AT_ONCE)
        loaded = await load(self._store, ids) if ids else Loaded()
        for id, state in loaded.states.items():
            plan = await self._plans.get(state.workflow_id, state.workflow_version, state.trigger_node)
            rows[id] = self._row(plan, state)
        if not rows:
            return 0
        async with self._store.door(workflow_id) as door:
            await door.lock([lock_name(SLOT, workflow_id, key)])
            line = (await door.look(Look(workflow_id, slots=(key,)))).lines[key]
            desk = Desk(await door.look(Look(workflow_id)), self._clock.now_ms(), self._clock.random())
            for id, slot in await door.next(workflow_id, key, AT_ONCE):
                row = rows.get(id)
                if line.open >= slot.limit:
                    break
                if row is None:
                    raise VersionConflict("Somebody came to the head of the line.")
                desk.admit(row, slot)
                line.open += 1
            written = await self._write(door, desk)
        await self._settle(written.values())
        return len(written)

    async def repair(self, limit: int) -> int:
        """Let in those whose word of a free slot was lost. Returns how many."""
        count = 0
        for workflow, key in await self._store.lost_slots(self._clock.now_ms(), limit):
            try:
                count += await self.let_in(workflow, key)
            except LinkFlowError as error:  # the next sweep finds it again
                logger.warning("Nobody could be let in", extra={"code": error.code, "workflow_id": workflow})
        return count


def _locks(knock: Knock) -> list[str]:
    command = knock.command
    workflow = command.workflow_id
    names = [lock_name(IDEMPOTENCY, workflow, key) for key in idempotency_keys(command)]
    if knock.plan.gate is not None and collects(knock.plan.gate, command):
        return [*names, lock_name(COLLECT, workflow, command.trigger_node, knock.keys.collect)]
    return names + _own_locks(knock.plan, workflow, knock.keys)


def _own_locks(plan: Plan, workflow: str, keys: Keys) -> list[str]:
    gate = plan.gate
    names = []
    if gate is not None and gate.concurrency:
        names.append(lock_name(SLOT, workflow, keys.slot))
    if gate is not None and gate.rate:
        names.append(lock_name(RATE, workflow, keys.rate))
    return names


def _look(workflow: str, knocks: Sequence[Knock]) -> Look:
    """What a batch needs to know, each thing once. Versions may differ, and so what is asked for."""
    commands = [knock.command for knock in knocks]
    gates = [(knock, knock.plan.gate) for knock in knocks if knock.plan.gate is not None]
    cancels = any(g.concurrency and g.concurrency.policy == "cancel_oldest" for _, g in gates)
    return Look(
        workflow,
        ids=_once(command.execution_id for command in commands),
        keys=_once(key for command in commands for key in idempotency_keys(command)),
        slots=_once(knock.keys.slot for knock, gate in gates if gate.concurrency),
        staying=cancels or any(knock.takeover for knock in knocks),
        rates=_once(knock.keys.rate for knock, gate in gates if gate.rate),
        collectors=tuple(dict.fromkeys((k.command.trigger_node, k.keys.collect) for k, gate in gates if gate.collect)),
    )


def _own_look(plan: Plan, workflow: str, keys: Keys) -> Look:
    gate = plan.gate
    if gate is None:
        return Look(workflow)
    cancels = gate.concurrency is not None and gate.concurrency.policy == "cancel_oldest"
    return Look(
        workflow,
        slots=(keys.slot,) if gate.concurrency else (),
        staying=cancels,
        rates=(keys.rate,) if gate.rate else (),
    )


def _once(values: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(values))


def _refuse(knock: Knock, error: Exception) -> None:
    if not isinstance(error, LinkFlowError):
        logger.error("A start could not be decided", exc_info=error)
        error = Internal("The start could not be written.")
    if not knock.done.done():
        knock.done.set_exception(error)

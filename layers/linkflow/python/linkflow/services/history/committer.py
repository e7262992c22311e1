"""Group commit: requests that arrive together share a transaction.

Each execution appears at most once in a batch and in one batch at a time; while a batch is being written the next one
gathers. States that were written are kept, so the usual transition reads nothing; the fence tells when one is stale.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextvars import Context

from linkflow.domain import commands as c
from linkflow.domain.decider import Decision, decide
from linkflow.domain.errors import Internal, LinkFlowError, NotFound, Unavailable
from linkflow.domain.state import State, decode, new
from linkflow.observability import logger
from linkflow.ports import Clock, EventStore, Transition

from .plans import Plan, Plans
from .transition import transition

MAX_BATCH = 200
IN_AIR = 2
"""Batches written at once: one is with Postgres while the other is decided."""
FENCE_TRIES = 20


class Written:
    """What one execution's part of a batch came to. `duplicate` names the run that holds the key instead."""

    __slots__ = ("decision", "duplicate", "plan", "row")

    def __init__(self, decision: Decision, plan: Plan, row: Transition | None, duplicate: str = "") -> None:
        self.decision = decision
        self.plan = plan
        self.row = row
        self.duplicate = duplicate


class Item:
    """Commands for one execution, and who waits for them."""

    __slots__ = ("commands", "done", "execution_id", "start", "tries")

    def __init__(self, execution_id: str, commands: Sequence[c.Command], start: c.Start | None) -> None:
        self.execution_id = execution_id
        self.commands = commands
        self.start = start
        self.tries = 0
        self.done: asyncio.Future[Written] = asyncio.get_running_loop().create_future()


class Committer:
    """Decides and writes. `after` runs once a batch is committed, before its callers are answered."""

    def __init__(
        self,
        store: EventStore,
        plans: Plans,
        clock: Clock,
        after: Callable[[list[tuple[Item, Written]]], Awaitable[None]],
        cache: int = 4096,
    ) -> None:
        self._store = store
        self._plans = plans
        self._clock = clock
        self._after = after
        self._waiting: OrderedDict[str, list[Item]] = OrderedDict()
        self._busy: set[str] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._states: OrderedDict[str, State] = OrderedDict()
        self._cache = cache

    async def start(self, command: c.Start) -> Written:
        """Start a run; a second start with the same id or key finds the first."""
        return await self._submit(Item(command.execution_id, (command,), command))

    async def apply(self, execution_id: str, commands: Sequence[c.Command]) -> Written:
        """Apply commands to a run. Raises `NotFound` for an unknown one."""
        return await self._submit(Item(execution_id, commands, None))

    async def _submit(self, item: Item) -> Written:
        self._waiting.setdefault(item.execution_id, []).append(item)
        self._kick()
        return await item.done

    def _kick(self) -> None:
        if len(self._tasks) < IN_AIR and self._ready():
            task = asyncio.create_task(self._run(), context=Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _ready(self) -> bool:
        return any(id not in self._busy for id in self._waiting) if self._busy else bool(self._waiting)

    async def _run(self) -> None:
        # One turn of the loop lets requests that arrive together be one batch.
        await asyncio.sleep(0)
        while batch := self._take():
            try:
                await self._write(batch)
            except Exception as error:
                self._fail(batch, error)
            finally:
                self._busy.difference_update(batch)
            if len(self._tasks) < IN_AIR:
                self._kick()

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
        states = await self._load(batch)
        prepared = await self._recheck(batch, states, await self._decide_all(batch, states))
        rows = [written.row for _, written in prepared if written.row is not None]
        verdicts = dict(zip((r.execution_id for r in rows), await self._commit(rows), strict=True)) if rows else {}
        await self._settle(prepared, verdicts)

    async def _decide_all(self, batch: dict[str, list[Item]], states: dict[str, State]) -> list[tuple[Item, Written]]:
        prepared: list[tuple[Item, Written]] = []
        for id, items in batch.items():
            for merged in _merge(items):
                try:
                    prepared.append((merged, await self._decide(merged, states.get(id))))
                except LinkFlowError as error:
                    _reject(merged, error)
                except Exception as error:
                    logger.exception("A decision failed", extra={"execution_id": id})
                    _reject(merged, Internal(f"This run could not be moved on: {type(error).__name__}."))
        return prepared

    async def _recheck(
        self, batch: dict[str, list[Item]], states: dict[str, State], prepared: list[tuple[Item, Written]]
    ) -> list[tuple[Item, Written]]:
        """The fence sees only what is written. A refusal writes nothing, so one that was decided on a kept state is
        held against the stored version: another History may have moved the run on, and the command may fit by now."""
        doubtful = [
            item.execution_id
            for item, written in prepared
            if item.execution_id in self._states and not all(written.decision.accepted)
        ]
        if not doubtful:
            return prepared
        fresh = await self._read(doubtful)
        overtaken = {id: batch[id] for id, state in fresh.items() if state.version != states[id].version}
        for id in overtaken:
            self._states.pop(id, None)
        kept = [(item, written) for item, written in prepared if item.execution_id not in overtaken]
        return kept + await self._decide_all(overtaken, fresh)

    async def _commit(self, rows: list[Transition]) -> list[str]:
        try:
            return await self._store.commit(rows)
        except Exception:
            for row in rows:  # it may or may not have been written: the next one reads
                self._states.pop(row.execution_id, None)
            raise

    async def _settle(self, prepared: list[tuple[Item, Written]], verdicts: dict[str, str]) -> None:
        good: list[tuple[Item, Written]] = []
        for item, written in prepared:
            verdict = verdicts.get(item.execution_id, "ok") if written.row is not None else "ok"
            if verdict == "conflict":
                self._states.pop(item.execution_id, None)
                self._again(item)
                continue
            if verdict.startswith("duplicate:"):
                written.duplicate = verdict.removeprefix("duplicate:")
            else:
                self._keep(written.decision.state)
            good.append((item, written))
        await self._after(good)
        for item, written in good:
            if not item.done.done():
                item.done.set_result(written)

    def _again(self, item: Item) -> None:
        item.tries += 1
        if item.tries > FENCE_TRIES:
            _reject(item, Unavailable("This run changes too quickly; try again."))
        else:
            self._waiting.setdefault(item.execution_id, []).insert(0, item)

    async def _load(self, batch: dict[str, list[Item]]) -> dict[str, State]:
        found: dict[str, State] = {}
        missing = []
        for id, items in batch.items():
            state = self._states.get(id)
            if state is not None:
                self._states.move_to_end(id)
                found[id] = state
            elif any(item.start is None for item in items):
                missing.append(id)
        if missing:
            found |= await self._read(missing)
        return found

    async def _read(self, ids: Sequence[str]) -> dict[str, State]:
        return {id: decode(snapshot.state) for id, snapshot in (await self._store.load(ids)).items()}

    async def _decide(self, item: Item, state: State | None) -> Written:
        if state is None:
            if item.start is None:
                raise NotFound("There is no such run.")
            state = new(item.execution_id)
            start = item.start
            plan = await self._plans.get(start.workflow_id, start.workflow_version, start.trigger_node)
        else:
            plan = await self._plans.get(state.workflow_id, state.workflow_version, state.trigger_node)
        decision = decide(
            plan.graph, plan.definition.settings, state, item.commands, self._clock.now_ms(), self._clock.random()
        )
        row = transition(decision, plan, state.version) if decision.events else None
        duplicate = item.execution_id if item.start is not None and row is None else ""
        return Written(decision, plan, row, duplicate)

    def _keep(self, state: State) -> None:
        self._states[state.execution_id] = state
        self._states.move_to_end(state.execution_id)
        while len(self._states) > self._cache:
            self._states.popitem(last=False)

    def _fail(self, batch: dict[str, list[Item]], error: Exception) -> None:
        if not isinstance(error, LinkFlowError):
            logger.error("A batch could not be written", exc_info=error)
            error = Internal("The transition could not be written.")
        for items in batch.values():
            for item in items:
                _reject(item, error)


class _Merged(Item):
    """Several callers' commands for one execution, decided as one transition; each gets its own part of the answer."""

    __slots__ = ("items",)

    def __init__(self, items: list[Item]) -> None:
        super().__init__(items[0].execution_id, [x for item in items for x in item.commands], items[0].start)
        self.items = items
        self.done.add_done_callback(self._hand_out)

    def _hand_out(self, done: asyncio.Future[Written]) -> None:
        error = done.exception()
        at = 0
        for item in self.items:
            count = len(item.commands)
            if item.done.done():
                pass
            elif error is not None:
                item.done.set_exception(error)
            else:
                item.done.set_result(_part(done.result(), at, count))
            at += count


def _part(written: Written, at: int, count: int) -> Written:
    decision = written.decision
    cut = Decision(decision.state, decision.events, decision.accepted[at : at + count], decision.before,
                   decision.was_closed)  # fmt: skip
    return Written(cut, written.plan, written.row, written.duplicate)


def _merge(items: list[Item]) -> list[Item]:
    return items if len(items) == 1 else [_Merged(items)]


def _reject(item: Item, error: Exception) -> None:
    if not item.done.done():
        item.done.set_exception(error)

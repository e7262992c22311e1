"""Telling people: what happened goes into the outbox with the transition, and from there becomes a run for each rule.

Whatever falls in between, the message is told again, and a delivery's id follows from what it tells of: nobody misses
anything, and nothing is told as two runs. What the other side then gets at least once is its node's business.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from msgspec.structs import replace

from linkflow.contracts.history import Execution, ListRequest
from linkflow.domain import commands as c
from linkflow.domain import definition as d
from linkflow.domain.errors import LinkFlowError, Unavailable
from linkflow.domain.ids import floor_of
from linkflow.domain.notices import MODE, TRIGGER, Occurrence, Rule, is_quiet, long_running, occurrences
from linkflow.observability import logger
from linkflow.ports import Clock, EventStore, Message, RuleBook

from .batch import Written

NOTIFY = "notify"
BELIEVED_MS = 5_000
"""How long it is taken as known what rules a workspace has."""
MANY = 1_000
"""Workspaces whose rules are remembered."""
LOOK_EVERY_MS = 15_000
AT_ONCE = 20
"""Rules about long runs that one sweep looks after."""
PAGE = 100
OPEN = ("running", "queued", "paused")

Start = Callable[[c.Start], Awaitable[object]]


class _Body(msgspec.Struct, frozen=True):
    workspace_id: str
    occurrence: Occurrence


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(_Body).decode


class Notifier:
    """Nothing is looked up for transitions that nobody could want to know of. `start` starts a run."""

    def __init__(self, rules: RuleBook, store: EventStore, clock: Clock, base_url: str, start: Start) -> None:
        self._rules = rules
        self._store = store
        self._clock = clock
        self._base_url = base_url
        self._start = start
        self._known: OrderedDict[str, tuple[int, Sequence[Rule]]] = OrderedDict()

    async def attach(self, batch: Sequence[Written]) -> None:
        """Add to transitions what is to be told of them."""
        for written in batch:
            row = written.row
            if row is None or is_quiet(written.decision):
                continue
            found = [
                one
                for one in occurrences(written.decision, written.plan.definition.name)
                if await self._wanted(row.workspace_id, one)
            ]
            if found:
                more = tuple(_message(row.workspace_id, one) for one in found)
                written.row = replace(row, messages=row.messages + more)

    async def tell(self, execution_id: str, body: bytes) -> None:
        """Start a delivery for each rule that wants it. Raises what may succeed later; what has begun stays so."""
        told = _decode(body)
        one = told.occurrence
        rules = [rule for rule in await self._rules.of(told.workspace_id) if rule.wants(one.kind, one.workflow_id)]
        for fault in await asyncio.gather(*(self._deliver(rule, one) for rule in rules)):
            if fault is not None:
                raise fault

    async def look(self) -> None:
        """See to runs that are open for longer than rules say."""
        now = self._clock.now_ms()
        for rule in await self._rules.take_long(now, now + LOOK_EVERY_MS, AT_ONCE):
            await self._look(rule, now)

    async def _look(self, rule: Rule, now: int) -> None:
        to = now - rule.after
        if to <= rule.looked_to:
            return
        names: dict[tuple[str, int], str] = {}
        for status in OPEN:
            before, floor = floor_of(to), floor_of(rule.looked_to)
            while True:
                asked = ListRequest(rule.workspace_id, status=status, before=before, limit=PAGE)
                page = await self._store.page(asked)
                late = [run for run in page if run.id >= floor and run.mode not in (MODE, "test")]
                for run in late:
                    if rule.wants("long_running", run.workflow_id):
                        fault = await self._deliver(rule, await self._long(rule, run, names))
                        if fault is not None:
                            raise fault  # the next look begins where this one did
                if len(page) < PAGE or page[-1].id < floor:
                    break
                before = page[-1].id
        newest = [await self._store.page(ListRequest(rule.workspace_id, status=status, limit=1)) for status in OPEN]
        # Where nothing is open, what comes from now on is late so long after now, and not sooner.
        await self._rules.looked(rule.id, to, now + (LOOK_EVERY_MS if any(newest) else rule.after))

    async def _long(self, rule: Rule, run: Execution, names: dict[tuple[str, int], str]) -> Occurrence:
        at = (run.workflow_id, run.workflow_version)
        if at not in names:
            data = await self._store.definition(*at)
            names[at] = d.decode(data).name if data else run.workflow_id
        return long_running(rule, names[at], run.id, *at, run.status, run.mode)

    async def _deliver(self, rule: Rule, one: Occurrence) -> LinkFlowError | None:
        """An error that may be none later; others are this rule's alone."""
        command = c.Start(
            one.told_by(rule), rule.workspace_id, rule.id, rule.version, TRIGGER,
            one.trigger(self._base_url, rule.workspace_id), MODE, f"execution:{one.execution_id}", one.key(rule),
        )  # fmt: skip
        try:
            await self._start(command)
        except LinkFlowError as error:
            if error.retryable:
                return error
            logger.error("Somebody could not be told", extra={"rule": rule.id, "code": error.code})
        return None

    async def _wanted(self, workspace_id: str, one: Occurrence) -> bool:
        try:
            rules = await self._of(workspace_id)
        except Unavailable:  # whoever tells it will know
            return True
        return any(rule.wants(one.kind, one.workflow_id) for rule in rules)

    async def _of(self, workspace_id: str) -> Sequence[Rule]:
        now = self._clock.now_ms()
        until, rules = self._known.get(workspace_id, (0, ()))
        if now >= until:
            rules = await self._rules.of(workspace_id)
            self._known[workspace_id] = (now + BELIEVED_MS, rules)
            self._known.move_to_end(workspace_id)
            if len(self._known) > MANY:
                self._known.popitem(last=False)
        return rules


def _message(workspace_id: str, one: Occurrence) -> Message:
    return Message(f"{NOTIFY}/{one.kind}/{one.place}", NOTIFY, _encode(_Body(workspace_id, one)))

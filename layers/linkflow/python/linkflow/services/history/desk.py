"""What becomes of starts and waiting runs at a door: decided one after another on what was seen under its locks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from linkflow.domain import commands as c
from linkflow.domain import events as e
from linkflow.domain.admission import Gate, Keys, Line, next_turn
from linkflow.domain.decider import Decision, decide
from linkflow.domain.definition import Batch, Concurrency
from linkflow.domain.entering import is_ripe
from linkflow.domain.errors import InvalidInput, LinkFlowError, NoSlot, TooManyStarts
from linkflow.domain.payloads import Stowage
from linkflow.domain.state import BATCH, CONCURRENCY, DEBOUNCE, RATE, Entry, NodeRun, State, new
from linkflow.ports import Entrance, Message, Seen, Slot, Transition

from .loading import Loaded
from .plans import Plan
from .transition import STOP_RUN, StopRun, transition

if TYPE_CHECKING:
    import asyncio

    from .batch import Written

_encode = msgspec.json.Encoder().encode


class Knock:
    """A start at the door. `takeover`: who holds its idempotency key has to go. `stow` is what was set aside of its
    data, for the run that it would be; what a collecting run has of it is set aside there. `needs` are the keys of
    what was set aside for its sake."""

    __slots__ = ("command", "done", "keys", "needs", "plan", "stow", "takeover")

    def __init__(
        self, command: c.Start, plan: Plan, keys: Keys, takeover: bool, stow: Stowage | None,
        done: asyncio.Future[Written],
    ) -> None:  # fmt: skip
        self.command = command
        self.stow = stow
        self.needs: set[str] = set()
        self.plan = plan
        self.keys = keys
        self.takeover = takeover
        self.done = done


class Row:
    """One run that is written: what happened to it, and what it has at the door."""

    def __init__(self, plan: Plan, state: State, expected: int, stow: Stowage | None) -> None:
        self.plan = plan
        self.stow = stow
        self.state = state
        self.expected = expected
        self.events: list[e.Event] = []
        self.before: dict[str, NodeRun | None] = {}
        self.was: Entry | None = state.entry
        self.slot: Slot | None = None
        self.position = 0
        self.leaves = False
        self.collects: tuple[str, str] | None = None
        self.keys: list[str] = []
        self.takes = ""
        self.takes_over = False
        self.ends: tuple[str, ...] = ()
        self.stops: list[Message] = []

    def take(self, command: c.Command, now: int, chance: float) -> bool:
        """Decide a command; false where it was refused."""
        made = decide(self.plan.graph, self.plan.definition.settings, self.state, (command,), now, chance, self.stow)
        self.state = made.state
        self.events += made.events
        self.before = {**made.before, **self.before}
        return bool(made.events)

    @property
    def blobs(self) -> dict[str, bytes]:
        """What has to be durable before it is written."""
        return self.stow.blobs if self.stow else {}

    def stop(self, execution_id: str, verb: str, actor: str, reason: str) -> None:
        """Ask another run to end: told once this one is written."""
        body = _encode(StopRun(execution_id, verb, actor, reason))
        self.stops.append(Message(f"{STOP_RUN}/{execution_id}", STOP_RUN, body))

    def decision(self) -> Decision:
        return Decision(self.state, tuple(self.events), (True,), self.before, False, 0, self.was)

    def transition(self) -> Transition:
        """All that is written of it."""
        state, closed = self.state, self.state.closed
        entrance = Entrance(
            slot=None if closed else self.slot,
            leaves=self.leaves or closed,
            lets_in=state.started_at if self.expected else 0,
            fairness="" if closed else state.fairness,
            collects=self.collects,
            keys=tuple(self.keys),
            takes=self.takes,
            ends=self.ends,
        )
        row = transition(self.decision(), self.plan, self.expected)
        key = "" if self.takes_over else row.idempotency_key
        return replace(row, entrance=entrance, messages=(*row.messages, *self.stops), idempotency_key=key)


class Desk:
    """Serves one batch of one workflow. `rows` are to be written, `rates` to be kept."""

    def __init__(self, seen: Seen, now: int, chance: float) -> None:
        self.rows: list[Row] = []
        self.rates: dict[tuple[str, str], int] = {}
        self._seen = seen
        self._now = now
        self._chance = chance
        self._collectors: dict[tuple[str, str], Row] = {}
        self._takers: dict[str, Row] = {}

    def answer(self, knock: Knock) -> Row | str | LinkFlowError:
        """The run that the start became, the id of one that was there, or why there is none."""
        try:
            return self._serve(knock)
        except LinkFlowError as error:
            return error

    def _serve(self, knock: Knock) -> Row | str:
        command, gate = knock.command, knock.plan.gate
        holder = self._holder(command)
        if holder and (not knock.takeover or holder == command.execution_id or _start_key(command) in self._holders):
            return holder
        if gate is not None and collects(gate, command):
            if knock.takeover:
                why = "A workflow that collects its starts cannot terminate_existing: a run of it is several starts."
                raise InvalidInput(why)
            row = self._collect(knock, gate)
        else:
            row = self._new(knock, gate, holder)
        self._seen.ids.add(command.execution_id)
        if command.idempotency_key:
            self._holders[command.idempotency_key] = row.state.execution_id
        return row

    @property
    def _holders(self) -> dict[str, str]:
        return self._seen.holders

    def _holder(self, command: c.Start) -> str:
        """Who has this start, or its key, already."""
        collected = self._holders.get(_start_key(command))
        if collected:
            return collected
        if command.execution_id in self._seen.ids:
            return command.execution_id
        return self._holders.get(command.idempotency_key, "") if command.idempotency_key else ""

    def _new(self, knock: Knock, gate: Gate | None, holder: str) -> Row:
        command = knock.command
        row = Row(knock.plan, new(command.execution_id), 0, knock.stow)
        held = self._limits(row, gate, knock.keys, command, holder) if gate is not None else None
        if held is not None:
            row.take(replace(held, start=command, fairness=knock.keys.fairness), self._now, self._chance)
        else:
            slot = row.slot.key if row.slot else None
            started = replace(command, slot=slot, fairness=knock.keys.fairness)
            row.take(started, self._now, self._chance)
        if holder:
            self._take_over(row, command, holder)
        knock.needs = set(row.blobs)
        self.rows.append(row)
        return row

    def _take_over(self, row: Row, command: c.Start, holder: str) -> None:
        key = command.idempotency_key
        if key in self._takers:
            self._takers[key].takes = ""
        self._takers[key] = row
        row.takes, row.takes_over = key, True
        row.stop(holder, "terminate", command.actor, "Another run took its idempotency key.")

    def _limits(self, row: Row, gate: Gate, keys: Keys, start: c.Start | None, holder: str = "") -> c.Hold | None:
        """Which limit holds a run back, if one does. One that was accepted before (no `start`) is never refused."""
        state = row.state
        workflow = start.workflow_id if start else state.workflow_id
        used = 0
        if gate.rate is not None and (start or state.entry is None or state.entry.line != RATE):
            used, due = next_turn(gate.rate, self._seen.rates.get(keys.rate, 0), self._now * 1000)
            if due > self._now * 1000:
                if start and gate.rate.policy == "reject":
                    raise _too_many(keys.rate, gate, due - self._now * 1000)
                self._use(workflow, keys.rate, used)
                return c.Hold(RATE, keys.rate, -(-due // 1000))
        if gate.concurrency is not None:
            line = self._seen.lines.setdefault(keys.slot, Line())
            limit = gate.concurrency.limit
            refuses = start is not None and gate.concurrency.policy == "reject" and holder not in (line.staying or ())
            if refuses and not line.has_room(limit):
                raise _no_slot(keys.slot, limit)
            self._use(workflow, keys.rate, used)
            return self._line_up(row, line, keys.slot, gate.concurrency)
        self._use(workflow, keys.rate, used)
        return None

    def _use(self, workflow_id: str, key: str, used: int) -> None:
        if used:
            self._seen.rates[key] = self.rates[workflow_id, key] = used

    def _line_up(self, row: Row, line: Line, key: str, concurrency: Concurrency) -> c.Hold | None:
        if concurrency.policy == "cancel_oldest":
            row.ends = tuple(line.surplus(concurrency.limit))
            for id in row.ends:
                row.stop(id, "cancel", "concurrency", "A newer run took its place (policy cancel_oldest).")
        room = line.join(row.state.execution_id, concurrency.limit)
        row.slot = Slot(key, concurrency.limit, not room, line.last)
        row.position = 0 if room else line.queued
        return None if room else c.Hold(CONCURRENCY, key)

    def _collect(self, knock: Knock, gate: Gate) -> Row:
        command = knock.command
        where = (command.trigger_node, knock.keys.collect)
        row = self._collectors.get(where) or self._seen_collector(knock, where)
        order = _collecting(gate, command, knock.keys.collect)
        known = set(row.blobs) if row else set()
        if row is not None and row.take(order, self._now, self._chance):
            row.keys.append(_start_key(command))
            if command.idempotency_key:
                row.keys.append(command.idempotency_key)
            self._holders[_start_key(command)] = row.state.execution_id
            if row not in self.rows:
                self.rows.append(row)
        else:
            row, known = Row(knock.plan, new(command.execution_id), 0, _stow_of(knock, command)), set()
            row.take(order, self._now, self._chance)
            if where in self._collectors:
                self._collectors[where].collects = None
            row.collects = where
            self.rows.append(row)
        self._collectors[where] = row
        knock.needs = row.blobs.keys() - known
        return row

    def _seen_collector(self, knock: Knock, where: tuple[str, str]) -> Row | None:
        """What collects already, if it still does, and runs the same version."""
        found = self._seen.collectors.get(where)
        if found is None:
            return None
        loaded = Loaded()
        if not loaded.add(*found):
            return None
        state = loaded.states[found[0]]
        if state.entry is None or state.workflow_version != knock.command.workflow_version:
            return None
        if is_ripe(state.entry, max(self._now, state.at)):
            return None
        return Row(knock.plan, state, state.version, _stow_of(knock, state))

    def pass_on(self, row: Row, keys: Keys) -> None:
        """The time of a waiting run came: the next limit holds it, or it begins."""
        gate = row.plan.gate
        state, now = row.state, self._now
        row.leaves = state.entry is not None and state.entry.line in (DEBOUNCE, BATCH)
        held = self._limits(row, gate, keys, None) if gate is not None else None
        slot = row.slot.key if row.slot else None
        if held is not None:
            held = replace(held, fairness=keys.fairness)
        row.take(held or c.Admit(slot, keys.fairness), now, self._chance)
        self.rows.append(row)

    def admit(self, row: Row, slot: Slot) -> None:
        """A slot is free for one who waits."""
        row.slot = replace(slot, queued=False)
        row.take(c.Admit(slot.key, row.state.fairness), self._now, self._chance)
        self.rows.append(row)


def _stow_of(knock: Knock, run: c.Start | State) -> Stowage | None:
    """For what a collecting run sets aside."""
    return Stowage(run.workspace_id, run.execution_id, knock.stow.limit) if knock.stow else None


def _collecting(gate: Gate, start: c.Start, key: str) -> c.Collect:
    made = gate.collect
    if isinstance(made, Batch):
        return c.Collect(start, BATCH, key, _ms(made.wait), 0, made.size)
    return c.Collect(start, DEBOUNCE, key, _ms(made.wait if made else 0), _ms(made.max_wait if made else 0))


def collects(gate: Gate, start: c.Start) -> bool:
    """Does this start become part of a run that collects? A child, a rerun and a test run are runs of their own."""
    return gate.collect is not None and start.parent is None and not start.source_id and start.trial is None


def idempotency_keys(command: c.Start) -> tuple[str, ...]:
    """Under which a start may be known already."""
    return (_start_key(command), command.idempotency_key) if command.idempotency_key else (_start_key(command),)


def start_key(start_id: str) -> str:
    """A start that was collected has no run of its own id; so a repeated one is known by this key."""
    return f"start:{start_id}"


def _start_key(command: c.Start) -> str:
    return start_key(command.execution_id)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _no_slot(key: str, limit: int) -> NoSlot:
    runs = "1 open run" if limit == 1 else f"{limit} open runs"
    return NoSlot(
        f"This workflow may have {runs} with the concurrency key {key!r}, and has that many.",
        details={"key": key, "limit": limit},
    )


def _too_many(key: str, gate: Gate, wait_us: int) -> TooManyStarts:
    rate = gate.rate
    limit, per = (rate.limit, rate.per) if rate else (0, 0.0)
    seconds = round(wait_us / 1_000_000, 3)
    return TooManyStarts(
        f"This workflow may start {limit} runs in {per:g} s with the rate key {key!r}; try again in {seconds:g} s.",
        details={"key": key, "limit": limit, "per": per, "retry_after": seconds},
    )

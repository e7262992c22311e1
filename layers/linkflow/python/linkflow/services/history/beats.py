"""Heartbeats: taken in batches without a transition, and looked up where one depends on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from linkflow.contracts import history as h
from linkflow.domain import commands as c
from linkflow.domain.ids import is_uuid
from linkflow.domain.state import CLOSED, State
from linkflow.domain.timing import EXECUTION, parse_timer
from linkflow.ports import Clock, EventStore

Latest = Mapping[h.TaskRef, h.LastBeat]


class Beats:
    """What History does with heartbeats."""

    def __init__(self, store: EventStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, request: h.BeatBatch) -> h.BeatReply:
        """Keep them; answers with the attempts that are over."""
        known = [beat for beat in request.beats if is_uuid(beat.execution_id)]
        strange = [_ref(beat) for beat in request.beats if not is_uuid(beat.execution_id)]
        gone = await self._store.beat(known, self._clock.now_ms()) if known else []
        return h.BeatReply((*gone, *strange))

    async def beside(self, executions: Sequence[h.Execution]) -> list[h.Execution]:
        """The runs, with the latest heartbeats of their nodes and the runs of their error workflows."""
        ids = [execution.id for execution in executions]
        beats: dict[str, list[h.LastBeat]] = {id: [] for id in ids}
        open = [execution.id for execution in executions if execution.status not in CLOSED]
        for beat in await self._store.beats_of(open) if open else ():
            beats[beat.execution_id].append(beat)
        answers: dict[str, list[str]] = {id: [] for id in ids}
        for failed, answer in await self._store.error_runs(ids):
            answers[failed].append(answer)
        return [
            msgspec.structs.replace(one, beats=tuple(beats[one.id]), error_runs=tuple(answers[one.id]))
            for one in executions
        ]

    async def earlier(self, request: h.CompleteBatch) -> tuple[h.LastBeat, ...]:
        """What earlier deliveries of the attempts that begin now have told."""
        refs = [_ref(item) for item in request.started if item.beats and is_uuid(item.execution_id)]
        return tuple(await self._store.beats(refs)) if refs else ()


async def latest(store: EventStore, timers: Iterable[tuple[State, Sequence[c.Command]]]) -> Latest:
    """The latest heartbeats that the firing of these timers depends on."""
    refs = [ref for state, commands in timers for command in commands if (ref := _asks(state, command))]
    return {_ref(beat): beat for beat in await store.beats(refs)} if refs else {}


def informed(state: State, commands: Sequence[c.Command], beats: Latest) -> Sequence[c.Command]:
    """The commands, with those heartbeats in them."""
    return [_informed(state, command, beats) for command in commands] if beats else commands


def _informed(state: State, command: c.Command, beats: Latest) -> c.Command:
    ref = _asks(state, command)
    beat = beats.get(ref) if ref else None
    if beat is None or not isinstance(command, c.Fire):
        return command
    return msgspec.structs.replace(command, beat_at=beat.at, beat=beat.details)


def _asks(state: State, command: c.Command) -> h.TaskRef | None:
    """The attempt whose heartbeat this command wants to know: a timer of a node run that sends some."""
    if not isinstance(command, c.Fire):
        return None
    kind, _, key = parse_timer(command.timer_id)
    run = state.runs.get(key) if kind != EXECUTION else None
    return h.TaskRef(state.execution_id, key, run.attempt) if run is not None and run.beat_by else None


def _ref(item: h.Beat | h.LastBeat | h.StartedNode) -> h.TaskRef:
    return h.TaskRef(item.execution_id, item.node_key, item.attempt)

"""Many plays at once, moment by moment: they share the engine, its clock and its transactions."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from .drawing import Disagreement
from .play import Play
from .scenario import TICK
from .stage import START_MS, Stage

MOMENTS = 400
"""More than any scenario needs."""


async def perform(stage: Stage, plays: Sequence[Play]) -> None:
    """Play them all in step, to their ends or their disagreements (`fault`)."""
    await stage.add_workflows(
        (play.workspace, play.workflows[name], play.at_home(definition))
        for play in plays
        for name, definition in play.scenario.workflows.items()
    )
    going = list(plays)
    for moment in range(MOMENTS):
        now = stage.clock.now = stage.clock.now + TICK if moment else START_MS
        await _moment(stage, going, moment, now)
        going = [play for play in going if not play.over]
        if not going:
            break
    for play in going:
        play.fault = play.fault or f"It is not over after {MOMENTS} moments."
    await _check_ends(stage, [play for play in plays if not play.fault])


async def _moment(stage: Stage, going: Sequence[Play], moment: int, now: int) -> None:
    for play in going:
        play.world.at(now, {})
        play.action, play.answer = _guarded(play, lambda play=play: play.next(moment, now)) or (), None
    await asyncio.gather(*(_ask(stage, play) for play in going if play.action))
    await stage.quiet()
    news, tables = await stage.news(), await stage.tables()
    await stage.claim()
    for play in going:
        if not play.fault:
            _guarded(play, lambda play=play: play.compare(news.get(play.workspace, []), tables, now))
        play.over = play.over or bool(play.fault)
        if play.action and play.action[0] in ("reports", "fire", "signal", "decide", "begin", "beat"):
            play.past.append(play.action)
    wanted = {
        (play.ids[run.id], key, attempt)
        for play in going
        if not play.fault
        for run in play.world.runs.values()
        for key, attempt in run.tasks().items()
    }
    await stage.let_go(wanted)


async def _ask(stage: Stage, play: Play) -> None:
    try:
        play.answer = await play.ask(stage)
    except Disagreement as error:
        play.fault = str(error)


def _guarded(play: Play, work: Any) -> Any:
    try:
        return work()
    except Disagreement as error:
        play.fault = str(error)


async def _check_ends(stage: Stage, plays: Sequence[Play]) -> None:
    states = await stage.states([id for play in plays for name, id in play.ids.items() if name in play.world.runs])
    for play in plays:
        _guarded(play, lambda play=play: play.check_states(dict(states)))

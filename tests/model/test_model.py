"""Random scenarios, played by the interpreter and by the real engine: the same histories, for every seed.

`LINKFLOW_MODEL_SEEDS` says which seeds: how many, or ``5000-5999``. `LINKFLOW_MODEL_SEED` replays one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import pytest

from tests.e2e.soundness import assert_sound

from .interpreter import Run
from .play import Play
from .scenario import Scenario, draw
from .shrinking import shrink
from .stage import Stage
from .stepping import perform
from .world import World

TOGETHER = 250
"""Scenarios that share transactions."""

TWO = 80
"""Scenarios that are played over two databases as well."""


def seeds() -> range:
    if one := os.environ.get("LINKFLOW_MODEL_SEED"):
        return range(int(one), int(one) + 1)
    first, _, last = os.environ.get("LINKFLOW_MODEL_SEEDS", "200").rpartition("-")
    return range(int(first), int(last) + 1) if first else range(int(last))


@pytest.fixture
async def stage(database_url: str, redis_url: str) -> AsyncIterator[Stage]:
    made = Stage(database_url, redis_url)
    yield made
    await made.close()


async def test_interpreter_and_engine_tell_the_same_history(stage: Stage, database_url: str) -> None:
    every = seeds()
    for first in range(0, len(every), TOGETHER):
        part = every[first : first + TOGETHER]
        plays = [Play(draw(seed)) for seed in part]
        await perform(stage, plays)
        if bad := [play for play in plays if play.fault]:
            pytest.fail(await _report(stage, bad), pytrace=False)
        await asyncio.to_thread(assert_sound, database_url, expect=len(part))
        await stage.empty()
        if len(every) > TOGETHER:
            print(f"seeds {part.start}-{part.stop - 1} agree", flush=True)


async def test_with_two_databases_it_is_the_same(split_urls: tuple[str, str], redis_url: str) -> None:
    """Parents and children, events and waits, messages and timers are as often in two databases as in one."""
    main, b = split_urls
    stage = Stage(main, redis_url, {"b": b})
    try:
        plays = [Play(draw(seed)) for seed in range(TWO)]
        await perform(stage, plays)
        if bad := [play for play in plays if play.fault]:
            pytest.fail(await _report(stage, bad), pytrace=False)
    finally:
        await stage.close()
    for url in split_urls:
        await asyncio.to_thread(assert_sound, url, expect=TWO // 4)


async def test_a_wrong_rule_is_found_and_its_scenario_made_small(stage: Stage) -> None:
    """The test of the test: an interpreter that forgets `max_parallel` disagrees, in a small scenario."""

    class Unbounded(Run):
        def _has_room(self) -> bool:
            return self.status != "paused"

    class Wrong(World):
        run_type = Unbounded

    plays = [Play(draw(seed), 0, Wrong) for seed in range(60)]
    await perform(stage, plays)
    bad = [play for play in plays if play.fault]
    assert bad
    small = await shrink(stage, min((play.scenario for play in bad), key=_size), Wrong)
    assert "only the interpreter: NodeScheduled" in small.fault
    assert len(small.scenario.workflows["main"].nodes) <= 6
    assert not small.scenario.verbs


def _size(scenario: Scenario) -> int:
    return sum(len(workflow.nodes) for workflow in scenario.workflows.values()) + len(scenario.verbs)


async def _report(stage: Stage, bad: list[Play]) -> str:
    """Which seeds, and one of them made small, with both histories."""
    first = bad[0]
    small = await shrink(stage, first.scenario)
    numbers = ", ".join(str(play.scenario.seed) for play in bad[:20])
    return "\n".join([
        f"They disagree about seeds {numbers}{' …' if len(bad) > 20 else ''}.",
        f"Seed {first.scenario.seed} (LINKFLOW_MODEL_SEED={first.scenario.seed}):", first.fault,
        "", "Made smaller:", small.fault or first.fault, "", *_drawn(small.scenario), "", *small.told,
    ])  # fmt: skip


def _drawn(scenario: Scenario) -> list[str]:
    lines = [f"{verb}" for verb in scenario.verbs]
    for name, definition in scenario.workflows.items():
        edges = (f"{edge.source}:{edge.source_output} > {edge.target}" for edge in definition.edges)
        lines += [f"{name}: {definition.settings}", *(f"  {node}" for node in definition.nodes)]
        lines.append("  " + ", ".join(edges))
    return lines

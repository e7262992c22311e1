"""Clocks that differ, drift and jump."""

from __future__ import annotations

import time

from tests.chaos.world import Expected, World
from tests.e2e.documents import node, workflow

DELAY = 0.4
SLACK = 0.02
"""Milliseconds are rounded on the way, and ours is a third clock."""


def clocks_that_differ(world: World) -> None:
    """Every process has a clock of its own, two Histories and two Timers among them; one jumps back under way."""
    chance, fleet = world.chance, world.fleet
    fleet.twin("history-2", "history")
    fleet.twin("timer-2", "timer")
    far = chance.choice((0.1, 0.5, 2.0))
    for process in fleet.processes.values():
        process.clock.set(chance.uniform(-far, far), drift=chance.choice((0.0, 0.0, chance.uniform(-0.02, 0.02))))
    fleet.revive()
    fleet.wires["history"].break_all()  # whoever calls History finds the two of them
    spread = _spread(world)
    saved = world.person.save(workflow(node("wait", "delay", {"milliseconds": DELAY * 1000}), node("out", "noop")))
    begun = {world.start(saved["id"], expect=Expected()): time.monotonic() for _ in range(3)}
    world.load(runs=3)
    world.moment(0.2)
    name = chance.choice(["history", "history-2", "timer", "timer-2", "worker"])
    jump = -chance.uniform(0.1, far)
    world.say(f"the clock of {name} jumps by {jump:.3f} s")
    fleet[name].clock.set(fleet[name].clock.offset + jump)
    spread = max(spread, _spread(world))
    _never_early(world, begun, DELAY - spread - SLACK)
    world.started()


def _spread(world: World) -> float:
    offsets = [process.clock.offset for process in world.fleet.processes.values()]
    world.say(", ".join(f"{name} {p.clock.offset:+.3f}" for name, p in world.fleet.processes.items()))
    return max(offsets) - min(offsets)


def _never_early(world: World, begun: dict[str, float], at_least: float) -> None:
    """No timer fires earlier than its delay and the difference of the clocks allow."""
    left = dict(begun)
    until = time.monotonic() + 15
    while left:
        ended = {id for (id,) in world.sql("SELECT id::text FROM executions WHERE closed_at > 0")}
        now = time.monotonic()
        for id in ended & left.keys():
            took = now - left.pop(id)
            assert took >= at_least, f"{id} slept {took:.3f} s instead of {at_least:.3f} at least"
        assert now < until, f"these sleep too long: {left}"
        time.sleep(0.01)

"""A new build comes in, a process at a time."""

from __future__ import annotations

from tests.chaos.fleet import PROCESSES
from tests.chaos.world import World

NEWER = {"LINKFLOW_POOL_SIZE": "4", "LINKFLOW_WORKER_CAPACITY": "7", "LINKFLOW_LEASE": "0.8"}


def rolling_upgrade_with_runs_in_flight(world: World) -> None:
    """In a drawn order each process gets a successor beside it, and is then told to end; runs come all the while."""
    chance, fleet = world.chance, world.fleet
    world.load(runs=chance.randint(4, 8))
    leaving = []
    for name in chance.sample(PROCESSES, len(PROCESSES)):
        successor = fleet.twin(f"{name}-new", name)
        successor.change(**NEWER)
        successor.start().wait()
        world.moment(0.05)
        leaving.append(world.background(fleet[name].end))
        fleet.wires[name].targets.pop(0)  # no new connection goes to the old one
        world.moment(0.05)
    for gone in leaving:
        gone.result(30)
    world.started()
    world.rest()
    for name in PROCESSES:
        fleet.wires[name].targets.insert(0, ("127.0.0.1", fleet[name].port))

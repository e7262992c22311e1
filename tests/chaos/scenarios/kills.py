"""kill -9 of any process at any point: drawn over time, and at the exact places around a result."""

from __future__ import annotations

from tests.chaos.fleet import PROCESSES
from tests.chaos.world import World

RESULT = '"reports":['
RELEASE = '"done":['
TASKS = '"tasks":['
EVENT = '"event_id"'
QUEUE = "lf:{q:"


def kill_9_of_any_process_at_any_point(world: World) -> None:
    """Drawn processes die at drawn moments, and at drawn requests on drawn wires; somebody starts them again."""
    chance = world.chance
    world.load()
    with world.nurse():
        for _ in range(chance.randint(1, 3)):
            if chance.random() < 0.5:
                wire, mark, victims = chance.choice(
                    [
                        ("postgres", EVENT, ("history",)),
                        ("valkey", QUEUE, ("matching",)),
                        ("history", RESULT, ("worker", "history")),
                        ("matching", TASKS, ("history", "matching")),
                        ("matching", RELEASE, ("worker", "matching")),
                    ]
                )
                when, nth = chance.choice(("before", "after")), chance.randint(1, 6)
                world.trap(wire, mark, when=when, victim=chance.choice(victims), nth=nth)
            else:
                world.moment()
                for victim in chance.sample(PROCESSES, chance.choice((1, 1, 1, 2, 6))):
                    world.say(f"kill {victim}")
                    world.fleet[victim].strike()
        world.started()
        world.moment()


def kill_9_before_the_result_is_written(world: World) -> None:
    """The worker dies with its result in the air, or History with the transaction not yet begun or not yet committed."""
    _at_the_result(world, "before")


def kill_9_after_the_result_is_written(world: World) -> None:
    """The same two die when the result is committed, before anybody is told."""
    _at_the_result(world, "after")


def _at_the_result(world: World, when: str) -> None:
    wire, mark, victim = world.chance.choice(
        [("postgres", '"NodeCompleted"', "history"), ("history", RESULT, "worker"), ("history", RESULT, "history")]
    )
    with world.nurse():
        trap = world.trap(wire, mark, when=when, victim=victim)
        world.trap(wire, mark, when=when, victim=victim, nth=world.chance.randint(2, 5))  # if there are so many
        world.load()
        world.started()
        assert trap.sprung.wait(20), "no result came"


def kill_9_before_the_ack(world: World) -> None:
    """The result is recorded, and its lease was not yet given up when the worker or Matching dies."""
    victim, when = world.chance.choice([("worker", "before"), ("matching", "before"), ("matching", "after")])
    with world.nurse():
        trap = world.trap("matching", RELEASE, when=when, victim=victim)
        world.trap("matching", RELEASE, when=when, victim=victim, nth=world.chance.randint(2, 5))
        world.load()
        world.started()
        assert trap.sprung.wait(20), "nothing was acknowledged"


def commit_succeeds_and_the_reply_is_lost(world: World) -> None:
    """Of drawn transactions History never hears that they were committed."""
    for _ in range(world.chance.randint(1, 3)):
        mark = world.chance.choice(['"ExecutionStarted"', '"NodeCompleted"', '"NodeScheduled"', EVENT])
        world.trap("postgres", mark, when="after", nth=world.chance.randint(1, 4))
    first = world.trap("postgres", '"ExecutionStarted"', when="after")
    world.load()
    world.started()
    assert first.sprung.wait(20), "nothing was committed"


def lost_push(world: World) -> None:
    """History commits, and its push does not reach Matching, as the line is cut or History dies; or the reply to it is
    lost."""
    victim = world.chance.choice(("", "history"))
    for _ in range(world.chance.randint(1, 4)):
        when = world.chance.choice(("before", "before", "after"))
        wire, mark = world.chance.choice([("matching", TASKS), ("matching", TASKS), ("valkey", QUEUE)])
        world.trap(wire, mark, when=when, nth=world.chance.randint(1, 3))
    with world.nurse():
        first = world.trap("matching", TASKS, when="before", victim=victim)
        world.load()
        world.started()
        assert first.sprung.wait(20), "nothing was pushed"

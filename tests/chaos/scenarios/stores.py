"""The stores go away and come back, while runs are in flight."""

from __future__ import annotations

from tests.chaos.world import World


def postgres_restarted_every_few_seconds_under_load(world: World) -> None:
    """Killed or stopped, once or twice; starts and results come all the while."""
    chance = world.chance
    world.load(runs=chance.randint(4, 8))
    for _ in range(chance.choice((1, 1, 2))):
        world.moment(0.2)
        how = chance.choice((world.fleet.postgres.kill, world.fleet.postgres.stop))
        world.say(f"postgres: {how.__name__}")
        how()
        world.moment(0.1)
        world.fleet.start_stores()
    world.started()


def valkey_flushed_mid_run(world: World) -> None:
    """It forgets all it knew, again and again."""
    world.load()
    for _ in range(world.chance.randint(1, 5)):
        world.moment(0.1)
        world.flush()
    world.started()
    world.moment(0.1)
    world.flush()


def valkey_killed_mid_run(world: World) -> None:
    """It dies and comes back, with what it had written to its file, or without."""
    world.load()
    for _ in range(world.chance.randint(1, 2)):
        world.moment(0.15)
        world.fleet.valkey.kill()
        world.moment(0.1)
        world.fleet.start_stores()
        if world.chance.random() < 0.5:
            world.flush()
    world.started()

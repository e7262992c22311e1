"""What may happen to a Lambda function."""

from __future__ import annotations

from tests.chaos.lambdas import WORKER_SECONDS, pool_of
from tests.chaos.world import Expected, World
from tests.e2e.documents import http, node, workflow


def lambda_killed_at_its_deadline(world: World) -> None:
    """A worker stands still in the middle of its calls, overruns its time and is killed; sometimes the API or the timer
    is killed as well, at a drawn moment."""
    chance, pool, place = world.chance, pool_of(world.fleet), world.place
    saved = world.person.save(workflow(http("call", world.url, method="POST", body={}), node("out", "noop")))
    place.most = 0
    place.hold()
    runs = [world.start(saved["id"], expect=Expected()) for _ in range(chance.randint(1, 3))]
    world.calls += len(runs)
    place.wait_for_calls(len(runs))
    for environment in pool.living("lf-worker"):
        environment.freeze()
    if chance.random() < 0.5:
        place.let_go()  # nobody reads the answers of those that stand still
        place.wait_for_calls(len(runs) + 1, 6 * WORKER_SECONDS)
    else:
        place.wait_for_calls(len(runs) + 1, 6 * WORKER_SECONDS)
        place.let_go()
    if chance.random() < 0.5:
        for environment in pool.living(chance.choice(("lf-api", "lf-timer", "lf-worker"))):
            environment.kill()


def lambda_throttled(world: World) -> None:
    """Drawn functions are refused for a while, all of their invocations or all but one."""
    chance, pool = world.chance, pool_of(world.fleet)
    world.load()
    for _ in range(chance.randint(1, 3)):
        world.moment(0.2)
        with pool.throttled(chance.choice(("lf-worker", "lf-worker", "lf-timer", "lf-api")), chance.choice((0, 0, 1))):
            world.moment(0.5)
    world.started()


def lambda_invoked_twice(world: World) -> None:
    """Events come up to three times, ticks overlap, and workers are woken for nothing."""
    chance, pool = world.chance, pool_of(world.fleet)
    copies = [chance.choice((1, 2, 2, 3)) for _ in range(100)]
    pool.copies = lambda: copies.pop() if copies else 1
    world.load()
    for _ in range(chance.randint(1, 4)):
        event = chance.choice(('{"drain": {"queues": ["default"], "idle": 0.1}}', '{"tick": {"seconds": 0.2}}'))
        pool.accept("lf-worker" if "drain" in event else "lf-timer", "Event", event.encode())
        world.moment(0.1)
    world.started()

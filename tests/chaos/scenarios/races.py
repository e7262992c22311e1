"""Two things that must not both happen come at the same time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from tests.chaos.world import Expected, World
from tests.e2e.documents import edge, http, node, workflow

SOON = 0.3
"""Seconds until the timers of these races fall due."""


def two_timers_race_a_completion(world: World) -> None:
    """Two Timer processes fire the same timers while the results arrive that they are to make up for."""
    chance = world.chance
    world.fleet.twin("timer-2", "timer").start().wait()
    limit = {"start_to_close": SOON}
    call = http("call", world.url, method="POST", body={}, timeout=limit)
    if chance.random() < 0.5:
        call["retry"] = {"max_attempts": 2, "initial_interval": 0.02}
    wait = node("wait", "wait_for_event", {"event": "go", "key": "{{ trigger.key }}", "timeout": SOON})
    delay = node("delay", "delay", {"milliseconds": SOON * 1000})
    saved = [str(world.person.save(workflow(each, node("out", "noop")))["id"]) for each in (call, wait, delay)]
    late = Expected(("completed", "failed"), errors=("timeout",))
    world.place.most = 0
    world.exact_calls = False
    world.place.hold()
    begun = time.monotonic()
    calls = [world.start(saved[0], expect=late) for _ in range(chance.randint(1, 3))]
    for _ in range(chance.randint(1, 3)):
        world.start(saved[2], expect=Expected())
    waits = [world.start(saved[1], expect=late) for _ in range(chance.randint(1, 3))]
    for act in chance.sample([world.place.let_go, *(_signal(world, id, "go") for id in waits)], 1 + len(waits)):
        _at(world, begun + SOON + chance.uniform(-0.06, 0.06), act)
    del calls


def signal_races_completion(world: World) -> None:
    """Signals come, each twice, while the run that may take them ends; each is taken once or refused."""
    chance = world.chance
    world.place.most = 0
    world.place.hold()
    document = workflow(
        node("begin", "trigger_manual"),
        http("call", world.url, method="POST", body={}),
        node("wait", "wait_for_event", {"event": "go", "timeout": SOON}, on_error="continue"),
        node("out", "noop"),
        edges=[edge("begin", "call"), edge("begin", "wait"), edge("call", "out"), edge("wait", "out")],
    )
    saved = world.person.save(document)
    runs = [world.start(saved["id"], expect=Expected()) for _ in range(chance.randint(1, 3))]
    world.calls += len(runs)
    world.place.wait_for_calls(len(runs))
    at = time.monotonic() + SOON / 2
    _at(world, at + chance.uniform(-0.03, 0.03), world.place.let_go)
    for id in runs:
        for name in ("go", "go", "late"):
            one = _signal(world, id, name)
            for _ in range(2):
                _at(world, at + chance.choice((0, SOON / 2)) + chance.uniform(-0.03, 0.03), one)
    world.started()
    world.rest()
    for id in runs:
        ids = [event["signal_id"] for event in world.events(id) if event["type"] == "SignalReceived"]
        assert len(ids) == len(set(ids)), f"a signal was taken twice: {ids}"


def cancel_races_completion(world: World) -> None:
    """Whoever is told that the run is cancelled finds it cancelled, whoever is refused finds it completed."""
    chance = world.chance
    saved = world.person.save(workflow(http("call", world.url, method="POST", body={}), node("out", "noop")))
    world.place.most = 0
    world.place.hold()
    runs = [world.start(saved["id"], expect=Expected(("cancelled", "completed"))) for _ in range(chance.randint(2, 4))]
    world.calls += len(runs)
    world.place.wait_for_calls(len(runs))
    at = time.monotonic() + 0.05
    _at(world, at, world.place.let_go)
    answers = {id: _at(world, at + chance.uniform(-0.005, 0.02), _control(world, id, "cancel")) for id in runs}
    for id, answer in answers.items():
        assert answer.result().status_code in (200, 409), answer.result().text
        world.expected[id] = Expected(("cancelled",) if answer.result().status_code == 200 else ("completed",))


def _at(world: World, moment: float, act: Callable[[], Any]) -> Future[Any]:
    def later() -> Any:
        time.sleep(max(0.0, moment - time.monotonic()))
        return act()

    return world.background(later)


def _signal(world: World, id: str, name: str) -> Callable[[], None]:
    """Send a signal, the same one whenever it is called. A closed run refuses it."""
    body = {"name": name, "signal_id": f"{world.chance.getrandbits(64):x}", "payload": {}}

    def send() -> None:
        answer = world.person.send("POST", f"{world.person.base}/executions/{id}/signal", json=body)
        assert answer.status_code in (202, 409), answer.text

    return send


def _control(world: World, id: str, verb: str) -> Callable[[], Any]:
    return lambda: world.person.send("POST", f"{world.person.base}/executions/{id}/{verb}", json={})

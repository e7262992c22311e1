"""One repetition of a scenario: what its seed draws, the runs it starts, and what must hold when it is over."""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import psycopg
import redis

from tests.chaos.fleet import Fleet, Nurse
from tests.chaos.fleet import fleet as started_fleet
from tests.chaos.lambdas import lambda_fleet
from tests.chaos.wire import Trap, committed, within
from tests.chaos.workload import Drawn, Json, draw
from tests.e2e.person import Person
from tests.e2e.soundness import WORK, assert_sound, leftovers
from tests.e2e.stand_ins import Call, Place, Web

SETTLE = 30.0
"""Seconds in which everything must have ended."""

_TABLES = (*WORK, "history", "kept_events", "idempotency_keys", "executions")
ENDS = {
    "ExecutionCompleted": "completed", "ExecutionFailed": "failed", "ExecutionCancelled": "cancelled",
    "ExecutionTimedOut": "timed_out", "ExecutionTerminated": "terminated",
}  # fmt: skip
_WAITING = ("lf:{q:*}:s:*", "lf:{q:*}:known", "lf:{q:*}:leases")
"""Keys that exist only while a partition holds tasks."""

Scenario = Callable[["World"], None]


class Moody(Place):
    """A service that fails the first calls of a node run, as often as the seed says."""

    def __init__(self, chance: Random, most: int = 2) -> None:
        super().__init__(body={"fine": True})
        self._chance = chance
        self.most = most
        self._left: dict[str, int] = {}
        self.keys: Counter[str] = Counter()

    def answer(self, call: Call) -> tuple[int, Any]:
        key = call.headers.get("idempotency-key", "")
        with self.arrived:
            left = self._left.setdefault(key, self._chance.choice([0, 0, *range(self.most + 1)]))
            self._left[key] = left - 1
            self.keys[key] += 1
        status, body = super().answer(call)
        return (503 if left > 0 else status), body


@dataclass(frozen=True)
class Expected:
    """How a run may end, and with what result if it completes."""

    statuses: tuple[str, ...] = ("completed",)
    result: Any = None
    errors: tuple[str, ...] = ()
    """Codes with which it may fail."""

    def fits(self, last: Json) -> bool:
        """Is this the last event of such a run?"""
        status = ENDS.get(last["type"], "")
        if status == "completed" and self.result is not None and last.get("result") != self.result:
            return False
        if status == "failed" and last["error"]["code"] not in self.errors:
            return False
        return status in self.statuses


class Stage:
    """The fleet, a person, a service to call: what repetitions share."""

    def __init__(self, fleet: Any) -> None:
        self.fleet = fleet
        self.web = Web()
        self.person = Person(fleet.url, patience=40.0)

    def close(self) -> None:
        self.person.close()
        self.web.close()

    def play(self, scenario: Scenario, seed: int) -> None:
        """One repetition. Fails with an `AssertionError` if a promise is broken."""
        self.fleet.ready()
        world = World(self, seed)
        try:
            scenario(world)
            world.settle()
        except BaseException:
            world.give_up()
            raise
        finally:
            world.close()


@contextmanager
def stage(folder: Path) -> Iterator[Stage]:
    """Stores, processes and a person, for any number of repetitions."""
    with started_fleet(folder) as fleet, closing(Stage(fleet)) as made:
        yield made


@contextmanager
def lambda_stage(folder: Path) -> Iterator[Stage]:
    """The same over functions."""
    with lambda_fleet(folder) as fleet, closing(Stage(fleet)) as made:
        yield made


class World:
    """What a scenario works with."""

    def __init__(self, stage: Stage, seed: int) -> None:
        self.seed = seed
        self.chance = Random(seed)
        self.fleet: Fleet = stage.fleet  # or a `LambdaFleet`, whose scenarios know
        self.person, self.web = stage.person, stage.web
        self.path = f"/{secrets.token_hex(4)}"
        self.place = Moody(Random(seed))
        self.web.put(self.path, self.place)
        self.expected: dict[str, Expected] = {}
        self.calls = 0
        self.exact_calls = True
        self.story: list[str] = []
        self.tidy: Callable[[], Any] = lambda: None
        """Takes what lies in queues that no worker of the fleet serves: what is offered again comes at any time."""
        self._pool = ThreadPoolExecutor(4)
        self._starts: list[Future[Any]] = []
        self._lock = threading.Lock()
        self._begun = time.monotonic()

    # Runs

    @property
    def url(self) -> str:
        return self.web.url(self.path)

    def say(self, text: str) -> None:
        """For the story of a repetition that failed."""
        self.story.append(f"{time.monotonic() - self._begun:6.3f} {text}")

    def draw(self, blocks: int = 2) -> tuple[str, Drawn]:
        """Draw a workflow and save it."""
        drawn = draw(self.chance, self.url, lambda document: str(self.person.save(document)["id"]), blocks)
        return str(self.person.save(drawn.document)["id"]), drawn

    def start(self, workflow: str, drawn: Drawn | None = None, expect: Expected | None = None) -> str:
        """Start a run, and tell it of the events that it waits for."""
        key = secrets.token_hex(4)
        calls = drawn.calls if drawn else 0
        with self._lock:
            self.calls += calls
        id = self.person.start(workflow, {"key": key})
        with self._lock:
            self.expected[id] = expect or Expected(result={"answer": key})
        for name in drawn.waits if drawn else ():
            body = {"key": key, "data": {"came": name}, "id": f"{key}-{name}"}
            self.person.post(f"{self.person.base}/events/{name}", body)
        return id

    def load(self, runs: int | None = None, blocks: int = 2) -> None:
        """Drawn workflows and several runs of each, started by four people at once while the scenario goes on."""
        drawn = [self.draw(blocks) for _ in range(2)]
        for at in range(runs or self.chance.randint(3, 6)):
            workflow, what = drawn[at % len(drawn)]
            self._starts.append(self._pool.submit(self.start, workflow, what))

    def background(self, work: Callable[[], Any]) -> Future[Any]:
        """Something that goes on meanwhile; its failure is the repetition's."""
        future = self._pool.submit(work)
        self._starts.append(future)
        return future

    def started(self) -> None:
        """Until all starts were accepted."""
        for future in self._starts:
            future.result(60)
        self._starts.clear()

    # Faults

    def moment(self, longest: float = 0.25) -> None:
        """Let a drawn time pass."""
        time.sleep(self.chance.uniform(0.0, longest))

    def pause(self, seconds: float) -> None:
        time.sleep(seconds)

    def nurse(self) -> Nurse:
        return Nurse(self.fleet, self.chance.uniform(0.005, 0.1))

    def trap(
        self,
        wire: str,
        *marks: str,
        when: str,
        victim: str = "",
        then: Callable[[], Any] = lambda: None,
        nth: int = 1,
    ) -> Trap:
        """A trap on the wire to a service or store: it cuts the connection, and kills a process there and then."""
        spelled = [mark.encode() for mark in marks]
        if wire == "postgres":  # which gets its payloads as they are, or as hex
            spelled += [mark.hex().encode() for mark in spelled]
        then = self.fleet[victim].strike if victim else then
        how = {"replied": committed, "passes": within} if wire == "postgres" else {}
        self.say(f"trap on {wire}: {when} no. {nth} of {marks}, kills {victim or 'nobody'}")
        trap = Trap(tuple(spelled), when, then, nth=nth, **how)  # type: ignore[arg-type]
        return self.fleet.wires[wire].set(trap)

    def flush(self) -> None:
        """Valkey forgets everything."""
        with redis.Redis.from_url(self.fleet.valkey.url) as client:
            client.flushall()

    def sql(self, statement: str, *args: Any) -> list[tuple[Any, ...]]:
        """Ask Postgres itself, past all wires."""
        with psycopg.connect(self.fleet.postgres.url, autocommit=True) as connection:
            return connection.execute(statement, args).fetchall()  # type: ignore[arg-type]

    # The end

    def settle(self) -> None:
        """Everything ends, and what is stored is what was promised."""
        self.started()
        self.rest()
        assert_sound(self.fleet.postgres.url, expect=len(self.expected))
        self._as_expected()
        if self.exact_calls:
            assert len(self.place.keys) == self.calls, f"{self.calls} node runs made calls, under {self.place.keys}"
        self.wipe()

    def rest(self) -> None:
        """Until no run is open and nothing is left to do. Whatever lies dead by now is brought back."""
        for wire in self.fleet.wires.values():
            wire.clear()
        self.fleet.start_stores()
        until = time.monotonic() + SETTLE
        pause = 0.005
        while left := self._left():
            assert time.monotonic() < until, "\n".join(["does not come to rest:", *left[:20]])
            self.fleet.revive()
            if all(what.startswith("left in Valkey") for what in left):
                self.fleet.tidy()
                self.tidy()
            time.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    def _left(self) -> list[str]:
        try:
            with psycopg.connect(self.fleet.postgres.url, autocommit=True) as connection:
                rows = connection.execute("SELECT id::text FROM executions WHERE closed_at = 0").fetchall()
                found = [f"{id} has not ended" for (id,) in rows] + leftovers(connection)
            with redis.Redis.from_url(self.fleet.valkey.url) as client:
                found += [f"left in Valkey: {key!r}" for like in _WAITING for key in client.scan_iter(like, 1000)]
        except (psycopg.OperationalError, redis.ConnectionError) as error:
            return [f"a store does not answer: {error}"]
        return found

    def _as_expected(self) -> None:
        rows = self.sql("SELECT DISTINCT ON (execution_id) execution_id::text, events FROM history"
                        " ORDER BY execution_id, first_event DESC")  # fmt: skip
        ends = {id: json.loads(bytes(part))[-1] for id, part in rows}
        problems = []
        for id, expected in self.expected.items():
            last = ends.get(id)
            if last is None:
                problems.append(f"{id} was accepted and is not there")
            elif not expected.fits(last):
                problems.append(f"{id} ended with {last} instead of {expected}")
        assert not problems, "\n".join(problems)

    def events(self, id: str) -> list[Json]:
        """A run's events, as they are stored."""
        rows = self.sql("SELECT events FROM history WHERE execution_id = %s::uuid ORDER BY first_event", id)
        return [event for (part,) in rows for event in json.loads(bytes(part))]

    def wipe(self) -> None:
        """The next repetition begins with empty stores; people and workflows stay. A table at a time: the sweep goes on,
        and locks on several would be a deadlock."""
        with psycopg.connect(self.fleet.postgres.url, autocommit=True) as connection:
            for table in _TABLES:
                connection.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]

    def give_up(self) -> None:
        """After a failure: begin anew, with nothing left of this one."""
        self.place.let_go()
        with contextlib.suppress(Exception):
            self.fleet.ready()
            for process in self.fleet.processes.values():
                process.kill()
            self.flush()
            self.wipe()
            self.fleet.revive()

    def close(self) -> None:
        self.place.let_go()
        self.web.remove(self.path)
        self._pool.shutdown(wait=False, cancel_futures=True)

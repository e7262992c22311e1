"""More processes, and more databases: what each brings over one, and what it costs.

- ``one``: LinkFlow as one process on one Postgres, as every other workload has it.
- ``worker``: the same and one more worker process, so two that run nodes.
- ``two``: two LinkFlow processes on the same stores, each with half of the load.
- ``two-databases``: one process, two Postgres servers behind the shard map, each with half of the runs.
- ``two-and-two``: two processes, each with half of the load, on those two servers.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from statistics import fmean
from typing import Any

import msgspec
import psycopg

from linkflow.cli.client import Api
from linkflow.config import Config
from linkflow.domain.ids import SHARDS, shard_of_workflow
from linkflow.local.postgres import EmbeddedPostgres
from linkflow.local.valkey import EmbeddedValkey
from linkflow.postgres.database import Database
from linkflow.postgres.migrate import migrate_all
from linkflow.postgres.moving import Mover
from linkflow.postgres.shards import Shards

from . import queries, workflows
from .children import Child
from .cpu import Meter, parent_of
from .lab import Lab
from .report import combine
from .sizes import Figures, Size

TRIGGER = {"i": 0, "name": "order-42"}
HALF = SHARDS // 2
CHAINS = {"chain-pure": workflows.chain_pure, "chain-step-bare": workflows.chain_step_bare}

Ask = tuple[Child, dict[str, Any]]
"""A generator, and a workflow that it starts runs of."""


def processes(lab: Lab, size: Size) -> Figures:
    """Every variant with each chain. The figures at the top are those of ``one`` with the first."""
    chains = {name: CHAINS[name] for name in size.chains}
    found: dict[str, dict[str, Figures]] = {name: {} for name in chains}
    for name, document in chains.items():
        saved = lab.save({**document(), "name": f"bench processes {name}"})
        found[name]["one"] = _rate(size, lab.meter, [(lab.generator, saved)])
        with _child("hand", config=lab.config) as hand:
            meter = Meter({**lab.roots, "worker": hand.pid})
            found[name]["worker"] = _rate(size, meter, [(lab.generator, saved)])
        with _child("server", config=lab.config) as second, _generator(lab, second) as generator:
            meter = Meter({**lab.roots, "linkflow2": second.pid, "generator2": generator.pid})
            found[name]["two"] = _rate(size, meter, [(lab.generator, saved), (generator, saved)])
        lab.settle(saved)
    with _Pair(lab) as pair:
        halves = {
            name: pair.saved({**document(), "name": f"bench processes {name}"}) for name, document in chains.items()
        }
        for name, saved_there in halves.items():
            found[name]["two-databases"] = pair.rate(size, saved_there)
        pair.one_more()
        for name, saved_there in halves.items():
            found[name]["two-and-two"] = pair.rate(size, saved_there)
    for variants in found.values():
        for figures in variants.values():
            figures["ratio"] = round(figures["rate"] / (variants["one"]["rate"] or 1.0), 3)
    problems = [figures["problems"] for variants in found.values() for figures in variants.values()]
    top = found[size.chains[0]]["one"]
    return {**top, "problems": _summed(problems), "variants": found}


def lines(figures: Figures) -> list[str]:
    """The table that is printed."""
    rows = ["", f"{'processes':<34}{'rate':>8}  ×one  CPU ms a unit"]
    for chain, variants in figures["variants"].items():
        for name, found in variants.items():
            cpu = ", ".join(f"{who} {ms:.2f}" for who, ms in found["cpu_ms_per_unit"].items() if ms >= 0.005)
            rows.append(f"{chain + ' ' + name:<34}{found['rate']:>8,.0f}  {found['ratio']:.2f}  {cpu}")
    return rows


class _Pair:
    """Two Postgres servers of one installation, a Valkey, and a LinkFlow process, then two, all of their own."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._open = contextlib.ExitStack()

    def __enter__(self) -> _Pair:
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _start(self) -> None:
        home = self._lab.home / "pair"
        main, other = (self._open.enter_context(EmbeddedPostgres(home / name)) for name in ("a", "b"))
        valkey = self._open.enter_context(EmbeddedValkey(home / "a"))
        migrate_all(main.url, {"b": other.url})
        asyncio.run(_split(main.url, other.url))
        config = msgspec.structs.replace(
            self._lab.config, database_url=main.url, databases={"b": other.url}, redis_url=valkey.url
        )
        self._config = config
        server = self._open.enter_context(_child("server", config=config))
        self._api = Api(home, f"http://127.0.0.1:{server.ready['http']}")
        self._open.callback(self._api.close)
        self._api.sign_in()
        self._databases = [self._open.enter_context(psycopg.connect(s.url, autocommit=True)) for s in (main, other)]
        self._roots = {
            "linkflow": server.pid, "postgres": parent_of(self._databases[0].info.backend_pid),
            "postgres2": parent_of(self._databases[1].info.backend_pid),
        }  # fmt: skip
        self._generators = [self._generator(server), self._generator(server)]

    def _generator(self, server: Child) -> Child:
        return self._open.enter_context(_generator(self._lab, server, self._api.workspace))

    def one_more(self) -> None:
        """A second LinkFlow process, which takes half of the load."""
        server = self._open.enter_context(_child("server", config=self._config))
        self._roots["linkflow2"] = server.pid
        self._generators[1] = self._generator(server)

    def saved(self, document: dict[str, Any]) -> list[dict[str, Any]]:
        """The workflow twice: its runs are in the one database, and in the other."""
        found: dict[bool, dict[str, Any]] = {}
        for number in count():
            if len(found) == 2:
                break
            saved = self._api.save_workflow({**document, "name": f"{document['name']} {number}"})
            active = self._api.post(f"{self._api.base}/workflows/{saved['id']}/activate")["workflow"]
            upper = shard_of_workflow(saved["id"]) >= HALF
            found[upper] = {"id": saved["id"], "version": active["version"], "path": ""}
        return [found[False], found[True]]

    def rate(self, size: Size, saved: Sequence[dict[str, Any]]) -> Figures:
        """Half of the load for each workflow."""
        roots = {**self._roots, "generator": self._generators[0].pid, "generator2": self._generators[1].pid}
        figures = _rate(size, Meter(roots), list(zip(self._generators, saved, strict=True)))
        for workflow, database in zip(saved, self._databases, strict=True):
            row = database.execute(queries.RUNS, {"workflow": workflow["id"]}).fetchone()
            if not row or not row[0]:
                figures["problems"]["a database without runs"] = 1
        return figures


async def _split(main: str, other: str) -> None:
    first, second = Database(main, knows=("default", "b")), Database(other, knows=("default", "b"))
    try:
        await Mover(Shards(first, {"b": second})).move(HALF, SHARDS - 1, "b")
    finally:
        await first.close()
        await second.close()


@contextlib.contextmanager
def _child(module: str, *, config: Config) -> Iterator[Child]:
    child = Child(module, {"config": msgspec.to_builtins(config)})
    try:
        yield child
    finally:
        child.stop()


@contextlib.contextmanager
def _generator(lab: Lab, server: Child, workspace: str = "") -> Iterator[Child]:
    ask = {
        "secret": lab.secret, "grpc": {"linkflow": server.ready["grpc"]},
        "workspace": workspace or lab.api.workspace,
    }  # fmt: skip
    child = Child("generator", ask)
    try:
        yield child
    finally:
        child.stop()


def _rate(size: Size, meter: Meter, asks: Sequence[Ask]) -> Figures:
    """Warm up, then measure; the load is divided among the generators."""
    share = max(1, size.in_flight // len(asks))
    _load(meter, asks, share, seconds=size.warm_up)
    runs = [_load(meter, asks, share, seconds=size.seconds, lead=size.lead) for _ in range(size.runs)]
    return combine(runs, "executions/s")


def _load(meter: Meter, asks: Sequence[Ask], in_flight: int, **more: float) -> dict[str, Any]:
    before = meter.read()
    with ThreadPoolExecutor(len(asks)) as pool:
        waiting = [
            pool.submit(
                generator.ask, "runs", at="linkflow", workflow=workflow, trigger=TRIGGER, in_flight=in_flight, **more
            )
            for generator, workflow in asks
        ]
        found = [one.result() for one in waiting]
    return {
        "rate": sum(one["rate"] for one in found), "p50_ms": fmean(one["p50_ms"] for one in found),
        "p99_ms": max(one["p99_ms"] for one in found), "cpu": meter.since(before),
        "done": sum(one["done"] for one in found), "elapsed": max(one["elapsed"] for one in found),
        "problems": _summed([one["problems"] for one in found]),
    }  # fmt: skip


def _summed(problems: Sequence[Mapping[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for some in problems:
        for text, times in some.items():
            found[text] = found.get(text, 0) + times
    return found

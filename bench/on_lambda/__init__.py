"""The workload `lambda`: what runs take from AWS, and what that costs. bench/README.md says how to read it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from typing import Any

import httpx
import redis

from bench import workflows
from bench.cpu import Meter
from bench.lab import Lab
from bench.on_lambda.books import Books, log_of, read, reported
from bench.on_lambda.deployment import FUNCTIONS, Deployment, deployed
from bench.on_lambda.money import cold_start, cost, idle, step_functions
from bench.report import RESULTS, combine, percentile
from bench.sizes import Figures, Size
from linkflow.cli.client import Api

TRIGGER = {"i": 0, "name": "order-42"}
BUSY = 8
"""Starts in flight where a worker is to have company."""


def on_lambda(lab: Lab, size: Size) -> Figures:
    """Ten pure nodes, ten nodes with an effect (alone, and among others), and a webhook, on the deployed functions."""
    with tempfile.TemporaryDirectory(prefix="lambda-", dir=RESULTS, ignore_cleanup_errors=True) as folder:
        lab.server.stop()  # its loops would do the functions' work
        with deployed(lab.url, lab.redis_url, lab.secret, lab.address, Path(folder)) as deployment:
            return _Session(lab, deployment, size).figures()


class _Session:
    def __init__(self, lab: Lab, deployment: Deployment, size: Size) -> None:
        self._lab, self._deployment, self._size = lab, deployment, size
        self._asked = 0
        """Transactions of our own, which nobody is billed for."""
        self._api = Api(lab.home, deployment.url)
        self._cache = redis.Redis.from_url(lab.redis_url)
        self._http = httpx.Client(base_url=deployment.url, timeout=60.0, trust_env=False)
        self._meter = Meter({name: pid for name, pid in lab.roots.items() if name == "postgres"})

    def figures(self) -> Figures:
        """Every case, the cold starts, and what an idle month costs; the figures of chain-pure stand for the workload."""
        self._api.sign_in()
        few, many = max(2, self._size.lambda_runs // 10), self._size.lambda_runs
        cases = {
            "chain-pure": self._case(workflows.chain_pure(), self._wait, many),
            "webhook": self._case(workflows.webhook("wait"), self._hook, many),
            "chain-step": self._case(
                workflows.chain_step(self._lab.address), self._start, many, min(BUSY, self._size.in_flight)
            ),
            "chain-step alone": self._case(workflows.chain_step(self._lab.address), self._start, few),
        }
        pure = cases["chain-pure"]
        month = idle(self._tick(), self._deployment.shapes)
        cold = {name: self._cold(name) for name in FUNCTIONS}
        return {
            **combine([pure.pop("window")], "executions/s"),
            "cases": {name: {key: value for key, value in case.items() if key != "window"} for name, case in cases.items()},
            "cold": cold,
            "idle_month": month,
            "step_functions": step_functions(workflows.NODES),
        }  # fmt: skip

    def _case(
        self, document: dict[str, Any], act: Callable[[dict[str, Any]], None], runs: int, in_flight: int = 1
    ) -> dict[str, Any]:
        """Warm up, which starts the environments; then so many runs, and what they took."""
        workflow = self._save({**document, "name": f"{document['name']} {time.time()}"})
        self._run(workflow, act, max(min(4, runs), in_flight), in_flight)
        before, spent, begin = self._read(), self._meter.read(), time.perf_counter()
        times = self._run(workflow, act, runs, in_flight)
        length = time.perf_counter() - begin
        books, cores = self._read() - before, self._meter.since(spent)
        stored = self._lab.stored(workflow)
        problems = {name: stored[name] for name in ("not_completed", "runs_with_missing_events") if stored[name]}
        window = {
            "rate": runs / length, "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99), "cpu": cores,
            "problems": problems,
        }  # fmt: skip
        return {"window": window, **cost(books, self._deployment.shapes, runs, workflows.NODES), "problems": problems}

    def _run(
        self, workflow: dict[str, Any], act: Callable[[dict[str, Any]], None], runs: int, in_flight: int
    ) -> list[float]:
        def one(_: int) -> float:
            begin = time.perf_counter()
            act(workflow)
            if in_flight == 1:
                self._settle(workflow)  # so that no run finds the last one's worker still there
            return 1000 * (time.perf_counter() - begin)

        with ThreadPoolExecutor(in_flight) as threads:
            times = sorted(threads.map(one, range(runs)))
        self._settle(workflow)
        return times

    def _settle(self, workflow: dict[str, Any]) -> None:
        def over() -> bool:
            self._asked += 1
            return self._lab.running(workflow) == 0

        self._deployment.settle(over)

    def _save(self, document: dict[str, Any]) -> dict[str, Any]:
        saved = self._api.save_workflow(document)
        active = self._api.post(f"{self._api.base}/workflows/{saved['id']}/activate")["workflow"]
        hooks = [trigger["url"] for trigger in active["triggers"] if trigger["type"] == "webhook"]
        return {"id": saved["id"], "hook": hooks[0] if hooks else ""}

    def _start(self, workflow: dict[str, Any], wait: str = "") -> None:
        self._api.post(f"{self._api.base}/workflows/{workflow['id']}/execute{wait}", {"input": TRIGGER})

    def _wait(self, workflow: dict[str, Any]) -> None:
        self._start(workflow, "?wait=20")

    def _hook(self, workflow: dict[str, Any]) -> None:
        answer = self._http.post(
            workflow["hook"], content=json.dumps(TRIGGER), headers={"Content-Type": "application/json"}
        )
        if f'"k{workflows.NODES - 1}"' not in answer.text:
            raise RuntimeError(f"the webhook answers {answer.status_code}: {answer.text[:200]}")

    def _tick(self) -> dict[str, float]:
        """The clock's invocation while nothing falls due: means of a few."""
        count = min(10, self._size.lambda_runs)
        self._cache.set("lf:{clock}:since", 1)  # nobody has worked for long: the clock rests
        self._cache.delete("lf:{clock}:state")
        self._deployment.invoke("timer", {"tick": {"seconds": 55}})
        before = self._read(0.0)
        for _ in range(count):
            self._deployment.invoke("timer", {"tick": {"seconds": 55}})
        taken = (self._read(0.0) - before).functions["timer"]
        return {"wall_ms": taken.wall_ms / count, "cpu_ms": taken.cpu_ms / count}

    def _cold(self, name: str) -> dict[str, Any]:
        """What an environment takes before its first event; Lambda initialises on a whole processor."""
        _, starts = reported(log_of(self._deployment, name))
        return cold_start(median(starts), self._deployment.shapes[name]) if starts else {}

    def _read(self, wait: float | None = None) -> Books:
        time.sleep(self._size.flush if wait is None else wait)
        books = read(self._deployment, self._lab.database, self._cache, self._lab.roots["postgres"])
        books.stores["transactions"] -= self._asked
        return books

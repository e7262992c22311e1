"""The workloads of the design's table. Each takes the set-up and a size, and returns its figures."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from . import api, expressions, standing, workflows
from .lab import Lab
from .on_lambda import on_lambda
from .processes import processes
from .report import combine, percentile
from .sizes import IN_FLIGHT, Figures, Size

BATCHES = (1, 20, 100)
FLOOR_BATCH = 20
"""The batch size of the floor that ratios are taken against."""

LAST = f'"k{workflows.NODES - 1}":{2 * (workflows.NODES - 1)}'
"""What only the last node's output has."""


def _rounds(lab: Lab, size: Size, unit: str, command: str, **ask: Any) -> Figures:
    """Warm up, then measure `runs` times."""
    lab.load(command, seconds=size.warm_up, **ask)
    ask |= {"seconds": size.seconds, "lead": size.lead}
    return combine([lab.load(command, **ask) for _ in range(size.runs)], unit)


def _checked(lab: Lab, workflow: dict[str, Any], figures: Figures) -> Figures:
    """Hold what was reported against what is stored."""
    figures["stored"] = lab.checked(workflow, figures["problems"])
    return figures


def _chain(lab: Lab, size: Size, document: dict[str, Any], in_flight: int = 0) -> Figures:
    workflow = lab.save(document)
    ask = {
        "at": "linkflow",
        "workflow": workflow,
        "trigger": {"i": 0, "name": "order-42"},
        "in_flight": in_flight or size.in_flight,
    }
    return _checked(lab, workflow, _rounds(lab, size, "executions/s", "runs", **ask))


def chain_pure(lab: Lab, size: Size) -> Figures:
    """Each run is measured right behind a run of the floor, so that both have the same weather."""
    workflow = lab.save(workflows.chain_pure())
    ask = {"at": "linkflow", "workflow": workflow, "trigger": {"i": 0, "name": "order-42"}, "in_flight": size.in_flight}
    lab.load("runs", seconds=size.warm_up, **ask)
    floor, runs, ratios = lab.floor(lab.sample(workflow)), [], []
    floors: dict[int, list[float]] = {batch: [] for batch in BATCHES}
    try:
        floor.ask("rate", batch=FLOOR_BATCH, seconds=size.warm_up / 2)
        for _ in range(size.runs):
            floors[FLOOR_BATCH].append(floor.ask("rate", batch=FLOOR_BATCH, seconds=size.seconds / 2)["rate"])
            runs.append(lab.load("runs", seconds=size.seconds, lead=size.lead, **ask))
            ratios.append(runs[-1]["rate"] / floors[FLOOR_BATCH][-1])
        for batch in BATCHES:
            if batch != FLOOR_BATCH:
                floors[batch].append(floor.ask("rate", batch=batch, seconds=size.seconds / 2)["rate"])
        two = floor.ask("rate", batch=FLOOR_BATCH, seconds=size.seconds / 2, shape="two")["rate"]
        written = floor.ask("check")
    finally:
        floor.stop()
    figures = combine(runs, "executions/s")
    figures["floor_ratio"] = round(median(ratios), 3)
    figures["floor"] = {
        "batch": FLOOR_BATCH, "rates": {str(batch): round(median(rates)) for batch, rates in floors.items()},
        "two_commits": round(two), "rows": written,
    }  # fmt: skip
    return _checked(lab, workflow, figures)


def chain_step(lab: Lab, size: Size) -> Figures:
    return _chain(lab, size, workflows.chain_step(lab.address))


def chain_step_bare(lab: Lab, size: Size) -> Figures:
    return _chain(lab, size, workflows.chain_step_bare())


def idle_latency(lab: Lab, size: Size) -> Figures:
    return _chain(lab, size, {**workflows.chain_pure(), "name": "bench idle-latency"}, in_flight=1)


def idle_step(lab: Lab, size: Size) -> Figures:
    return _chain(lab, size, {**workflows.chain_step_bare(), "name": "bench idle-step"}, in_flight=1)


def _webhook(
    lab: Lab, size: Size, document: dict[str, Any], status: int, contains: str, in_flight: int = 0
) -> tuple[dict[str, Any], Figures]:
    workflow = lab.save(document)
    body = json.dumps({"i": 0, "name": "order-42"})
    figures = _rounds(
        lab, size, "requests/s", "hooks", port=lab.http, path=workflow["path"], body=body, status=status,
        contains=contains, in_flight=in_flight or size.in_flight,
    )  # fmt: skip
    return workflow, figures


def webhook_sync(lab: Lab, size: Size) -> Figures:
    """The answer has to be the last node's output."""
    workflow, figures = _webhook(lab, size, workflows.webhook("wait"), 200, LAST)
    return _checked(lab, workflow, figures)


def idle_webhook(lab: Lab, size: Size) -> Figures:
    document = {**workflows.webhook("wait"), "name": "bench idle-webhook"}
    workflow, figures = _webhook(lab, size, document, 200, LAST, in_flight=1)
    return _checked(lab, workflow, figures)


def webhook_async(lab: Lab, size: Size) -> Figures:
    """The runs are run all the same: `backlog_s` is how long after the last answer the engine was done with them."""
    workflow, figures = _webhook(lab, size, workflows.webhook("immediate"), 202, "execution_id")
    figures["backlog_s"] = round(lab.settle(workflow), 2)
    return _checked(lab, workflow, figures)


def fan_out(lab: Lab, size: Size) -> Figures:
    """One run at a time; a run's items are its unit. Percentiles are of a whole run."""
    workflow = lab.save(workflows.fan_out(concurrency=100))
    items = {"items": list(range(size.items))}
    ask = {"at": "linkflow", "workflow": workflow, "trigger": items, "in_flight": 1, "seconds": 120.0}
    lab.load("runs", limit=1, **ask)
    begin = time.perf_counter()
    runs: list[Figures] = []
    while len(runs) < size.runs or time.perf_counter() - begin < size.seconds:
        runs.append(lab.load("runs", limit=1, **ask))
    for run in runs:
        run["rate"] *= size.items
    return _checked(lab, workflow, combine(runs, "items/s"))


def timers(lab: Lab, size: Size) -> Figures:
    """Runs that all fall due in one second, and then a steady stream; lateness is until the run has closed."""
    burst, steady = workflows.timer(), {**workflows.timer(), "name": "bench timers steady"}
    rate = 200 / lab.load("starts", workflow=lab.save({**burst, "name": "bench timers warm-up"}), in_flight=IN_FLIGHT,
                          untils=[round(time.time() * 1000)] * 200)["seconds"]  # fmt: skip
    many = _fire(lab, lab.save(burst), size.timers, 1.0, rate)
    even = _fire(lab, lab.save(steady), round(500 * size.steady), size.steady, rate)
    late = many["late"]
    run = {
        "rate": size.timers / max(0.001, many["span_s"]), "p50_ms": percentile(late, 0.5), "cpu": many["cpu"],
        "p99_ms": percentile(late, 0.99), "problems": many["problems"] | even["problems"],
    }  # fmt: skip
    return combine([run], "timers/s") | {
        "last_ms": late[-1],
        "all_durable_ms": round(many["durable_ms"]),
        "steady_p50_ms": percentile(even["late"], 0.5),
        "steady_p99_ms": percentile(even["late"], 0.99),
        "steady_cores": even["cpu"],
        "stored": many["stored"],
    }


def _fire(lab: Lab, workflow: dict[str, Any], count: int, spread: float, rate: float) -> dict[str, Any]:
    """Start runs that wait for times spread evenly over `spread` seconds, and see how late they close."""
    due = round(time.time() * 1000) + round(1000 * (0.5 + 2.5 * count / rate))
    untils = [due + round(1000 * spread * at / count) for at in range(count)]
    lab.generator.ask("starts", workflow=workflow, untils=untils, in_flight=IN_FLIGHT)
    problems = {"started after the first was due": 1} if time.time() * 1000 > due else {}
    time.sleep(max(0.0, due / 1000 - time.time()))
    before = lab.meter.read()
    lab.settle(workflow)
    durable, cpu = time.time() * 1000 - untils[-1], lab.meter.since(before)
    late, stored = lab.lateness(workflow), lab.stored(workflow)
    if stored["completed"] != count:
        problems["not completed"] = count - stored["completed"]
    span = spread + late[-1] / 1000
    return {
        "late": late, "cpu": cpu, "durable_ms": durable, "stored": stored, "problems": problems, "span_s": span
    }  # fmt: skip


WORKLOADS: dict[str, Callable[[Lab, Size], Figures]] = {
    "chain-pure": chain_pure,
    "chain-step": chain_step,
    "idle-latency": idle_latency,
    "webhook-sync": webhook_sync,
    "webhook-async": webhook_async,
    "fan-out": fan_out,
    "timers": timers,
}
"""Measured unless some are named."""

EXTRA: dict[str, Callable[[Lab, Size], Figures]] = {
    "chain-step-bare": chain_step_bare,
    "idle-step": idle_step,
    "idle-webhook": idle_webhook,
    "api-list": api.api_list,
    "api-show": api.api_show,
    "api-execute": api.api_execute,
    "expressions": lambda _lab, size: expressions.measure(size),
    "growth": standing.growth,
    "in-flight": standing.in_flight,
    "memory": standing.memory,
    "startup": standing.startup,
    "lambda": on_lambda,
    "processes": processes,
}
"""Measured when named, and with --all."""

WITH_PEERS = ("chain-step-bare", "idle-step", "idle-webhook")
"""What peers' durable steps are held against: measured as well, where peers are."""

OWN_LAB = ("lambda",)
"""It takes the place of the server that the others share."""

ALONE = ("in-flight", "memory", "startup", "lambda", "processes", "growth")
"""Each best on stores of its own, which --all gives it."""


def ceiling(lab: Lab, seconds: float) -> dict[str, Any]:
    """What the generator reaches against servers that do nothing: the most that it could measure."""
    null = {"id": "", "version": 1}
    rates = {}
    for in_flight in (1, IN_FLIGHT):
        found = lab.load("runs", at="null", workflow=null, trigger={"i": 0}, in_flight=in_flight, seconds=seconds)
        rates[f"grpc_{in_flight}"] = round(found["rate"])
    found = lab.load(
        "hooks", port=lab.standin.ready["http"], path="/", body="{}", in_flight=IN_FLIGHT, seconds=seconds, status=200,
        contains="ok",
    )  # fmt: skip
    return {**rates, f"http_{IN_FLIGHT}": round(found["rate"])}

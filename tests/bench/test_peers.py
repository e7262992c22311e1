"""The benchmark's pieces that need no peer: ratios, their table, windows, and what happens to a peer that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from bench import peers, workflows, workloads
from bench.__main__ import stages
from bench.lab import Lab
from bench.peer_scripts.in_flight import BEGIN, STEPS, bump
from bench.peers import each, n8n, ratios, tools
from bench.peers.running import Running, Server, free_port
from bench.sizes import TINY, Size
from bench.window import Window

WORKLOADS = {
    "chain-pure": {"rate": 800.0, "cpu_ms_per_unit": {"linkflow": 1.0, "postgres": 0.25}},
    "chain-step-bare": {"rate": 200.0, "cpu_ms_per_unit": {"linkflow": 4.0, "postgres": 1.0}},
    "chain-step": {"rate": 100.0, "cpu_ms_per_unit": {"linkflow": 8.0, "postgres": 1.0, "standin": 50.0}},
    "idle-latency": {"rate": 240.0, "p50_ms": 4.0},
    "timers": {"rate": 9000.0},
}
PEER = {
    "version": "1.0",
    "durable": ratios.STEP,
    "fair": "chain-step-bare",
    "rate": 20.0,
    "idle_p50_ms": 60.0,
    "cpu_ms_per_unit": {"worker": 30.0, "postgres": 10.0},
}


def test_ratios_say_how_many_times_better_linkflow_is() -> None:
    found = ratios.with_ratios({"dbos": PEER}, WORKLOADS)["dbos"]
    assert found["cpu_ms"] == 40.0
    assert found["ratio"] == {
        "chain-step-bare": {"rate": 10.0, "cpu": 8.0, "idle_p50": None},
        "chain-pure": {"rate": 40.0, "cpu": 32.0, "idle_p50": 15.0},
        "chain-step": {"rate": 5.0, "cpu": 4.44, "idle_p50": None},
    }


def test_the_service_that_is_called_is_no_part_of_an_engines_cost() -> None:
    assert ratios.cpu_of(WORKLOADS["chain-step"]) == 9.0


def test_where_no_cpu_is_known_there_is_no_ratio_of_it() -> None:
    bare = {**PEER, "cpu_ms_per_unit": {}}
    ratio = ratios.with_ratios({"dbos": bare}, WORKLOADS)["dbos"]["ratio"]
    assert {name: one["cpu"] for name, one in ratio.items()} == dict.fromkeys(ratio)


def test_the_table_has_peers_ratios_and_reasons() -> None:
    missing = {"version": "2", "durable": ratios.END, "unavailable": "no such package"}
    broken = {"version": "2", "durable": ratios.END, "failed": "RuntimeError: it fell over"}
    found = ratios.with_ratios({"dbos": PEER, "n8n": missing, "restate": broken}, WORKLOADS)
    text = ratios.lines(found, WORKLOADS)
    assert [line.split() for line in text if line.startswith("dbos")] == [
        [
            "dbos",
            "1.0",
            "every",
            "step",
            "20.0",
            "60.0",
            "40.0",
            "10.0x",
            "(8.0x)",
            "*",
            "40.0x",
            "(32.0x)",
            "5.0x",
            "(4.4x)",
        ]
    ]
    assert [line.split() for line in text if line.startswith("our chain-pure")] == [
        ["our", "chain-pure", "the", "end", "800.0", "4.0", "1.2"]
    ]
    assert "n8n: no such package" in text
    assert "restate: RuntimeError: it fell over" in text
    assert ratios.lines({}, WORKLOADS) == []


def test_a_peer_that_cannot_be_had_or_falls_over_stops_nothing() -> None:
    @contextlib.contextmanager
    def absent(lab: Lab, folder: Path) -> Iterator[Running]:
        raise tools.Unavailable("it is for another machine")
        yield

    @contextlib.contextmanager
    def broken(lab: Lab, folder: Path) -> Iterator[Running]:
        raise OSError("no port")
        yield

    nowhere = cast("Any", None)
    found = peers._guarded(nowhere, TINY, each.Peer("1", ratios.END, "chain-pure", "", absent))
    assert found["unavailable"] == "it is for another machine"
    found = peers._guarded(nowhere, TINY, each.Peer("1", ratios.END, "chain-pure", "", broken))
    assert found["failed"] == "OSError: no port"


def test_a_requirement_that_nobody_has_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "HOME", tmp_path)
    monkeypatch.setattr(tools, "PYTHON", tmp_path / "bin" / "python")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text("#!/bin/sh\necho no index >&2\nexit 1\n")
    (tmp_path / "bin" / "python").chmod(0o755)
    with pytest.raises(tools.Unavailable, match="dbos==1: no index"):
        tools.python("dbos==1")


@pytest.mark.parametrize(
    ("latency", "wanted"), [(0.1, [8.0, 8.0, 8.0]), (1.6, [8.0] * 3), (2.0, [24.0]), (7.0, [35.0]), (60.0, [45.0])]
)
def test_windows_are_long_against_an_execution(latency: float, wanted: list[float]) -> None:
    assert peers.windows(Size(), latency) == wanted


def test_a_peer_is_measured_in_windows_and_its_cost_counted_over_all_it_did() -> None:
    asked = []

    def load(**ask: Any) -> dict[str, Any]:
        asked.append(ask)
        return {
            "rate": 50.0, "p50_ms": 20.0, "p99_ms": 30.0, "done": 100, "elapsed": 2.0, "problems": {},
        }  # fmt: skip

    found = peers._measured(Running(load, {}, lambda: None), TINY)
    assert [ask["in_flight"] for ask in asked] == [1, 1, TINY.in_flight, TINY.in_flight]
    assert found["rate"] == 50.0
    assert found["idle_p50_ms"] == 20.0
    assert "floor_ratio" not in found


def test_a_peer_that_does_nothing_has_failed() -> None:
    def load(**ask: Any) -> dict[str, Any]:
        return {
            "rate": 0.0, "p50_ms": 0.0, "p99_ms": 0.0, "done": 0, "elapsed": 1.0, "problems": {"HTTP 500": 9},
        }  # fmt: skip

    with pytest.raises(RuntimeError, match="HTTP 500"):
        peers._measured(Running(load, {}, lambda: None), TINY)


def test_a_server_that_hangs_can_be_killed(tmp_path: Path) -> None:
    port = free_port()
    deaf = f"import socket, time; s = socket.create_server(('127.0.0.1', {port})); time.sleep(60)"
    with Server([sys.executable, "-c", deaf], port, tmp_path / "log") as server:
        assert (Path("/proc") / str(server.pid)).exists()
        server.kill()
        server.kill()
    assert not (Path("/proc") / str(server.pid)).exists()


def test_a_server_that_ends_says_why(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "raise SystemExit('no licence')"]
    with pytest.raises(RuntimeError, match="no licence"), Server(command, free_port(), tmp_path / "log"):
        pass


async def test_a_window_counts_what_ended_within_it_and_all_that_was_done() -> None:
    window, left = Window(0.05, lead=0.0, limit=4), iter(["", "", "broken", ""])

    async def call() -> str:
        await asyncio.sleep(0)
        return next(left)

    await window.caller(call)
    found = window.result()
    assert (found["done"], found["problems"]) == (3, {"broken": 1})
    assert found["count"] == 3
    assert found["rate"] == pytest.approx(3 / found["seconds"])


def test_every_peer_does_the_same_as_linkflows_nodes() -> None:
    data = BEGIN
    for _ in range(STEPS):
        data = bump(data)
    assert data == {"name": "order-42", "i": STEPS, **{f"k{at}": 2 * at for at in range(STEPS)}}
    ours = [node for node in workflows.chain_pure()["nodes"] if node["type"] == "transform"]
    theirs = [node for node in n8n.workflow()["nodes"] if node["type"].endswith(".set")]
    assert len(ours) == len(theirs) == STEPS
    assert {peer.fair for peer in each.PEERS.values()} <= set(ratios.AGAINST)


def test_a_peers_workflow_is_a_chain() -> None:
    made = n8n.workflow()
    names = [node["name"] for node in made["nodes"]]
    follows = {a: edges["main"][0][0]["node"] for a, edges in made["connections"].items()}
    assert follows == dict(itertools.pairwise(names))
    assert made["settings"]["saveDataSuccessExecution"] == "all"


def test_workloads_share_stores_but_for_those_that_cannot() -> None:
    assert stages(["chain-pure", "timers"], peers=False, everything=False) == [["chain-pure", "timers"]]
    assert stages(["lambda", "chain-pure"], peers=False, everything=False) == [["chain-pure"], ["lambda"]]
    assert stages(["lambda"], peers=False, everything=False) == [["lambda"]]
    assert stages(["chain-pure"], peers=True, everything=False) == [["chain-pure", *workloads.WITH_PEERS]]
    found = stages(list(workloads.WORKLOADS), peers=True, everything=True)
    assert found[1:] == [[name] for name in workloads.ALONE]
    assert {name for names in found for name in names} == {*workloads.WORKLOADS, *workloads.EXTRA}, "--all is all"

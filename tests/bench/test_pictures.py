"""Pictures of figures, and a profile in words."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import pytest

from bench import drawing, profile
from bench.drawing import Bar, Series, Words
from bench.pictures import pictures

SVG = "{http://www.w3.org/2000/svg}"
COST = {"linkflow": 1.0, "postgres": 0.2}
RESULT: dict[str, Any] = {
    "machine": {"cpu": "Some <CPU>", "cores": 2, "at": "2026-11-23T07:00:00Z"},
    "workloads": {
        "chain-pure": {"rate": 900.0, "cpu_ms_per_unit": COST},
        "in-flight": {"levels": [{"in_flight": n, "rate": 100.0 * n, "p50_ms": n, "p99_ms": 3.0 * n} for n in (1, 2, 50)]},
        "growth": {"levels": [{"stored": n, "rate": 900.0, "cpu_ms_per_unit": COST} for n in (0, 10_000, 1_000_000)]},
        "lambda": {
            "cases": {"chain-pure": {"invocations_per_run": 1.0, "per_million_node_runs": {"total": 0.42}}},
            "step_functions": {"standard": 25.0, "express": 0.11},
        },
    },
    "peers": {
        "dbos": {"version": "3.4.0", "durable": "every step", "rate": 34.0, "cpu_ms": 39.0},
        "n8n": {"version": "2", "durable": "the end", "unavailable": "no"},
    },
}  # fmt: skip


def texts(svg: str) -> list[str]:
    return [found.text or "" for found in ElementTree.fromstring(svg).iter(f"{SVG}text")]


def test_every_figure_has_its_picture() -> None:
    found = pictures(RESULT)
    assert set(found) == {
        "throughput.svg", "latency.svg", "growth.svg", "growth-cpu.svg", "peers.svg", "peers-cpu.svg", "cost.svg",
    }  # fmt: skip
    for svg in found.values():
        assert "prefers-color-scheme:dark" in svg
        assert ElementTree.fromstring(svg).get("role") == "img"
    assert "Some <CPU>, 2 cores for everything, 2026-11-23" in texts(found["throughput.svg"])
    assert {"dbos", "chain-pure", "900", "34"} <= set(texts(found["peers.svg"]))
    assert "n8n" not in texts(found["peers.svg"]), "what was not measured is not drawn"
    assert {"$0.42", "$25.00", "1 invocation a run"} <= set(texts(found["cost.svg"]))


def test_what_was_not_measured_is_not_drawn() -> None:
    assert pictures({"workloads": {"chain-pure": RESULT["workloads"]["chain-pure"]}, "peers": {}}) == {}


def test_lines_begin_at_zero_and_end_above_the_highest_point() -> None:
    svg = drawing.lines(Words("Rate", "1/s"), "load", ["1", "2"], [Series("a", [300.0, 1000.0])])
    root = ElementTree.fromstring(svg)
    ticks = [text for text in texts(svg) if re.fullmatch(r"[\d,]+", text)][:5]
    assert ticks == ["0", "300", "600", "900", "1,200"]
    (line,) = root.iter(f"{SVG}polyline")
    ys = [float(point.split(",")[1]) for point in (line.get("points") or "").split()]
    assert ys == [
        pytest.approx(drawing.TOP + drawing.PLOT * 0.75),
        pytest.approx(drawing.TOP + drawing.PLOT / 6, abs=0.1),
    ]


def test_figures_of_lines_that_meet_do_not_cover_each_other() -> None:
    svg = drawing.lines(
        Words("Latency", "ms"), "", ["1"], [Series("p50", [4.0]), Series("p99", [6.0]), Series("max", [400.0])]
    )
    root = ElementTree.fromstring(svg)
    ys = sorted(float(t.get("y") or 0) for t in root.iter(f"{SVG}text") if (t.get("class") or "").startswith("l "))
    assert all(b - a >= 11 for a, b in itertools.pairwise(ys))
    assert max(ys) < drawing.TOP + drawing.PLOT, "and not the axis"


def test_bars_are_as_long_as_their_values() -> None:
    svg = drawing.bars(Words("Rate", "1/s"), [Bar("a", 10.0, "10"), Bar("b", 2.5, "2.5", 1, "below")], ["x", "y"])
    wide = [
        float(r.get("width") or 0)
        for r in ElementTree.fromstring(svg).iter(f"{SVG}rect")
        if r.get("height") == str(drawing.BAR)
    ]
    assert wide[1] == pytest.approx(wide[0] / 4, abs=0.1)


@pytest.mark.parametrize(
    ("value", "wanted"), [(0.0, 1.0), (0.17, 0.2), (0.93, 1.2), (1.0, 1.2), (930.0, 1200.0), (9999.0, 12000.0)]
)
def test_an_axis_ends_at_a_round_number(value: float, wanted: float) -> None:
    assert drawing.round_up(value) == pytest.approx(wanted)


STACKS = """\
<module> (bench/server.py:48);run (linkflow/cli/serve.py:148);decide (linkflow/domain/decider.py:70) 6
<module> (bench/server.py:48);run (linkflow/cli/serve.py:148);_send (psycopg/connection.py:9) 3
run (linkflow/cli/serve.py:148);PQexec (libpq.so.5) 1
Thread.run (threading.py:982);_worker (concurrent/futures/thread.py:81) 7

no sample here
"""


def test_a_profile_is_read_by_function_and_by_module() -> None:
    found = profile.read(STACKS.splitlines())
    assert found.samples == 10
    assert found.own == {"decide (linkflow.domain.decider)": 6, "_send (psycopg)": 3, "PQexec (libpq (C))": 1}
    assert found.modules == {"linkflow.domain": 6, "psycopg": 3, "libpq (C)": 1}
    assert found.all["run (linkflow.cli.serve)"] == 10
    assert found.parts["linkflow.cli"] == 10


@pytest.mark.parametrize(
    ("file", "wanted"),
    [
        ("linkflow/domain/decider.py", "linkflow.domain"),
        ("linkflow/services/history/committer.py", "linkflow.services.history"),
        ("/srv/layers/linkflow/python/linkflow/postgres/database.py", "linkflow.postgres"),
        ("linkflow/clock.py", "linkflow"),
        ("/usr/lib/python3.11/json/decoder.py", "json"),
        ("/x/.venv/lib/python3.11/site-packages/pydantic/main.py", "pydantic"),
        ("asyncio/runners.py", "asyncio"),
        ("_cmsgpec.cpython-311-x86_64-linux-gnu.so", "_cmsgpec (C)"),
        ("", "?"),
    ],
)
def test_a_file_belongs_to_a_module(file: str, wanted: str) -> None:
    assert profile.module_of(file) == wanted


def test_a_profile_in_words_is_a_table_of_shares() -> None:
    text = profile.words(profile.read(STACKS.splitlines()), "chain-pure", top=1)
    assert text.startswith("chain-pure, 10 samples. By the module whose code runs: linkflow.domain 60 %, psycopg 30 %")
    assert "| `decide (linkflow.domain.decider)` | 60.0 % |" in text
    assert "_send" not in text

"""A month's bill, before it comes."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from linkflow.cli import main
from linkflow.domain import costing, estimating
from linkflow.domain.estimating import Month
from linkflow.domain.measured import CALLS_ALONE, NODES, PURE


def test_what_was_measured_is_what_is_asked() -> None:
    found = estimating.usage(Month(executions=1, nodes=NODES))
    assert (found.gb_seconds, found.invocations, found.http_requests) == (PURE.gb_seconds, 1, 1)
    found = estimating.usage(Month(executions=2, nodes=NODES, calls=NODES, alone=True, kept=1))
    assert found.gb_seconds == pytest.approx(2 * CALLS_ALONE.gb_seconds)
    assert found.invocations == 2 * CALLS_ALONE.invocations
    assert found.stored_gb_months == pytest.approx(2 * CALLS_ALONE.stored_gb)


def test_a_month_in_which_nothing_runs_costs_what_idles() -> None:
    found = estimating.bill(Month(executions=0, nodes=1))
    assert found["total"] == pytest.approx(sum(dollars for part, dollars in found.items() if part.startswith("idle")))
    assert found["total"] < 10
    assert estimating.bill(Month(executions=0, nodes=1, idle=False))["total"] == 0


def test_runs_that_are_spread_keep_the_database_up() -> None:
    few = estimating.bill(Month(executions=1e4, nodes=10))
    assert few["idle: database"] + few["database compute"] == pytest.approx(730 * 0.5 * 0.12)
    night = estimating.bill(Month(executions=1e4, nodes=10, hours=30))
    looks = 0.5 * 730 / 6 * 8 / 60 * 0.12
    assert night["idle: database"] + night["database compute"] == pytest.approx(30 * 0.06 + 700 / 730 * looks)
    own = estimating.bill(Month(executions=1e4, nodes=10, idle=False))
    assert "idle: database" not in own


@given(st.floats(1, 1e9), st.integers(1, 500), st.floats(0, 36))
def test_more_never_costs_less(executions: float, nodes: int, kept: float) -> None:
    def total(**more: object) -> float:
        asked = {"executions": executions, "nodes": nodes, "kept": kept} | more
        return estimating.bill(Month(hours=100, **asked))["total"]  # type: ignore[arg-type]

    least = total()
    assert total(nodes=nodes + 1) >= least
    assert total(executions=2 * executions) > least
    assert total(calls=nodes, alone=True) >= total(calls=nodes)
    assert total(kept=kept + 1) > least


def test_the_others_by_hand() -> None:
    found = estimating.others(Month(executions=1e6, nodes=10))
    assert found["AWS Step Functions, Standard"] == pytest.approx(250)
    server = 730 * 0.0336 + 30 * 0.08
    assert found["n8n on a server"] == pytest.approx(server)
    stored = 1e6 * PURE.stored_gb * 3
    temporal = (11 * 50 + stored * 744 * 0.00105) * 1.1 + server
    assert found["Temporal Cloud, and a server for its workers"] == pytest.approx(temporal)
    busy = estimating.others(Month(executions=1e9, nodes=10))["n8n on a server"]
    assert busy == pytest.approx(11 * server), "380 runs a second, 37 a server"


def test_the_command() -> None:
    told = CliRunner().invoke(main, ["cost", "--executions", "1e6", "--nodes", "10", "--json"])
    assert told.exit_code == 0, told.output
    found = json.loads(told.output)
    wanted = estimating.bill(Month(executions=1e6, nodes=10))
    assert found["total"] == pytest.approx(wanted["total"])
    assert found["per_execution"] == pytest.approx(wanted["total"] / costing.MILLION)
    text = CliRunner().invoke(main, ["cost", "--calls", "10", "--alone"]).output
    assert "1,000,000 executions of 10 nodes a month, 10 of them with effects" in text
    assert "Temporal Cloud" in text


@pytest.mark.parametrize(
    ("given", "named"),
    [(["--nodes", "0"], "--nodes"), (["--calls", "11"], "--calls"), (["--executions", "-1"], "--executions")],
)
def test_numbers_that_cannot_be_are_named(given: list[str], named: str) -> None:
    told = CliRunner().invoke(main, ["cost", *given])
    assert told.exit_code == 2
    assert f"Error: {named}" in told.output

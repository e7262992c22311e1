"""The arithmetic of what runs cost."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from linkflow.domain import costing
from linkflow.domain.costing import Usage
from linkflow.domain.prices import AWS


def test_a_bill_by_hand() -> None:
    usage = Usage(
        node_runs=10, gb_seconds=2, invocations=3, http_requests=1, database_cpu_s=3.6, database_writes=5,
        stored_gb_months=0.5, cache_units=1000, log_gb=0.25,
    )  # fmt: skip
    assert costing.bill(usage) == {
        "lambda duration": pytest.approx(2 * 0.0000133334),
        "lambda requests": pytest.approx(3 * 0.0000002),
        "http api": pytest.approx(0.000001),
        "database compute": pytest.approx(3.6 * 4 * 2 / 3600 * 0.12),  # a quarter of a vCPU, half used
        "database i/o": pytest.approx(5 * 0.0000002),
        "database storage": pytest.approx(0.05),
        "valkey": pytest.approx(0.0000000023 * 1000),
        "logs": pytest.approx(0.125),
    }


def test_a_million_node_runs_are_what_was_measured_times_what_is_missing() -> None:
    found = costing.per_million(Usage(node_runs=10, invocations=2, http_requests=1))
    assert found["lambda requests"] == pytest.approx(0.04)
    assert found["http api"] == pytest.approx(0.10)
    assert found["total"] == pytest.approx(0.14)


def test_x86_costs_a_quarter_more() -> None:
    usage = Usage(node_runs=1, gb_seconds=1_000_000)
    assert costing.bill(usage)["lambda duration"] == pytest.approx(13.3334)
    assert costing.bill(usage, architecture="x86_64")["lambda duration"] == pytest.approx(16.6667)


def test_other_prices_are_another_mapping() -> None:
    dear = {**AWS, "http_api.requests": replace(AWS["http_api.requests"], dollars=3.5)}
    assert costing.bill(Usage(node_runs=1, http_requests=2_000_000), dear)["http api"] == pytest.approx(7.0)


@pytest.mark.parametrize(
    ("memory", "wanted"), [(1769, 1.0), (3538, 1.0), (512, 512 / 1769), (128, 128 / 1769)], ids=str
)
def test_a_thread_has_no_more_than_one_vcpu_and_less_with_less_memory(memory: int, wanted: float) -> None:
    assert costing.vcpus(memory) == pytest.approx(wanted)


def test_computing_takes_longer_on_a_small_function_and_waiting_does_not() -> None:
    assert costing.duration_ms(510, 10, 1769) == 510
    assert costing.duration_ms(510, 10, 512) == pytest.approx(500 + 10 * 1769 / 512)
    assert costing.duration_ms(510, 10, 1769, round_trips=4, trip_ms=0.5) == 512


def test_computing_on_two_threads_is_no_negative_waiting() -> None:
    assert costing.duration_ms(5, 8, 1769) == 8


def test_billed_time_is_rounded_up() -> None:
    assert costing.gb_seconds(100, 1024) == pytest.approx(0.1005)
    assert costing.gb_seconds(100, 512, invocations=20) == pytest.approx(0.055)


def test_a_commit_is_a_write_and_much_log_is_several() -> None:
    assert costing.database_writes(3, 1000) == 3
    assert costing.database_writes(3, 40_960) == 10


def test_step_functions_by_hand() -> None:
    assert costing.step_functions_standard(10) == pytest.approx(0.00025)
    tenth = 0.1 * 0.0625 * 0.00001667
    assert costing.step_functions_express(0.01) == pytest.approx(0.000001 + tenth)
    assert costing.step_functions_express(0.3) == pytest.approx(0.000001 + 3 * tenth)
    assert costing.step_functions_express(0.301) == pytest.approx(0.000001 + 4 * tenth)
    assert costing.step_functions_express(0.1, payload_mb=20) == pytest.approx(0.000001 + 2 * tenth)


def test_the_example_of_the_step_functions_page() -> None:
    """A million executions of 30 s with 64 MB, at the price of the first thousand hours."""
    duration = 1_000_000 * costing.step_functions_express(30) - 1.0
    assert duration == pytest.approx(1_000_000 * 30 * 64 / 1024 * 0.00001667)


def test_nothing_but_the_clock_and_the_stores_costs_while_nothing_runs() -> None:
    tick = Usage(node_runs=1, gb_seconds=0.05, invocations=1)
    found = costing.idle_month(tick)
    assert found["clock"] == pytest.approx(43_800 * (0.05 * 0.0000133334 + 0.0000002 + 0.000001))
    assert found["database"] == pytest.approx(730 / 6 * 8 / 60 * 0.5 * 0.12)
    assert found["key and secrets"] == pytest.approx(1.8)
    assert found["valkey"] == pytest.approx(0.1 * 730 * 0.084)


def test_every_price_has_a_source_and_can_be_written_down() -> None:
    assert all(price.dollars > 0 and price.unit and price.source.startswith("https://aws.") for price in AWS.values())
    assert msgspec.convert(msgspec.to_builtins(dict(AWS)), dict[str, type(AWS["lambda.requests"])]) == AWS


amounts = st.floats(0, 1e6)


@given(
    st.builds(Usage, node_runs=st.floats(1, 1e6), gb_seconds=amounts, invocations=amounts, log_gb=amounts),
    st.floats(0.1, 100),
)
def test_the_cost_of_a_node_run_does_not_depend_on_how_many_there_were(usage: Usage, factor: float) -> None:
    once, often = costing.per_million(usage), costing.per_million(usage.times(factor))
    assert often == {part: pytest.approx(dollars) for part, dollars in once.items()}

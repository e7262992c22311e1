"""Backoff and the names of timers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkflow.domain.definition import Retry
from linkflow.domain.timing import DELAY, EXECUTION, RETRY, START_TO_CLOSE, backoff_ms, parse_timer, timer_id


def test_backoff_grows_by_its_coefficient():
    policy = Retry(initial_interval=1, backoff_coefficient=2)
    assert [backoff_ms(policy, attempt, 0) for attempt in (1, 2, 3, 4)] == [1000, 2000, 4000, 8000]


def test_a_coefficient_of_one_keeps_the_interval():
    policy = Retry(initial_interval=0.25, backoff_coefficient=1)
    assert [backoff_ms(policy, attempt, 0) for attempt in (1, 9)] == [250, 250]


@pytest.mark.parametrize("attempt", [10, 1_000, 10**9])
def test_backoff_is_capped_however_many_attempts(attempt: int):
    assert backoff_ms(Retry(initial_interval=1, max_interval=60), attempt, 0) == 60_000


def test_an_interval_of_nothing_stays_nothing():
    assert [backoff_ms(Retry(initial_interval=0), attempt, 0) for attempt in (1, 10, 10_000)] == [0, 0, 0]


def test_the_cap_also_holds_for_the_first_interval():
    assert backoff_ms(Retry(initial_interval=900, max_interval=60), 1, 0) == 60_000


SECONDS = st.floats(0, 10_000)


@given(SECONDS, st.floats(1, 10), SECONDS, st.floats(0, 1), st.integers(1, 10_000), st.floats(0, 1, exclude_max=True))
def test_jitter_takes_at_most_its_share(
    initial: float, coefficient: float, longest: float, jitter: float, attempt: int, chance: float
):
    plain = backoff_ms(Retry(9, initial, coefficient, longest), attempt, chance)
    wait = backoff_ms(Retry(9, initial, coefficient, longest, jitter), attempt, chance)
    assert 0 <= wait <= plain <= round(longest * 1000)
    assert wait >= plain * (1 - jitter) - 1


def test_a_timer_s_id_reads():
    assert timer_id(DELAY, "wait[2]", 3) == "delay/3/wait[2]"


KEYS = st.text(min_size=1) | st.sampled_from(["a/b", "a[3,0]", "/", "1/2/3"])


@given(st.sampled_from([RETRY, DELAY, START_TO_CLOSE, EXECUTION]), KEYS | st.just(""), st.integers(0, 2**53))
def test_a_timer_s_id_says_what_it_is_for(kind: str, key: str, attempt: int):
    assert parse_timer(timer_id(kind, key, attempt)) == (kind, attempt, key)

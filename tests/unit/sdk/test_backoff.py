from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway._base.backoff import Backoff


def test_each_failure_doubles_the_bound_up_to_the_longest() -> None:
    backoff = Backoff(first=0.05, longest=1.0)
    bounds = [backoff.delay(failures, lambda: 1.0) for failures in range(1, 8)]
    assert bounds == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


@given(
    st.floats(0.001, 10),
    st.floats(0.001, 1_000),
    st.integers(1, 10**9),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_within_its_bounds_however_often_something_failed(
    first: float, longest: float, failures: int, drawn: float
) -> None:
    delay = Backoff(first, longest).delay(failures, lambda: drawn)
    assert 0 <= delay <= longest
    assert delay <= first * 2.0 ** min(failures - 1, 64)


def test_delays_are_spread_over_the_whole_range() -> None:
    draw = random.Random(7).random
    delays = sorted(Backoff(first=1.0, longest=1.0).delay(1, draw) for _ in range(1_000))
    tenths = [sum(number / 10 <= delay < (number + 1) / 10 for delay in delays) for number in range(10)]
    assert min(tenths) > 50


def test_the_same_seed_gives_the_same_delays() -> None:
    backoff = Backoff(first=0.05, longest=5.0)
    first, second = random.Random(3).random, random.Random(3).random
    assert [backoff.delay(n, first) for n in range(1, 20)] == [backoff.delay(n, second) for n in range(1, 20)]

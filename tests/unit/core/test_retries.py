"""How long a run waits before its next attempt."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clearway_service.core.retries import draw_for, retry_delay, spread
from support.facts import retrying

FACTORS = st.floats(min_value=0, max_value=100)
DRAWS = st.floats(min_value=0, max_value=1, exclude_max=True)
DELAYS = st.lists(st.integers(min_value=0, max_value=10**15), min_size=1, max_size=50)


@given(FACTORS, DRAWS)
def test_a_delay_is_spread_within_its_bounds(factor: float, draw: float) -> None:
    drawn = spread(factor, draw)
    assert drawn >= 0
    assert drawn <= (1 + factor) * (1 + 1e-9)


@given(FACTORS)
def test_the_mean_of_all_draws_is_the_delay_that_was_asked_for(factor: float) -> None:
    draws = 5_000
    mean = sum(spread(factor, (number + 0.5) / draws) for number in range(draws)) / draws
    assert mean == pytest.approx(1, rel=0.02)


@given(FACTORS, DRAWS, DRAWS)
def test_a_larger_draw_never_gives_a_shorter_delay(factor: float, one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert spread(factor, low) <= spread(factor, high)


@given(DRAWS)
def test_no_factor_spreads_nothing(draw: float) -> None:
    assert spread(0, draw) == pytest.approx(1)


@pytest.mark.parametrize("factor", [0.3, 1.0, 5.0])
def test_the_draws_are_distributed_as_an_exponential_whose_tails_are_cut_off(factor: float) -> None:
    """Checked at the median, which splits what is left of the distribution into equal halves."""
    least, median, most = (spread(factor, draw) for draw in (0.0, 0.5, 1.0))
    assert most == pytest.approx(1 + factor)
    survivors = [2.718281828459045**-each for each in (least, median, most)]
    assert survivors[0] - survivors[1] == pytest.approx(survivors[1] - survivors[2])


@given(DELAYS, st.integers(min_value=1, max_value=100), DRAWS)
def test_without_a_factor_each_attempt_has_its_own_delay(
    delays: list[int], attempt: int, draw: float
) -> None:
    expected = delays[attempt - 1] if attempt <= len(delays) else delays[-1]
    assert retry_delay(retrying(99, *delays), attempt, draw) == expected


@given(DELAYS, st.integers(min_value=1, max_value=100), FACTORS, DRAWS)
def test_a_spread_delay_is_whole_microseconds_within_its_bounds(
    delays: list[int], attempt: int, factor: float, draw: float
) -> None:
    delay = retry_delay(retrying(99, *delays, jitter_factor=factor), attempt, draw)
    asked = delays[min(attempt, len(delays)) - 1]
    assert isinstance(delay, int)
    assert 0 <= delay <= asked * (1 + Fraction(factor)) * (1 + Fraction(1, 10**9)) + 1


def test_no_delays_are_no_delay() -> None:
    assert retry_delay(retrying(9, jitter_factor=1.0), 3, 0.5) == 0


@given(st.uuids())
def test_what_is_drawn_for_a_proposal_is_always_the_same(proposal_id: object) -> None:
    drawn = draw_for(str(proposal_id))
    assert 0 <= drawn < 1
    assert drawn == draw_for(str(proposal_id))


def test_what_is_drawn_is_even_also_where_ids_are_counted() -> None:
    drawn = [draw_for(f"00000000-0000-7000-8000-{number:012}") for number in range(10_000)]
    tenths = [sum(tenth <= 10 * each < tenth + 1 for each in drawn) for tenth in range(10)]
    assert all(900 < count < 1_100 for count in tenths)

"""Testing: a flow that retries after an hour and caches for a day, tested in milliseconds.

Run it with ``pytest examples/test_flows.py``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from clearway import flow, get_client, task, task_input_hash

if TYPE_CHECKING:
    from clearway.testing import Clock

PRICES = {"tea": 3, "coffee": 4}
ASKED: list[str] = []


@task(
    retries=2,
    retry_delay_seconds=3600,
    cache_key_fn=task_input_hash,
    cache_expiration=timedelta(days=1),
)
def price(article: str) -> int:
    """Ask for a price: whoever is asked is not there at first."""
    ASKED.append(article)
    if len(ASKED) == 1:
        raise ConnectionError("nobody is there")
    return PRICES[article]


@flow
def bill(articles: list[str]) -> int:
    """Add up prices."""
    return sum(price(article) for article in articles)


@pytest.fixture(autouse=True)
def nobody_was_asked(clearway_clock: Clock) -> None:
    """Begin anew, on a service of this test's own."""
    del clearway_clock
    ASKED.clear()


def test_an_hour_later_somebody_is_there() -> None:
    assert bill(["tea"]) == 3
    assert ASKED == ["tea", "tea"]
    with get_client() as client:
        (run,) = client.read_task_runs()
        assert [state.name for state in client.read_task_run_states(run.id)] == [
            "Running",
            "AwaitingRetry",
            "Retrying",
            "Completed",
        ]


def test_a_price_is_asked_for_once_a_day(clearway_clock: Clock) -> None:
    bill(["coffee", "coffee"])
    assert ASKED == ["coffee", "coffee"]
    clearway_clock.advance(days=1)
    bill(["coffee", "coffee"])
    assert ASKED == ["coffee"] * 3


def test_an_unknown_article_fails_in_the_end() -> None:
    with pytest.raises(KeyError, match="milk"):
        bill(["milk"])
    assert len(ASKED) == 3

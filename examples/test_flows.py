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
REQUESTS: list[str] = []


@task(
    retries=2,
    retry_delay_seconds=3600,
    cache_key_fn=task_input_hash,
    cache_expiration=timedelta(days=1),
)
def price(article: str) -> int:
    """Look up a price; the first request of each test fails."""
    REQUESTS.append(article)
    if len(REQUESTS) == 1:
        raise ConnectionError("connection refused")
    return PRICES[article]


@flow
def bill(articles: list[str]) -> int:
    """Add up prices."""
    return sum(price(article) for article in articles)


@pytest.fixture(autouse=True)
def no_requests(clearway_clock: Clock) -> None:
    """Start each test on its own service, with no requests made."""
    del clearway_clock
    REQUESTS.clear()


def test_the_request_is_retried_after_an_hour() -> None:
    assert bill(["tea"]) == 3
    assert REQUESTS == ["tea", "tea"]
    with get_client() as client:
        (run,) = client.read_task_runs()
        assert [state.name for state in client.read_task_run_states(run.id)] == [
            "Running",
            "AwaitingRetry",
            "Retrying",
            "Completed",
        ]


def test_a_price_is_requested_once_a_day(clearway_clock: Clock) -> None:
    bill(["coffee", "coffee"])
    assert REQUESTS == ["coffee", "coffee"]
    clearway_clock.advance(days=1)
    bill(["coffee", "coffee"])
    assert REQUESTS == ["coffee"] * 3


def test_an_unknown_article_fails_after_all_retries() -> None:
    with pytest.raises(KeyError, match="milk"):
        bill(["milk"])
    assert len(REQUESTS) == 3

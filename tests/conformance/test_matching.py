"""Only fields with an expectation are compared, and differences are reported."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from conformance.matching import Matcher

START = datetime(2026, 1, 1, tzinfo=UTC)
STANDING = Matcher(START, timedelta(0))
RUN = {"name": "a run", "runCount": 2, "size": "70000", "tags": ["a", "b"], "state": {"name": "Running"}}


@pytest.mark.parametrize(
    "expected",
    [
        {},
        {"name": "a run", "state": {"name": "Running"}},
        {"state": {}},
        {"tags": ["a", "b"], "size": 70_000, "runCount": 2},
        {"endTime": None, "retries": 0, "message": "", "inputs": [], "queued": False},
        {"name": {"$contains": "run"}, "tags": {"$length": 2}, "inputs": {"$length": 0}},
        {"name": {"$matches": "a r.n"}, "state": {"$any": True}, "endTime": {"$any": False}},
        {"runCount": {"$between": [1, 2]}, "retries": {"$between": [0, 0]}, "tags": {"$includes": ["b"]}},
    ],
)
def test_what_is_as_expected_differs_in_nothing(expected: Any) -> None:
    assert list(STANDING.differences(expected, RUN)) == []


@pytest.mark.parametrize(
    ("expected", "said"),
    [
        ({"name": "another"}, "name is 'a run', expected 'another'"),
        ({"state": None}, "state is {'name': 'Running'}, expected unset"),
        ({"message": "oh"}, "message is unset, expected 'oh'"),
        ({"data": {}}, "data is unset, expected a message"),
        ({"state": {"type": "X"}}, "state.type is unset, expected 'X'"),
        ({"tags": ["a"]}, "tags has 2 items, expected 1: ['a', 'b']"),
        ({"tags": ["a", "c"]}, "tags.1 is 'b', expected 'c'"),
        ({"runCount": 0}, "runCount is 2, expected 0"),
        ({"runCount": {"$between": [3, 4]}}, "runCount is 2, expected $between [3, 4]"),
        ({"endTime": {"$time": "1s"}}, "endTime is unset, expected $time '1s'"),
        ({"tags": {"$includes": ["c"]}}, "tags is ['a', 'b'], expected $includes ['c']"),
    ],
)
def test_what_is_not_as_expected_is_said(expected: Any, said: str) -> None:
    assert list(STANDING.differences(expected, RUN)) == [said]


def test_times_count_from_the_scenarios_start_and_are_exact_where_the_clock_stands() -> None:
    answer = {"at": "2026-01-01T00:00:05.000000123Z", "rest": "5.200s"}
    running = Matcher(START, timedelta(seconds=0.5))
    assert list(STANDING.differences({"at": {"$time": "5s"}, "rest": {"$duration": "5.2s"}}, answer)) == []
    assert list(running.differences({"at": {"$time": "5.4s"}, "rest": {"$duration": "5s"}}, answer)) == []
    assert (
        len(list(STANDING.differences({"at": {"$time": "5.4s"}, "rest": {"$duration": "5s"}}, answer))) == 2
    )
    assert len(list(running.differences({"at": {"$time": "6s"}, "rest": {"$duration": "6s"}}, answer))) == 2

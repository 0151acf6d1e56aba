from __future__ import annotations

from typing import Any

import pytest

from clearway._client import operations
from clearway._client.operations import Call
from clearway.exceptions import InvalidArgument
from clearway.v1 import concurrency_limit_pb2 as limits


def limit_page(first: int, count: int, token: str) -> limits.ListConcurrencyLimitsResponse:
    found = [limits.ConcurrencyLimit(tag=f"tag-{number}") for number in range(first, first + count)]
    return limits.ListConcurrencyLimitsResponse(concurrency_limits=found, next_page_token=token)


def run(operation: Any, responses: list[Any]) -> tuple[list[Call], Any]:
    """Answer an operation's calls one by one; return the calls, as they were when made, and its result."""
    calls: list[Call] = []
    remaining = iter(responses)
    try:
        call = next(operation)
        while True:
            copy = type(call.request)()
            copy.CopyFrom(call.request)
            calls.append(Call(call.method, copy))
            call = operation.send(next(remaining))
    except StopIteration as end:
        return calls, end.value


def test_a_list_without_a_limit_reads_all_pages() -> None:
    pages = [limit_page(0, 1_000, "a"), limit_page(1_000, 1_000, "b"), limit_page(2_000, 5, "")]
    calls, found = run(operations.read_concurrency_limits(), pages)
    assert [call.request.page_token for call in calls] == ["", "a", "b"]  # type: ignore[attr-defined]
    assert [limit.tag for limit in found] == [f"tag-{number}" for number in range(2_005)]


def test_a_list_with_a_limit_asks_for_no_more_than_that() -> None:
    pages = [limit_page(0, 1_000, "a"), limit_page(1_000, 200, "b")]
    calls, found = run(operations.read_concurrency_limits(limit=1_150, offset=50), pages)
    assert [call.request.page_size for call in calls] == [1_000, 200]  # type: ignore[attr-defined]
    assert len(found) == 1_150
    assert found[0].tag == "tag-50"


def test_a_limit_of_zero_asks_nothing() -> None:
    calls, found = run(operations.read_concurrency_limits(limit=0), [])
    assert (calls, found) == ([], [])


@pytest.mark.parametrize("value", ["3", 3.0, True, None])
def test_a_concurrency_limit_that_is_no_number_is_refused_at_once(value: Any) -> None:
    with pytest.raises(TypeError, match=r"concurrency_limit is .*; it must be a whole number"):
        run(operations.create_concurrency_limit("tag", value), [])


@pytest.mark.parametrize("value", [2**31, 2**40, -(2**40)])
def test_a_concurrency_limit_that_no_message_can_hold_is_refused_at_once(value: int) -> None:
    with pytest.raises(InvalidArgument, match=rf"is {value}; it must be from 0 to 1,000,000") as caught:
        run(operations.create_concurrency_limit("tag", value), [])
    assert caught.value.field == "concurrency_limit"


def test_a_level_that_no_message_can_hold_is_refused_at_once() -> None:
    with pytest.raises(InvalidArgument, match="min_level is 4294967296; it must be from 0 to 100"):
        run(operations.read_logs(min_level=2**32), [])


@pytest.mark.parametrize("value", ["3", 3.0, True])
def test_how_many_to_list_must_be_a_number(value: Any) -> None:
    with pytest.raises(TypeError, match=r"limit is .*; it must be a whole number"):
        run(operations.read_task_runs(limit=value), [])

"""What a task wants done with its results: kept or not, and where."""

from __future__ import annotations

import itertools
import threading
from pathlib import Path
from typing import Any

import pytest

from clearway import State, flow, get_client, get_run_context, task
from clearway.exceptions import MissingResult, UnkeptResult
from clearway.results import StoredResult
from integration.sdk_runs import history, task_runs

pytestmark = pytest.mark.usefixtures("service")

LARGE = list(range(20_000))
"""Too large to travel within a state."""


def read_again(flow_name: str) -> State[Any]:
    """Return the state of the only task run of a flow, as another process would read it."""
    (run,) = task_runs(flow_name).values()
    with get_client() as client:
        return client.read_task_run(run.id).state


@pytest.mark.parametrize("submitted", [False, True])
@pytest.mark.parametrize("value", [[1, 2], LARGE], ids=["small", "large"])
def test_a_result_in_memory_only_is_had_by_its_process_and_missed_by_others(
    value: list[int], submitted: bool, home: Path
) -> None:
    @task(persist_result=False)
    def work() -> list[int]:
        return value

    @task
    def total(numbers: list[int]) -> int:
        return sum(numbers)

    @flow
    def working() -> int:
        if submitted:
            return total.submit(work.submit()).result()
        return total(work())

    assert working() == sum(value)
    (state,) = (run.state for run in task_runs("working").values() if run.name == "work-0")
    with pytest.raises(MissingResult, match=r"in the memory of the process .* persist_result=False"):
        state.result()
    assert not list((home / "storage").glob("*/*"))


def test_none_needs_no_keeping() -> None:
    @task(persist_result=False)
    def work() -> None: ...

    @flow
    def working() -> None:
        work()

    working()
    assert read_again("working").result() is None


def test_a_result_in_memory_only_is_not_served_from_the_cache() -> None:
    numbers = itertools.count()

    @task(persist_result=False, cache_key_fn=lambda context, _: f"in memory only {context.task.task_key}")
    def work() -> int:
        return next(numbers)

    @flow
    def working() -> list[int]:
        return [work(), work()]

    assert working() == [0, 1]


def test_a_flow_s_retry_has_the_results_that_are_in_memory_only() -> None:
    calls: list[int] = []

    @task(persist_result=False)
    def work() -> int:
        calls.append(1)
        return 42

    @flow(retries=1)
    def working() -> int:
        result = work()
        if get_run_context().run_count == 1:
            raise ConnectionError
        return result

    assert working() == 42
    assert len(calls) == 1


def test_an_exception_in_memory_only_is_told_in_its_portable_form() -> None:
    @task(persist_result=False)
    def work() -> None:
        raise ConnectionError("away")

    @flow
    def working() -> bool:
        with pytest.raises(ConnectionError):
            work()
        return True

    working()
    state = read_again("working")
    assert state.error is not None
    assert (state.error.type_name, state.error.message) == ("ConnectionError", "away")
    assert isinstance(state.data, StoredResult)
    assert (state.data.inline, state.data.location) == (None, "")


@pytest.mark.parametrize("submitted", [False, True])
def test_a_result_that_must_be_kept_and_cannot_be_fails_the_run(submitted: bool) -> None:
    @task(persist_result=True, retries=1)
    def work() -> Any:
        return threading.Lock()

    @flow
    def working() -> Any:
        return work.submit().result() if submitted else work()

    with pytest.raises(UnkeptResult, match=r"the result of work-0 cannot be kept, .* persist_result=True"):
        working()
    (run,) = task_runs("working").values()
    assert history(run.id) == ["Running", "AwaitingRetry", "Retrying", "Failed"]


def test_a_storage_that_takes_nothing_fails_a_run_that_must_keep_its_result(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no directory")

    @task(persist_result=True, result_storage=tmp_path / "file")
    def work() -> list[int]:
        return LARGE

    @flow
    def working() -> list[int]:
        return work()

    with pytest.raises(UnkeptResult, match="Not a directory"):
        working()


@pytest.mark.parametrize("as_text", [False, True])
def test_a_task_s_large_results_are_in_its_own_storage(as_text: bool, tmp_path: Path) -> None:
    place = tmp_path / "results"

    @task(result_storage=str(place) if as_text else place)
    def work() -> list[int]:
        return LARGE

    @flow
    def working() -> list[int]:
        return work()

    assert working() == LARGE
    state = read_again("working")
    assert isinstance(state.data, StoredResult)
    assert Path(state.data.location).is_relative_to(place)
    assert state.result() == LARGE

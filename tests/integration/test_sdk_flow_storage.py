"""A flow's storage of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from clearway import State, flow, get_client, task
from clearway.results import StoredResult

pytestmark = pytest.mark.usefixtures("service")

LARGE = "x" * 100_000


def location(state: State[str]) -> Path:
    """Return where the result of a state is, as another process reads it."""
    with get_client() as client:
        run_id = state.details.task_run_id
        states = client.read_task_run_states(run_id) if run_id else []
        states = states or client.read_flow_run_states(state.details.flow_run_id)
    data = states[-1].data
    assert isinstance(data, StoredResult)
    return Path(data.location)


def test_it_is_that_of_its_tasks_and_subflows_that_do_not_say_otherwise(tmp_path: Path, home: Path) -> None:
    outer_place, own_place = tmp_path / "outer", tmp_path / "own"

    @task
    def plain() -> str:
        return LARGE + "plain"

    @task(result_storage=own_place)
    def particular() -> str:
        return LARGE + "particular"

    @flow
    def inner() -> str:
        plain(return_state=True)
        return LARGE + "inner"

    @flow(result_storage=outer_place)
    def outer() -> list[State[str]]:
        return [plain(return_state=True), particular(return_state=True), inner(return_state=True)]

    states = outer()
    assert [location(state).parents[1] for state in states] == [outer_place, own_place, outer_place]
    elsewhere = outer.with_options(result_storage=None)()
    assert location(elsewhere[0]).parents[1] == home / "storage"


def test_a_wrong_storage_is_told_where_the_flow_is_made() -> None:
    with pytest.raises(ValueError, match="result_storage of the flow 'wrong' is ''; it must be a directory"):

        @flow(result_storage="")
        def wrong() -> None: ...

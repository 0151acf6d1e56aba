"""Deleting results that nobody can be served any more."""

from __future__ import annotations

import itertools
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clearway import flow, get_client, task
from clearway._base.settings import forget_settings
from clearway._results.directory_storage import DirectoryStorage
from clearway.exceptions import InvalidArgument, MissingResult
from clearway.results import StoredResult, delete_orphaned_results

pytestmark = pytest.mark.usefixtures("service")

AT_ONCE = timedelta(0)
_keys = itertools.count()


class Cached:
    """A cached task whose result changes, with a key that no other test has."""

    def __init__(self) -> None:
        self.key = f"unused-{next(_keys)}"
        self.value = "first"

    def run(self, **options: Any) -> StoredResult:
        """Run the task, and return the reference to its result."""

        @task(cache_key_fn=lambda *_: self.key, **options)
        def make() -> str:
            return self.value * 20_000

        @flow
        def making() -> str:
            state = make(return_state=True)
            assert state.result() == self.value * 20_000
            return state.id

        return reference(making())


def reference(state_id: str) -> StoredResult:
    """Return the reference in a state, as another process would see it."""
    with get_client() as client:
        for run in client.read_task_runs():
            for state in client.read_task_run_states(run.id):
                if state.id == state_id:
                    assert isinstance(state.data, StoredResult)
                    return state.data
    raise AssertionError(state_id)


def mine(cached: Cached, **options: Any) -> list[str]:
    """Return the locations that are, or would be, deleted of a task's results."""
    return [
        result.location
        for result in delete_orphaned_results(AT_ONCE, **options)
        if result.cache_key == cached.key
    ]


@pytest.mark.parametrize("storage", ["directory", "service://"])
def test_the_result_of_a_replaced_entry_is_deleted(storage: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if storage == "service://":
        monkeypatch.setenv("CLEARWAY_RESULT_STORAGE", storage)
        forget_settings()
    cached = Cached()
    first = cached.value = f"first in {storage}"  # equal bytes elsewhere would be in use by another test
    before = cached.run()
    assert mine(cached, dry_run=True) == []
    cached.value = f"second in {storage}"
    after = cached.run(refresh_cache=True)
    assert [*delete_orphaned_results(dry_run=True)] == []  # both are younger than a day
    assert mine(cached, dry_run=True) == [before.location]
    assert StoredResult.from_proto(before.to_proto()).load() == first * 20_000
    assert mine(cached) == [before.location]
    with pytest.raises(MissingResult, match=before.location):
        StoredResult.from_proto(before.to_proto()).load()
    assert mine(cached) == []
    assert cached.run().location == after.location  # still served
    cached.value = first
    again = cached.run(refresh_cache=True)
    assert again.location == before.location
    assert StoredResult.from_proto(again.to_proto()).load() == first * 20_000  # it was written again
    with pytest.raises(InvalidArgument, match="older_than"):
        list(delete_orphaned_results(timedelta(seconds=-1)))


def test_what_anything_else_speaks_of_stays() -> None:
    cached, other = Cached(), Cached()
    cached.value = other.value = "shared"
    location = cached.run().location
    assert other.run().location == location  # the same bytes under another key

    @task
    def uncached() -> str:
        return "third" * 20_000

    @flow
    def making() -> str:
        return uncached()

    cached.value = "third"
    third = cached.run(refresh_cache=True).location
    making()
    cached.value = "fourth"
    cached.run(refresh_cache=True)
    assert mine(cached) == []
    assert Path(location).exists()
    assert Path(third).exists()
    other.value = "fifth"
    other.run(refresh_cache=True)
    assert set(mine(cached) + mine(other)) == {location}
    assert not Path(location).exists()


def test_a_result_that_was_deleted_before_an_interruption_is_still_listed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached = Cached()
    cached.value = "interrupted"
    before = cached.run()
    cached.value = "after that"
    cached.run(refresh_cache=True)
    delete = DirectoryStorage.delete

    def interrupted(storage: DirectoryStorage, digest: str, written_before: float) -> bool:
        assert delete(storage, digest, written_before)
        raise KeyboardInterrupt

    with monkeypatch.context() as patches:
        patches.setattr(DirectoryStorage, "delete", interrupted)
        with pytest.raises(KeyboardInterrupt):
            mine(cached)
    assert mine(cached, dry_run=True) == [before.location]
    assert mine(cached) == [before.location]
    assert mine(cached, dry_run=True) == []

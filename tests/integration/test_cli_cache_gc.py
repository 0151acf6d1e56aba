"""``clearway cache gc``, against a server and against the database file."""

import json
import os
from pathlib import Path

import pytest

from clearway import flow, task
from integration.cli_process import answer, complaint, run


@pytest.fixture(params=["embedded", "server"], autouse=True)
def _service(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "server":
        monkeypatch.setenv("CLEARWAY_ADDRESS", request.getfixturevalue("server").address)
    else:
        assert not os.environ.get("CLEARWAY_ADDRESS")


@pytest.fixture
def unused() -> None:
    """Leave one result whose cache entry was replaced."""
    value = "old"

    @task(cache_key_fn=lambda *_: "key", refresh_cache=True)
    def make() -> str:
        return value * 100_000

    @flow
    def making() -> None:
        make()

    making()
    value = "newer"
    making()


@pytest.mark.usefixtures("unused")
def test_unused_results_are_shown_and_then_deleted(home: Path) -> None:
    (found,) = json.loads(answer("cache", "gc", "--older-than", "0s", "--dry-run", "-o", "json"))
    assert (found["size"], found["cache_key"], found["deleted"]) == (300_002, "key", False)
    location = Path(found["location"])
    assert location.is_relative_to(home / "storage")
    shown = answer("cache", "gc", "--older-than", "0s", "-n").splitlines()
    assert str(location) in shown[1]
    assert shown[-1] == "Would delete 1 result of 300,002 bytes."
    assert location.exists()
    assert (
        answer("cache", "gc", "--older-than", "0s").splitlines()[-1] == "Deleted 1 result of 300,002 bytes."
    )
    assert not location.exists()
    assert json.loads(answer("cache", "gc", "--older-than", "0s", "-o", "json")) == []


@pytest.mark.usefixtures("unused")
def test_a_result_of_several_runs_is_counted_once() -> None:
    @task(cache_key_fn=lambda *_: "key", refresh_cache=True)
    def make(value: str) -> str:
        return value * 100_000

    @flow
    def making() -> None:
        make("old")
        make("newest")

    making()
    shown = json.loads(answer("cache", "gc", "--older-than", "0s", "--dry-run", "-o", "json"))
    assert sorted(result["size"] for result in shown) == [300_002, 500_002]
    deleted = json.loads(answer("cache", "gc", "--older-than", "0s", "-o", "json"))
    assert [result["location"] for result in deleted] == [result["location"] for result in shown]


@pytest.mark.usefixtures("unused")
def test_what_is_younger_than_a_day_stays() -> None:
    done = run("cache", "gc")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "No results to delete.\n")


@pytest.mark.parametrize("age", ["", "7", "d", "1w", "-1d", "1.5h", "99999999d"])
def test_a_wrong_age_says_what_would_be_right(age: str) -> None:
    assert "such as 30m, 12h or 7d" in complaint(2, "cache", "gc", f"--older-than={age}")

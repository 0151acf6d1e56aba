"""Results that are used again."""

from __future__ import annotations

import itertools
import logging
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from clearway import Completed, State, flow, get_client, refresh_cache, task, task_input_hash
from clearway._base.settings import forget_settings
from clearway._execution.flow.attempt import FlowAttempt
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")

_numbers = itertools.count()


def static(key: str) -> Any:
    """Return a ``cache_key_fn`` that makes one key, which no other test has."""
    unique = f"{key}-{next(_numbers)}"
    return lambda _context, _parameters: unique


def test_a_cached_result_is_used_by_calls_submissions_and_maps() -> None:
    calls = []

    @task(cache_key_fn=task_input_hash)
    def square(x: int) -> int:
        calls.append(x)
        return x * x

    @flow
    def squares() -> list[int]:
        return [square(3), square.submit(3).result(), *[future.result() for future in square.map([3, 4])]]

    assert squares() == [9, 9, 9, 16]
    assert calls == [3, 4]
    runs = task_runs("squares")
    assert [runs[f"square-{number}"].state.name for number in range(4)] == [
        "Completed",
        "Cached",
        "Cached",
        "Completed",
    ]


def test_what_is_served_from_the_cache_is_counted_and_what_only_bears_the_name_is_not() -> None:
    @task(cache_key_fn=static("counted"))
    def work() -> int:
        return 1

    @task
    def named() -> State[int]:
        return Completed(1, name="Cached")

    @flow
    def working() -> tuple[int, int]:
        for each in (work, work, work, named):
            each.submit().wait()
        attempt = FlowAttempt.current()
        assert attempt is not None
        return attempt.ledger.cached, attempt.ledger.total

    assert working() == (2, 4)
    assert task_runs("working")["named-0"].state.name == "Cached"


def test_the_key_is_made_of_results_not_of_futures() -> None:
    calls = []

    @task
    def one() -> int:
        return 1

    @task(cache_key_fn=task_input_hash)
    def use(x: Any) -> Any:
        calls.append(x)
        return x

    @flow
    def using() -> list[Any]:
        first = use.submit(one.submit()).result()
        return [first, use(1), use(x=one.submit())]

    assert using() == [1, 1, 1]
    assert calls == [1]


def test_a_cached_result_that_only_pickle_holds_comes_back_equal() -> None:
    @task(cache_key_fn=static("set"))
    def make() -> Any:
        return {1, 2}, (3, None)

    @flow
    def making() -> Any:
        return make()

    assert making() == making() == ({1, 2}, (3, None))
    assert task_runs("making")["make-0"].state.name == "Cached"


def test_a_cached_none_is_none() -> None:
    @task(cache_key_fn=static("none"))
    def nothing() -> None: ...

    @flow
    def nothings() -> list[Any]:
        return [nothing(), nothing()]

    assert nothings() == [None, None]


def test_a_cached_result_expires() -> None:
    calls = []

    @task(cache_key_fn=static("short"), cache_expiration=timedelta(milliseconds=50))
    def short() -> int:
        calls.append(1)
        return len(calls)

    @flow
    def expiring() -> int:
        return short()

    expiring()
    with get_client() as client:
        (run,) = task_runs("expiring").values()
        while client.lookup_cache(run.state.details.cache_key) is not None:
            time.sleep(0.01)
    assert expiring() == 2


def test_no_key_is_no_cache() -> None:
    calls = []

    @task(cache_key_fn=lambda _context, _parameters: None)
    def never() -> None:
        calls.append(1)

    @flow
    def nevers() -> None:
        never()
        never()

    nevers()
    assert len(calls) == 2


def test_a_failed_run_is_not_cached_and_a_retried_one_is() -> None:
    calls = []

    @task(cache_key_fn=static("flaky"), retries=1)
    def flaky() -> int:
        calls.append(1)
        if len(calls) < 4:
            raise ValueError(len(calls))
        return 7

    @flow
    def attempt() -> int:
        return flaky()

    with pytest.raises(ValueError, match="2"):
        attempt()
    assert attempt() == attempt() == 7
    assert len(calls) == 4


@pytest.mark.parametrize("submitted", [False, True])
def test_an_exception_in_the_key_function_fails_the_run(submitted: bool) -> None:
    def broken(_context: Any, _parameters: dict[str, Any]) -> str:
        raise KeyError("no key")

    @task(cache_key_fn=broken)
    def keyed() -> None: ...

    @flow
    def keying() -> None:
        if submitted:
            keyed.submit().result()
        else:
            keyed()

    with pytest.raises(KeyError, match="no key"):
        keying()
    state = task_runs("keying")["keyed-0"].state
    assert state.message == "Task run encountered an exception in its cache_key_fn: KeyError: 'no key'"


def test_a_key_of_a_wrong_kind_fails_the_run() -> None:
    @task(cache_key_fn=lambda _context, _parameters: 5)  # type: ignore[arg-type,return-value]
    def keyed() -> None: ...

    @flow
    def keying() -> None:
        keyed()

    with pytest.raises(TypeError, match="returned 5; it must return a string"):
        keying()


def test_a_result_that_cannot_be_kept_is_not_cached() -> None:
    @task(cache_key_fn=static("lock"))
    def generate() -> Any:
        return (number for number in range(2))

    @flow
    def generating() -> list[int]:
        return list(generate())

    assert generating() == generating() == [0, 1]


@pytest.mark.parametrize("damage", ["gone", "damaged"])
def test_a_cached_result_that_is_lost_is_computed_anew_and_repaired(
    home: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    computed = []

    @task(cache_key_fn=static(f"lost-{damage}"))
    def make() -> str:
        computed.append(1)
        return "a large result" * 10_000

    @flow
    def making() -> str:
        return make()

    whole = making()
    for file in (home / "storage").glob("*/*"):
        if damage == "gone":
            file.unlink()
        else:
            file.write_bytes(b"?" * file.stat().st_size)
    with caplog.at_level(logging.WARNING):
        assert making() == whole
    assert len(computed) == 2
    assert "runs anew, since the result" in caplog.text
    assert making() == whole  # repaired: the entry is served again
    assert len(computed) == 2
    with get_client() as client:
        newest = [(run.name, run.state.name) for run in client.read_task_runs()][:3]
    assert newest == [("make-0", "Cached"), ("make-0-again-1", "Completed"), ("make-0", "Cached")]


SCRIPT = """
from clearway import flow, task, task_input_hash

@task(cache_key_fn=task_input_hash)
def expensive(x):
    print("computed", x)
    return {"x": [x, None]}

@flow
def main():
    print(expensive(5))

main()
"""


def test_another_process_uses_the_result(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    outputs = [
        subprocess.run(
            [sys.executable, script],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=60,
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
        ).stdout.split("\n")
        for seed in (1, 2)
    ]
    assert outputs == [["computed 5", "{'x': [5, None]}", ""], ["{'x': [5, None]}", ""]]


def test_a_warning_names_the_argument_that_makes_no_key(caplog: pytest.LogCaptureFixture) -> None:
    @task(cache_key_fn=task_input_hash)
    def use(x: Any) -> int:
        return len(list(x))

    @flow
    def using() -> int:
        return use(number for number in range(3))

    with caplog.at_level(logging.WARNING):
        assert using() == 3
    assert "argument 'x', a generator" in caplog.text
    assert last_flow_run("using").state.is_completed()


@pytest.mark.parametrize("by_setting", [False, True])
def test_a_run_that_refreshes_the_cache_runs_and_replaces_what_it_has(
    by_setting: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = itertools.count()

    @task(cache_key_fn=static("refreshed"))
    def count() -> int:
        return next(numbers)

    @flow
    def counting() -> int:
        return count()

    @flow
    def refreshing() -> int:
        return count() if by_setting else count.with_options(refresh_cache=True)()

    assert [counting(), counting()] == [0, 0]
    if by_setting:
        monkeypatch.setenv("CLEARWAY_TASKS_REFRESH_CACHE", "true")
        forget_settings()
        never = count.with_options(refresh_cache=False)

        @flow
        def stale() -> int:
            return never()

        assert stale() == 0
    assert refreshing() == 1
    monkeypatch.delenv("CLEARWAY_TASKS_REFRESH_CACHE", raising=False)
    forget_settings()
    assert counting() == 1


def test_a_block_lets_all_cached_tasks_run_and_replaces_what_the_cache_has() -> None:
    computed: list[str] = []

    @task(cache_key_fn=static("block"))
    def direct() -> int:
        computed.append("direct")
        return len(computed)

    @task(cache_key_fn=static("mapped"))
    def mapped(number: int) -> int:
        computed.append("mapped")
        return number

    @task(cache_key_fn=static("served"), refresh_cache=False)
    def served() -> None:
        computed.append("served")

    @flow
    def inner() -> int:
        return direct()

    @flow
    def outer() -> int:
        for future in mapped.map([1]):
            future.result()
        served()
        return inner()

    assert outer() == outer() == 3
    assert computed == ["mapped", "served", "direct"]
    with refresh_cache():
        assert outer() == 5
        with refresh_cache(refresh=False):
            assert outer() == 5
    assert outer() == 5  # what the block computed is served now
    assert computed == ["mapped", "served", "direct", "mapped", "direct"]


async def test_a_block_holds_for_async_flows_and_tasks() -> None:
    computed: list[int] = []

    @task(cache_key_fn=static("async-block"))
    async def make() -> int:
        computed.append(1)
        return len(computed)

    @flow
    async def making() -> tuple[int, int]:
        return await make(), await (await make.submit()).result()

    assert await making() == (1, 1)
    with refresh_cache():
        assert await making() == (2, 3)
    assert await making() == (3, 3)

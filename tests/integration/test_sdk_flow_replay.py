"""Which call of a flow's retry is given which result of an earlier attempt."""

from __future__ import annotations

import asyncio
import functools
import logging
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from clearway import AwaitingRetry, flow, task, unmapped
from clearway._canonical.digest import arguments_digest
from clearway.hashing import task_input_hash
from clearway.task_runners import SequentialTaskRunner
from integration.sdk_runs import last_flow_run, task_runs

pytestmark = pytest.mark.usefixtures("service")


class Again(Exception):  # noqa: N818 - what the first attempts of these flows end with
    """Ends an attempt."""


@dataclass
class Attempts:
    """Counts the attempts of a flow."""

    wanted: int = 2
    number: int = 0

    def begin(self) -> int:
        """Return the number of the attempt that begins, from 1."""
        self.number += 1
        return self.number

    def end(self) -> None:
        """End all attempts but the last."""
        if self.number < self.wanted:
            raise Again


@dataclass
class Ran:
    """Counts the calls of a function by their arguments."""

    calls: Counter[Any] = field(default_factory=Counter)

    def double(self, n: int) -> int:
        """Return twice a number."""
        self.calls[n] += 1
        return 2 * n


def doubling(ran: Ran, **options: Any) -> Any:
    @task(**options)
    def double(n: int) -> int:
        return ran.double(n)

    return double


WAYS: dict[str, Callable[[Any, int], Any]] = {
    "call": lambda double, n: double(n),
    "keyword": lambda double, n: double(n=n),
    "state": lambda double, n: double(n, return_state=True).result(),
    "submit": lambda double, n: double.submit(n).result(),
    "map": lambda double, n: double.map([n])[0].result(),
}


@pytest.mark.parametrize("options", [{}, {"cache_key_fn": task_input_hash}], ids=["plain", "cached"])
@pytest.mark.parametrize("way", WAYS)
def test_a_call_with_other_arguments_is_a_new_run(way: str, options: dict[str, Any], home: Path) -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran, **options)

    @flow(retries=1)
    def retried() -> Any:
        number = attempts.begin() + (1000 if options else 0) + 10 * hash(str(home))
        result = WAYS[way](double, number)
        attempts.end()
        return result == 2 * number

    assert retried()
    assert set(ran.calls.values()) == {1}
    assert len(ran.calls) == 2


@pytest.mark.parametrize("way", WAYS)
def test_calls_in_another_order_find_their_own(way: str) -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran)

    @flow(retries=1)
    def retried() -> list[Any]:
        order = [1, 2, 3] if attempts.begin() == 1 else [3, 1, 2]
        results = [WAYS[way](double, n) for n in order]
        attempts.end()
        return results

    assert retried() == [6, 2, 4]
    assert ran.calls == {1: 1, 2: 1, 3: 1}
    assert set(task_runs("retried")) == {"double-0", "double-1", "double-2"}


@pytest.mark.parametrize("runner", [None, SequentialTaskRunner()], ids=["threads", "sequential"])
def test_items_of_a_map_find_their_own_where_one_is_missing_and_one_is_new(runner: Any) -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran)

    @flow(retries=1, task_runner=runner)
    def retried() -> list[int]:
        items = [1, 2, 3, 4] if attempts.begin() == 1 else [2, 4, 5, 3]
        results = [future.result() for future in double.map(items)]
        attempts.end()
        return results

    assert retried() == [4, 8, 10, 6]
    assert ran.calls == {1: 1, 2: 1, 3: 1, 4: 1, 5: 1}


def test_what_a_map_shares_counts() -> None:
    attempts, ran = Attempts(), Counter[Any]()

    @task
    def scale(n: int, factors: list[int]) -> int:
        ran[n, factors[0]] += 1
        return n * factors[0]

    @flow(retries=2)
    def retried() -> list[int]:
        factors = [10] if attempts.begin() != 2 else [100]
        results = [future.result() for future in scale.map([1, 2], unmapped(factors))]
        attempts.end()
        return results

    attempts.wanted = 3
    assert retried() == [10, 20]
    assert ran == {(1, 10): 1, (2, 10): 1, (1, 100): 1, (2, 100): 1}


async def test_gathered_coroutines_that_reach_a_task_in_another_order_find_their_own() -> None:
    attempts, ran = Attempts(), Ran()

    @task
    async def double(n: int) -> int:
        return ran.double(n)

    async def reach(n: int, turns: dict[int, asyncio.Event]) -> int:
        await turns[n].wait()
        result = await double(n)
        turns[n + 1 if attempts.number == 1 else n - 1].set()
        return result

    @flow(retries=1)
    async def retried() -> list[int]:
        turns = {n: asyncio.Event() for n in range(6)}
        turns[1 if attempts.begin() == 1 else 4].set()
        results = await asyncio.gather(*(reach(n, turns) for n in range(1, 5)))
        attempts.end()
        return results

    assert await retried() == [2, 4, 6, 8]
    assert ran.calls == {1: 1, 2: 1, 3: 1, 4: 1}


def test_threads_that_call_a_task_in_another_order_find_their_own() -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran)

    @flow(retries=1)
    def retried() -> list[int]:
        turns = {n: threading.Event() for n in range(6)}
        turns[1 if attempts.begin() == 1 else 4].set()

        def reach(n: int) -> int:
            turns[n].wait()
            result: int = double(n)
            turns[n + 1 if attempts.number == 1 else n - 1].set()
            return result

        with ThreadPoolExecutor(4) as pool:
            futures = [pool.submit(copy_context().run, reach, n) for n in range(1, 5)]
            results = [future.result() for future in futures]
        attempts.end()
        return results

    assert retried() == [2, 4, 6, 8]
    assert ran.calls == {1: 1, 2: 1, 3: 1, 4: 1}


def test_subflows_are_known_by_their_parameters() -> None:
    attempts, ran = Attempts(), Ran()

    @flow
    def child(n: int, *, more: Any = None) -> int:
        del more
        return ran.double(n)

    @flow(retries=1)
    def retried() -> list[int]:
        order = [1, 2, 3] if attempts.begin() == 1 else [4, 3, 1]
        results = [child(n, more=unmapped([n])) for n in order]
        attempts.end()
        return results

    assert retried() == [8, 6, 2]
    assert ran.calls == {1: 1, 2: 1, 3: 1, 4: 1}
    assert set(task_runs("retried")) == {"child-0", "child-1", "child-2", "child-0-2"}


async def test_async_subflows_are_known_by_their_parameters() -> None:
    attempts, ran = Attempts(), Ran()

    @flow
    async def child(n: int) -> int:
        return ran.double(n)

    @flow(retries=1)
    async def retried() -> list[int]:
        order = [1, 2] if attempts.begin() == 1 else [3, 2, 1]
        results = [await child(n) for n in order]
        attempts.end()
        return results

    assert await retried() == [6, 4, 2]
    assert ran.calls == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("same", [True, False])
def test_results_of_upstream_runs_count_as_arguments(same: bool) -> None:
    attempts, ran = Attempts(), Ran()
    started = threading.Event()

    @task
    def load(n: int) -> int:
        started.wait(30)
        return n

    double = doubling(ran)

    @flow(retries=1)
    def retried() -> int:
        number = attempts.begin()
        started.clear()
        upstream = load.submit(1 if same else number)
        future = double.submit(upstream)  # while its upstream has not ended
        started.set()
        result: int = future.result()
        attempts.end()
        return result

    assert retried() == (2 if same else 4)
    assert ran.calls == ({1: 1} if same else {1: 1, 2: 1})


def test_an_argument_that_was_changed_meanwhile_is_another() -> None:
    attempts, ran = Attempts(), Counter[int]()
    rows: list[int] = []

    @task
    def total(rows: list[int]) -> int:
        ran[len(rows)] += 1
        return sum(rows)

    @flow(retries=1)
    def retried() -> int:
        rows.append(attempts.begin())
        result = total(rows)
        attempts.end()
        return result

    assert retried() == 3
    assert ran == {1: 1, 2: 1}


def test_defaults_count_and_how_arguments_are_given_does_not() -> None:
    attempts, ran = Attempts(), Counter[int]()

    @task
    def power(base: int, exponent: int = 2) -> int:
        ran[exponent] += 1
        return int(base**exponent)

    @flow(retries=1)
    def retried() -> int:
        result = power(3) if attempts.begin() == 1 else power(exponent=2, base=3)
        attempts.end()
        return result

    assert retried() == 9
    assert ran == {2: 1}


def test_of_equal_calls_each_finds_its_own() -> None:
    attempts, numbers = Attempts(), count()
    seen: list[list[int]] = []

    @task
    def ticket(_: str) -> int:
        number = next(numbers)
        if number == 1:
            raise ConnectionError
        return number

    @flow(retries=1)
    def retried() -> None:
        states = ticket.map(["same"] * 4, return_state=True)
        seen.append([-1 if state.is_failed() else state.result() for state in states])
        attempts.begin()
        attempts.end()

    retried()
    failed = seen[0].index(-1)
    assert seen[1] == [4 if place == failed else number for place, number in enumerate(seen[0])]


def test_a_call_that_one_attempt_left_out_is_known_in_the_next() -> None:
    attempts, ran = Attempts(wanted=3), Ran()
    double = doubling(ran)

    @flow(retries=2)
    def retried() -> list[int]:
        calls = {1: [1, 2], 2: [3], 3: [3, 2, 1]}[attempts.begin()]
        results = [double(n) for n in calls]
        attempts.end()
        return results

    assert retried() == [6, 4, 2]
    assert ran.calls == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("way", ["call", "submit", "map", "subflow"])
def test_arguments_that_cannot_be_compared_are_run_again_and_a_line_says_so(
    way: str, caplog: pytest.LogCaptureFixture
) -> None:
    attempts, ran = Attempts(), []
    connection = threading.Lock()

    def use(connection: Any, n: int) -> int:
        ran.append(connection)
        return n

    fetch, child = task(use, name="fetch"), flow(use, name="child", validate_parameters=False)

    @flow(retries=1)
    def retried() -> int:
        number = attempts.begin()
        ways: dict[str, Callable[[], int]] = {
            "call": lambda: fetch(connection, number),
            "submit": lambda: fetch.submit(connection, number).result(),
            "map": lambda: sum(future.result() for future in fetch.map(unmapped(connection), [number])),
            "subflow": lambda: child(connection, number),
        }
        result = ways[way]()
        attempts.end()
        return result

    with caplog.at_level(logging.WARNING, "clearway"):
        assert retried() == 2
    assert len(ran) == 2
    lines = [record.getMessage() for record in caplog.records]
    told = [line for line in lines if "runs again in attempt 2" in line]
    assert len(told) == 1
    assert told[0].startswith("the subflow 'child' runs again" if way == "subflow" else "runs again")
    assert "'connection', a lock, cannot be compared" in told[0]


def scaled(factor: int, n: int) -> int:
    return factor * n


class Scale:
    def __init__(self, factor: int) -> None:
        self.factor = factor

    def scaled(self, n: int) -> int:
        return self.factor * n

    @task
    def method(self, n: int) -> int:
        return self.factor * n

    def __call__(self, n: int) -> int:
        return self.factor * n


def closure(factor: int) -> Callable[[int], int]:
    def multiply(n: int) -> int:
        return factor * n

    return multiply


def decorated(factor: int) -> Callable[[int], int]:
    def decorate(fn: Callable[[int], int]) -> Callable[[int], int]:
        @functools.wraps(fn)
        def wrapper(n: int) -> int:
            return factor * fn(n)

        return wrapper

    return decorate(closure(1))


FACTORIES: dict[str, Callable[[int], Any]] = {
    "closure": lambda factor: task(closure(factor), name="multiply"),
    "decorator": lambda factor: task(decorated(factor), name="multiply"),
    "partial": lambda factor: task(functools.partial(scaled, factor), name="multiply"),
    "keyword partial": lambda factor: task(functools.partial(scaled, factor=factor), name="multiply"),
    "bound": lambda factor: task(Scale(factor).scaled, name="multiply"),
    "callable": lambda factor: task(Scale(factor), name="multiply"),
    "method": lambda factor: Scale(factor).method,
    "flow": lambda factor: flow(closure(factor), name="multiply"),
    "lambda": lambda factor: task((lambda n: 2 * n) if factor == 2 else (lambda n: 3 * n), name="multiply"),
}


@pytest.mark.filterwarnings("ignore::clearway.exceptions.DefinitionWarning")  # one name is the point of it
@pytest.mark.parametrize("made_in", ["module", "flow"])
@pytest.mark.parametrize("kind", FACTORIES)
def test_tasks_that_a_factory_makes_are_told_apart(kind: str, made_in: str) -> None:
    attempts, made = Attempts(), {factor: FACTORIES[kind](factor) for factor in (2, 3)}

    @flow(retries=1)
    def retried() -> list[int]:
        order = [2, 3] if attempts.begin() == 1 else [3, 2]
        tasks = made if made_in == "module" else {factor: FACTORIES[kind](factor) for factor in order}
        results = [tasks[factor](n=10) for factor in order]
        attempts.end()
        return results

    assert retried() == [30, 20]
    assert len(task_runs("retried")) == 2


def test_a_task_that_counts_its_calls_around_it_stays_the_same() -> None:
    attempts, calls, latest = Attempts(), 0, 0

    @flow(retries=1)
    def retried() -> int:
        nonlocal latest
        latest = attempts.begin()

        @task
        def work(n: int) -> int:
            nonlocal calls
            calls += 1
            return n + latest

        result = work(1)
        attempts.end()
        return result

    assert retried() == 2
    assert calls == 1


def test_what_was_completed_is_not_the_result_of_a_call_that_is_not_ready() -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran)

    @task
    def load() -> Iterator[int]:
        if attempts.number == 2:
            raise ConnectionError
        return iter([1])

    @flow(retries=1)
    def retried() -> str:
        attempts.begin()
        if attempts.number == 1:
            double(1)
            attempts.end()
        return double.submit(load.submit()).wait().name  # type: ignore[no-any-return]

    assert retried() == "NotReady"


def test_without_retries_a_flow_that_asks_to_be_called_again_runs_all_again() -> None:
    attempts, ran = Attempts(), Ran()
    double = doubling(ran)

    @flow
    def child(n: int) -> int:
        return ran.double(-n)

    @flow
    def asking() -> Any:
        number = attempts.begin()
        results = double(number), child(number)
        return AwaitingRetry(scheduled_time=datetime.now(UTC)) if number == 1 else list(results)

    assert asking() == [4, -4]
    assert ran.calls == {1: 1, 2: 1, -1: 1, -2: 1}
    assert last_flow_run("asking").run_count == 2


@pytest.mark.parametrize("retries", [0, 1])
def test_the_digest_is_recorded_with_the_run_where_a_retry_may_need_it(retries: int) -> None:
    double = doubling(Ran())

    @flow
    def child(n: int) -> int:
        return n

    @flow(retries=retries)
    def parent() -> None:
        double(21)
        child(3)

    parent()
    keys = {name: run.dynamic_key for name, run in task_runs("parent").items()}
    if not retries:
        assert keys == {"double-0": "0", "child-0": "0"}
        return
    digests = {name: arguments_digest({"n": n}).digest for name, n in {"double-0": 21, "child-0": 3}.items()}
    assert keys == {name: f"0@{digest}" for name, digest in digests.items()}
    assert all(re.fullmatch(r"0(@[0-9a-f]{64})?", key) for key in keys.values())


def test_a_failed_run_is_succeeded_by_a_new_one_with_the_same_arguments() -> None:
    attempts = Attempts(wanted=3)

    @task
    def flaky(n: int) -> int:
        if attempts.number < 3:
            raise ConnectionError
        return n

    @flow(retries=2)
    def retried() -> int:
        attempts.begin()
        return flaky(7)

    assert retried() == 7
    runs = task_runs("retried")
    assert {name: run.state.name for name, run in runs.items()} == {
        "flaky-0": "Failed",
        "flaky-0-2": "Failed",
        "flaky-0-3": "Completed",
    }
    assert len({run.dynamic_key.partition("@")[2] for run in runs.values()}) == 1


def test_a_result_that_is_gone_is_computed_again_once(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLEARWAY_RESULT_INLINE_BYTES", "0")
    attempts, ran = Attempts(wanted=3), Ran()
    places = home / "places"

    @task(result_storage=str(places), persist_result=True)
    def double(n: int) -> int:
        return ran.double(n)

    @flow(retries=2)
    def retried() -> list[int]:
        if attempts.begin() == 2:
            for path in places.rglob("*"):
                if path.is_file():
                    path.unlink()
        results = [double(n) for n in ([1, 2] if attempts.number == 1 else [2, 1])]
        attempts.end()
        return results

    assert retried() == [4, 2]
    assert ran.calls == {1: 2, 2: 2}

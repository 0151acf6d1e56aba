"""Tasks whose runs wait for the one that computes their cache key."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from typing import Any

import pytest

from clearway import flow, get_client, tags, task
from clearway.exceptions import RunNotFound
from clearway.schemas import WaitCause
from clearway.states import State
from integration.sdk_runs import SECONDS, set_limit, slots, task_runs
from support.proposals import new_id
from support.waiting import wait_until

pytestmark = pytest.mark.usefixtures("service")


@pytest.fixture
def key_fn() -> Any:
    """Return a ``cache_key_fn`` that makes one key, which no other test has."""
    key = f"key-{new_id()}"
    return lambda _context, _parameters: key


def test_a_hundred_runs_that_start_together_compute_once(key_fn: Any) -> None:
    calls = itertools.count(1)
    begun = threading.Event()

    @task(cache_key_fn=key_fn)
    def shared(_number: int) -> int:
        call = next(calls)
        assert begun.wait(SECONDS)
        return call

    @flow
    def together() -> list[int]:
        futures = shared.map(range(100))
        begun.set()
        return [future.result() for future in futures]

    assert together() == [1] * 100
    assert Counter(run.state.name for run in task_runs("together").values()) == {"Completed": 1, "Cached": 99}


def test_without_it_each_computes_for_itself(key_fn: Any) -> None:
    both = threading.Barrier(2)

    @task(cache_key_fn=key_fn, cache_single_flight=False)
    def alone(number: int) -> int:
        both.wait(SECONDS)
        return number

    @flow
    def apart() -> list[int]:
        return [future.result() for future in alone.map([1, 2])]

    assert apart() == [1, 2]


def test_where_the_first_one_fails_the_next_one_computes(key_fn: Any) -> None:
    calls = itertools.count()

    @task(cache_key_fn=key_fn)
    def fails_at_first(_number: int) -> int:
        if next(calls) == 0:
            raise OSError("no")
        return 42

    @flow
    def recovers() -> list[State[int]]:
        return [future.wait() for future in fails_at_first.map(range(5))]

    recovers(return_state=True)
    assert sorted(run.state.name for run in task_runs("recovers").values()) == [
        "Cached",
        "Cached",
        "Cached",
        "Completed",
        "Failed",
    ]


def test_one_that_waits_holds_neither_a_slot_nor_a_thread(key_fn: Any) -> None:
    tag = f"tag-{new_id()}"
    set_limit(tag, 1)
    done = threading.Event()

    @task(cache_key_fn=key_fn)
    def shared() -> int:
        assert done.wait(SECONDS)
        return 1

    @task
    def other() -> int:
        return 2

    @flow
    def mixed() -> list[int]:
        leader = shared.submit()
        wait_until(lambda: leader.get_state().is_running(), "the leader")
        with tags(tag):
            followers = [shared.submit() for _ in range(200)]
            assert other.submit().result() == 2
            assert slots(tag) == ()
        done.set()
        return [future.result() for future in (leader, *followers)]

    assert mixed() == [1] * 201


def test_explain_names_the_leader(key_fn: Any) -> None:
    done = threading.Event()

    @task(cache_key_fn=key_fn)
    def shared(_number: int) -> int:
        assert done.wait(SECONDS)
        return 1

    @flow
    def explained() -> None:
        leader = shared.submit(0)
        wait_until(lambda: leader.get_state().is_running(), "the leader")
        followers = shared.map([1, 2])

        def waiting() -> list[str]:
            try:
                with get_client() as client:
                    found = [client.explain_task_run(future.task_run_id) for future in followers]
            except RunNotFound:  # one was not proposed yet
                return []
            causes = {each.cause for each in found}
            return [each.summary for each in found] if causes == {WaitCause.CACHE} else []

        first, second = wait_until(waiting, "both wait")
        with get_client() as client:
            told = client.explain_task_run(followers[1].task_run_id)
            found = client.read_cache_stats()
        done.set()
        assert "shared-1 waits for shared-0 of" in first
        assert "number 2 in the queue" in second
        assert told.cache_key == key_fn(None, {})
        assert told.leader is not None
        assert told.leader.task_run_id == leader.task_run_id
        assert told.cache_position == 2
        assert (found.computing, found.waiting) == (1, 2)

    explained()


@pytest.mark.parametrize("first", ["it follows", "it is waited for"])
def test_a_leader_whose_code_waits_for_a_run_with_the_same_key_does_not_hang(key_fn: Any, first: str) -> None:
    calls = itertools.count()
    futures: list[Any] = []
    ready = threading.Event()

    @task(cache_key_fn=key_fn)
    def same(depth: int) -> int:
        next(calls)
        if depth == 0:
            return 1
        assert ready.wait(SECONDS)
        return int(futures[0].result()) + 1

    @task
    def later() -> None:
        assert ready.wait(SECONDS)

    @flow
    def recursive() -> int:
        leader = same.submit(1)
        wait_until(lambda: leader.get_state().is_running(), "the leader")
        if first == "it follows":
            futures.append(same.submit(0))
            wait_until(lambda: "same-1" in task_runs("recursive"), "the follower")
            ready.set()
        else:
            futures.append(same.submit(0, wait_for=[later.submit()]))
            ready.set()
        return int(leader.result())

    assert recursive() == 2
    assert next(calls) == 2

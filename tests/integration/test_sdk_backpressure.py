"""Mapping over very many items takes few threads and little memory."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from clearway import ConcurrentTaskRunner, ThreadPoolTaskRunner, flow, task
from clearway.futures import TaskFuture
from integration.sdk_runs import SECONDS

pytestmark = pytest.mark.usefixtures("service")


class Item:
    """Something that can be told from its copies, and whose end can be seen."""


@pytest.mark.parametrize(
    ("runner", "most"),
    [(ConcurrentTaskRunner(max_workers=8), 8), (ThreadPoolTaskRunner(max_workers=3), 3)],
    ids=["concurrent", "pool"],
)
def test_the_threads_of_a_map_over_20_000_items_are_bounded(
    runner: ConcurrentTaskRunner, most: int, request: pytest.FixtureRequest
) -> None:
    count = 20_000 if "embedded-concurrent" in request.node.name else 500
    names: set[str] = set()
    running = threading.Semaphore(most)

    @task
    def see(number: int) -> int:
        assert running.acquire(blocking=False), "more at once than there may be"
        names.add(threading.current_thread().name)
        running.release()
        return number

    @flow(task_runner=runner)
    def seeing() -> int:
        before = threading.active_count()
        total, threads = 0, 0
        for future in see.map(range(count)):
            total += future.result()
            threads = max(threads, threading.active_count() - before)
        # Those that end a run are still there while the next begins: a few more than run code.
        assert threads <= 2 * most + 4
        return total

    assert seeing() == sum(range(count))
    assert len(names) <= 2 * most + 4


def test_arguments_are_passed_on_as_they_are_and_let_go_when_their_run_has_ended() -> None:
    items = [Item() for _ in range(50)]
    given = list(items)
    left = [weakref.ref(item) for item in items]

    @task
    def take(item: Item, whole: list[Item]) -> int:  # noqa: ARG001
        return id(item)

    @flow(validate_parameters=False)
    def taking() -> list[int]:
        nothing: list[Item] = []
        futures: list[TaskFuture[int]] = take.map(given, whole=[nothing] * len(given))
        return [future.result() for future in futures]

    assert taking() == [id(item) for item in items]
    del items[:], given[:]
    gc.collect()
    assert not [one for one in left if one() is not None]


def test_a_generators_items_are_held_by_their_runs_only() -> None:
    alive: weakref.WeakSet[Item] = weakref.WeakSet()
    first_ended, first_gone = threading.Event(), threading.Event()

    def make() -> Iterator[Item]:
        for _ in range(10):
            item = Item()
            alive.add(item)
            yield item

    @task
    def take(number: int, item: Any) -> None:  # noqa: ARG001
        if number == 1:  # while this one holds up the flow, the first one's item is gone
            assert first_ended.wait(SECONDS)
            gc.collect()
            if len(alive) < 10:
                first_gone.set()

    @flow(task_runner=ThreadPoolTaskRunner(max_workers=1))
    def taking() -> None:
        futures = take.map(range(10), make())
        futures[0].wait()
        first_ended.set()
        futures[1].wait()

    taking()
    assert first_gone.is_set()
    gc.collect()
    assert len(alive) == 0

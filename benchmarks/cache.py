"""Cached tasks, in a separate process.

python -m benchmarks.cache hit 300             prints milliseconds per sequential cache hit
python -m benchmarks.cache hits 1000           prints cache hits per second of one map
python -m benchmarks.cache single_flight 100   prints the ms from the leader's end until 99 % of its followers
                                               have the result
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import uuid4

from benchmarks.measuring import Measurement
from benchmarks.processes import measured
from benchmarks.results import SIZES, copy, stored
from benchmarks.slots import percentile
from clearway import TaskFuture, flow, task
from clearway.context import TaskRunContext


def by_number(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """Return a cache key."""
    return f"benchmark-{parameters['number']}"


@task(cache_key_fn=by_number)
def square(number: int) -> int:
    """Return the square of a number."""
    return number * number


@flow
def hit(tasks: int) -> float:
    """Return milliseconds per hit of one key."""
    square(-1)
    begun = time.perf_counter()
    for _ in range(tasks):
        square(-1)
    return (time.perf_counter() - begun) / tasks * 1e3


@flow
def hits(tasks: int) -> float:
    """Return hits per second of a map over ``tasks`` keys."""
    for future in square.map(range(tasks)):
        future.wait()
    begun = time.perf_counter()
    states = [future.wait() for future in square.map(range(tasks))]
    seconds = time.perf_counter() - begun
    assert all(state is not None and state.name == "Cached" for state in states)
    return tasks / seconds


@flow
def single_flight(followers: int) -> float:
    """Return the 99th percentile of the milliseconds from the leader's end to its followers' results."""
    key = str(uuid4())
    begun, release = threading.Event(), threading.Event()
    ended: list[float] = []
    done: list[float] = []

    @task(cache_key_fn=lambda *_: key, cache_single_flight=True)
    def compute() -> int:
        begun.set()
        release.wait()
        ended.append(time.perf_counter())
        return 1

    leader = compute.submit()
    begun.wait()
    futures: list[TaskFuture[int]] = [compute.submit() for _ in range(followers)]
    for future in futures:
        future.when_done(lambda: done.append(time.perf_counter()))
    time.sleep(0.5)  # so that all followers are queued
    release.set()
    assert leader.result() == 1
    assert all(future.result() == 1 for future in futures)
    assert len(ended) == 1, "the key was computed more than once"
    return percentile([(moment - ended[0]) * 1e3 for moment in done], 99)


def cache(
    embedded: dict[str, str], server: dict[str, str], commit: str, round_trip: str
) -> list[Measurement]:
    """Return the measurements of the cache and of results, compared to the limits with these names."""
    kinds = partial(measured, "benchmarks.cache")
    measurements = []
    for place, environment, bare in (("embedded", embedded, commit), ("server", server, round_trip)):
        measurements += [
            Measurement(f"cached hit, {place}", "ms/task", kinds(["hit", "300"], environment), bare),
            Measurement(
                f"mapped cached hits, {place}",
                "tasks/s",
                kinds(["hits", "1000"], environment),
                more_is_better=True,
            ),
            Measurement(
                f"single flight, p99 of 100 that wait, {place}",
                "ms",
                kinds(["single_flight", "100"], environment),
            ),
        ]
    for size, times in SIZES:
        label = _label(size)
        bare = f"plain file of {label}, written through and read"
        measurements.append(Measurement(bare, "MB/s", partial(copy, size, times), more_is_better=True))
        measurements += [
            Measurement(
                f"result of {label} in {name}",
                "MB/s",
                stored(environment, place, size, times),
                bare,
                more_is_better=True,
            )
            for name, environment, place in (
                ("a directory", embedded, ""),
                ("memory://", embedded, "memory://results"),
                ("service://, embedded", embedded, "service://"),
                ("service://, server", server, "service://"),
            )
        ]
    return measurements


def _label(size: int) -> str:
    return f"{size // 1024} KiB" if size < 1024 * 1024 else f"{size // (1024 * 1024)} MiB"


if __name__ == "__main__":
    measure: dict[str, Callable[[int], float]] = {"hit": hit, "hits": hits, "single_flight": single_flight}
    print(measure[sys.argv[1]](int(sys.argv[2])))

"""Flows of short tasks through the SDK, in a separate process, so that nothing is warmed up.

python -m benchmarks.flows sequential 500   prints milliseconds per task
python -m benchmarks.flows mapped 1000      prints tasks per second
python -m benchmarks.flows pending 10000    prints the bytes per pending run

The other flows are below. They run embedded, or against a server if ``CLEARWAY_ADDRESS`` is set.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
from pathlib import Path

from clearway import flow, tags, task

SHORT = "short-from-the-shell"
"""The tag of the flow ``short``."""


@task
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@task
async def nothing_async(number: int) -> int:
    """Do nothing."""
    return number


@task
def pause() -> None:
    """Take 10 ms."""
    time.sleep(0.01)


@flow
def sequential(tasks: int) -> float:
    """Return milliseconds per task, for sequential calls."""
    nothing(-1)
    begun = time.perf_counter()
    for number in range(tasks):
        nothing(number)
    return (time.perf_counter() - begun) / tasks * 1e3


@flow
async def sequential_async(tasks: int) -> float:
    """Return milliseconds per async task, for sequential awaits."""
    await nothing_async(-1)
    begun = time.perf_counter()
    for number in range(tasks):
        await nothing_async(number)
    return (time.perf_counter() - begun) / tasks * 1e3


@flow
def mapped(tasks: int) -> float:
    """Return tasks per second of one map, until its last result."""
    nothing(-1)
    begun = time.perf_counter()
    results = [future.result() for future in nothing.map(range(tasks))]
    seconds = time.perf_counter() - begun
    assert results == list(range(tasks))
    return tasks / seconds


@flow
async def mapped_async(tasks: int) -> float:
    """Return async tasks per second of one map, until its last result."""
    await nothing_async(-1)
    begun = time.perf_counter()
    results = [await future.result() for future in await nothing_async.map(range(tasks))]
    seconds = time.perf_counter() - begun
    assert results == list(range(tasks))
    return tasks / seconds


@flow
def pending(tasks: int) -> None:
    """Print the process's memory growth, in bytes, per pending run of a map."""
    import psutil  # noqa: PLC0415 - its import would slow down the other flows

    blocked = threading.Event()

    @task
    def block(number: int) -> int:
        blocked.wait()
        return number

    nothing.submit(-1).result()
    gc.collect()
    before = psutil.Process().memory_info().rss
    futures = block.map(range(tasks))
    grown = psutil.Process().memory_info().rss - before
    print(grown / len(futures), flush=True)
    os._exit(0)  # the runs themselves are not measured


@flow
def mapped_peak(tasks: int) -> int:
    """Return the process's peak memory, in bytes, during a map whose results are read one by one."""
    for future in nothing.map(range(tasks)):
        future.result()
    return _peak()


@flow
def sequential_peak(tasks: int) -> int:
    """Return the process's peak memory, in bytes, during sequential tasks."""
    for number in range(tasks):
        nothing(number)
    return _peak()


def _peak() -> int:
    """Return this process's peak memory, in bytes; ``getrusage`` would include its parent's."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@flow
def short(tasks: int) -> float:
    """Run tasks of 10 ms under a concurrency limit."""
    with tags(SHORT):
        for future in [pause.submit() for _ in range(tasks)]:
            future.result()
    return 0.0


@flow
def one(tasks: int) -> float:
    """Run ``tasks`` tasks without warm-up, to measure a whole program that runs a flow."""
    for number in range(tasks):
        nothing(number)
    return float(tasks)


if __name__ == "__main__":
    number = int(sys.argv[2])
    if sys.argv[1].endswith("_async"):
        print(
            asyncio.run(
                {"sequential_async": sequential_async, "mapped_async": mapped_async}[sys.argv[1]](number)
            )
        )
    else:
        kinds = {
            "sequential": sequential,
            "mapped": mapped,
            "pending": pending,
            "short": short,
            "one": one,
            "mapped_peak": mapped_peak,
            "sequential_peak": sequential_peak,
        }
        print(kinds[sys.argv[1]](number))

"""Flows of short tasks through the SDK, in a process of its own, so that nothing is warm already.

python -m benchmarks.flows sequential 500   prints milliseconds per task
python -m benchmarks.flows mapped 1000      prints tasks per second
python -m benchmarks.flows pending 10000    prints bytes for each run that waits for its turn

The others are below. Embedded by default, against a server with ``CLEARWAY_ADDRESS``.
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
    """Return milliseconds per task, called one after the other."""
    nothing(-1)
    begun = time.perf_counter()
    for number in range(tasks):
        nothing(number)
    return (time.perf_counter() - begun) / tasks * 1e3


@flow
async def sequential_async(tasks: int) -> float:
    """Return milliseconds per async task, awaited one after the other."""
    await nothing_async(-1)
    begun = time.perf_counter()
    for number in range(tasks):
        await nothing_async(number)
    return (time.perf_counter() - begun) / tasks * 1e3


@flow
def mapped(tasks: int) -> float:
    """Return tasks per second of one map, until the last result is there."""
    nothing(-1)
    begun = time.perf_counter()
    results = [future.result() for future in nothing.map(range(tasks))]
    seconds = time.perf_counter() - begun
    assert results == list(range(tasks))
    return tasks / seconds


@flow
async def mapped_async(tasks: int) -> float:
    """Return async tasks per second of one map, until the last result is there."""
    await nothing_async(-1)
    begun = time.perf_counter()
    results = [await future.result() for future in await nothing_async.map(range(tasks))]
    seconds = time.perf_counter() - begun
    assert results == list(range(tasks))
    return tasks / seconds


@flow
def pending(tasks: int) -> None:
    """Print by how many bytes the process grew for each run of a map that waits for its turn."""
    import psutil  # noqa: PLC0415 - the other flows are not to wait for it

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
    os._exit(0)  # what was measured is not the running of them all


@flow
def mapped_peak(tasks: int) -> int:
    """Return the most bytes that the process had while a map ran, its results read one by one."""
    for future in nothing.map(range(tasks)):
        future.result()
    return _peak()


@flow
def sequential_peak(tasks: int) -> int:
    """Return the most bytes that the process had while tasks ran one after the other."""
    for number in range(tasks):
        nothing(number)
    return _peak()


def _peak() -> int:
    """Return the most bytes that this process had; what ``getrusage`` says is of its parent too."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@flow
def short(tasks: int) -> float:
    """Run tasks of 10 ms under the limit of their tag."""
    with tags(SHORT):
        for future in [pause.submit() for _ in range(tasks)]:
            future.result()
    return 0.0


@flow
def one(tasks: int) -> float:
    """Run as many tasks, and none to warm up: what a program costs that runs a flow."""
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

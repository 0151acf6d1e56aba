"""Flows of no-op tasks through the SDK, in a process of its own, so that nothing is warm already.

python -m benchmarks.flows sequential 500   prints milliseconds per task
python -m benchmarks.flows mapped 1000      prints tasks per second

Embedded by default, against a server with ``CLEARWAY_ADDRESS``.
"""

from __future__ import annotations

import sys
import time

from clearway import flow, task


@task
def nothing(number: int) -> int:
    """Do nothing."""
    return number


@flow
def sequential(tasks: int) -> float:
    """Return milliseconds per task, called one after the other."""
    nothing(-1)
    begun = time.perf_counter()
    for number in range(tasks):
        nothing(number)
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


if __name__ == "__main__":
    print({"sequential": sequential, "mapped": mapped}[sys.argv[1]](int(sys.argv[2])))

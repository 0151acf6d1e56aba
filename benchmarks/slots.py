"""Tasks under a limit, in a separate process.

python -m benchmarks.slots TAG TASKS SECONDS   prints a JSON list of [start, end] for each task

The times are from the system's monotonic clock, so those of several processes are comparable.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import pairwise

from benchmarks.processes import variables
from clearway import flow, get_client, tags, task

Span = tuple[float, float]


@task
def hold(seconds: float) -> Span:
    """Hold a slot for ``seconds`` and return the span."""
    begun = time.monotonic()
    while (rest := begun + seconds - time.monotonic()) > 0:
        time.sleep(rest)
    return begun, time.monotonic()


@flow
def under_limit(tag: str, tasks: int, seconds: float) -> list[Span]:
    """Return the spans of ``tasks`` tasks with one tag."""
    with tags(tag):
        futures = hold.map([seconds] * tasks)
    return [future.result() for future in futures]


def set_limit(tag: str, slots: int) -> None:
    """Set the limit of a tag."""
    with get_client() as client:
        client.create_concurrency_limit(tag=tag, concurrency_limit=slots)


def limited(environment: dict[str, str], tag: str, slots: int) -> None:
    """Set the limit of a tag, in a separate process."""
    limit = f"from benchmarks.slots import set_limit; set_limit({tag!r}, {slots})"
    subprocess.run([sys.executable, "-c", limit], env=variables(environment), check=True)


def handoffs(spans: list[Span]) -> list[float]:
    """Return the milliseconds from each task's end to the next one's start, under a limit of 1."""
    ordered = sorted(spans)
    assert all(before[1] <= after[0] for before, after in pairwise(ordered)), "two ran at once"
    return [(after[0] - before[1]) * 1e3 for before, after in pairwise(ordered)]


def percentile(values: list[float], percent: float) -> float:
    """Return a percentile of ``values``."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def run(
    environment: dict[str, str], tag: str, slots: int, processes: int, tasks: int, seconds: float
) -> list[Span]:
    """Run ``tasks`` tasks in each of several processes under one limit; return all their spans."""
    limited(environment, tag, slots)
    command = [sys.executable, "-m", "benchmarks.slots", tag, str(tasks), str(seconds)]
    started = [
        subprocess.Popen(
            command,
            env=variables(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(processes)
    ]
    spans: list[Span] = []
    for process in started:
        output, _ = process.communicate()
        assert process.returncode == 0
        spans += [(begun, ended) for begun, ended in json.loads(output.splitlines()[-1])]
    return spans


def short_tasks(environment: dict[str, str]) -> float:
    """Return the total milliseconds of 10 tasks of 10 ms under a limit of 2."""
    spans = run(environment, "short", 2, 1, 10, 0.01)
    return (max(ended for _, ended in spans) - min(begun for begun, _ in spans)) * 1e3


def handoff(
    environment: dict[str, str], processes: int, percent: float, tasks: int = 200
) -> Callable[[], float]:
    """Return a function that measures a percentile of the hand-off, in ms, of 2 ms tasks, limit 1."""
    return lambda: percentile(handoffs(run(environment, "handoff", 1, processes, tasks, 0.002)), percent)


def utilisation(environment: dict[str, str]) -> float:
    """Return the utilisation of 10 slots, in percent, while 778 tasks of 0.12 s run."""
    spans = run(environment, "busy", 10, 1, 778, 0.12)
    wall = max(ended for _, ended in spans) - min(begun for begun, _ in spans)
    return 100 * sum(ended - begun for begun, ended in spans) / (10 * wall)


if __name__ == "__main__":
    print(json.dumps(under_limit(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))))

"""A client with the SDK, which runs flows sequentially: ``FOLDER NAME SEED``.

If ``CLEARWAY_ADDRESS`` is set it uses a server, otherwise an embedded engine. A flow is run again if its
process was killed, or if the service considered the process dead; its result is known in advance.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from typing import Any

from clearway import flow, runtime, tags, task
from clearway.exceptions import Aborted, CrashedRun, ServerUnavailable, SessionExpired, UpstreamTaskError
from faults.storm.clients.place import TAGS, Place

_COMES_AGAIN = (CrashedRun, ServerUnavailable, SessionExpired, UpstreamTaskError, Aborted)

place: Place
seconds = 0.0


def attempt() -> str:
    """Return a name for the current attempt."""
    return f"{runtime.task_run.id} {runtime.task_run.run_count}"


def tell(_task: Any, run: Any, state: Any) -> None:
    """Record the states that the SDK received."""
    told = [state.id, int(state.type), state.name, state.timestamp.timestamp()]
    answer = "reject" if state.name == "Cached" else "accept"
    place.record.write(told=state.id, run=run.id, answer=answer, state=told)


def work(number: int, key: str = "", *, fails: int = 0) -> None:
    """Simulate the body of a task run."""
    name = attempt()
    place.bodies.write(
        begin=name, run=runtime.task_run.id, tags=[t for t in runtime.task_run.tags if t in TAGS], key=key
    )
    time.sleep(seconds * (1 + number % 3))
    place.bodies.write(end=name)
    if runtime.task_run.run_count <= fails:
        raise ConnectionError("not yet")


@task(tags=["storm-2"], retries=2, retry_delay_seconds=0.05, on_completion=[tell])
def square(number: int) -> int:
    """Return a square; every third number fails at first."""
    work(number, fails=int(number % 3 == 0))
    return number * number


@task(tags=["storm-4"], cache_key_fn=lambda _context, given: f"shared {given['job'] // 4} {given['which']}")
def shared(job: int, which: int) -> str:
    """Return a result that is the same for all runs with the same key."""
    key = f"shared {job // 4} {which}"
    work(which, key)
    return key


@flow
def below(job: int) -> int:
    """Return the sum of two squares."""
    with tags("storm-1"):
        return sum(future.result() for future in square.map([job, job + 1]))


@flow
def above(job: int) -> list[Any]:
    """Return the results of tasks and a subflow."""
    squares = square.map(range(job, job + 5))
    keys = [shared.submit(job, which) for which in range(2)]
    child = below(job)
    return [sum(each.result() for each in squares), child, *[each.result() for each in keys]]


def wanted(job: int) -> list[Any]:
    """Return the expected result of ``above``."""
    squares = sum(number * number for number in range(job, job + 5))
    return [squares, job**2 + (job + 1) ** 2, *[f"shared {job // 4} {which}" for which in range(2)]]


def run(job: int) -> None:
    """Run a flow until it completes."""
    while True:
        try:
            got = above(job)
        except _COMES_AGAIN as error:
            place.record.write(again=job, because=f"{type(error).__name__}: {error}"[:300])
        except Exception as error:  # noqa: BLE001 - the checker judges it
            place.record.write(unexpected=f"flow {job} raised {type(error).__name__}: {error}"[:600])
            place.record.write(result=job, got="", wanted=repr(wanted(job)))
            return
        else:
            place.record.write(result=job, got=repr(got), wanted=repr(wanted(job)))
            return


def main(folder: str, name: str, seed: str) -> None:
    """Run with the arguments of the command line."""
    global place, seconds  # noqa: PLW0603 - the flows are module-level, and so is their record
    place = Place(Path(folder), name, int(seed))
    seconds = random.Random(seed).choice([0.01, 0.05, 0.1])
    place.record.write(runs_flows=True)
    for job in place.jobs():
        place.record.write(job=job.number)
        run(job.number)
        place.record.write(done=job.number)
    place.record.write(finished=True)


if __name__ == "__main__":
    main(*sys.argv[1:])

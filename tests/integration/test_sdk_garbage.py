"""What is left behind by runs that have ended: nothing that the garbage collector has to find.

Collections while a flow runs cost time, and an interrupt that comes during one may be lost: Python ignores
what is raised in the callbacks of weak references.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from clearway import flow, task

pytestmark = pytest.mark.usefixtures("service")


@task
def work(x: Any = 0) -> Any:
    return x


@task
async def wait(x: Any = 0) -> Any:
    await asyncio.sleep(0)
    return x


@flow
def direct() -> None:
    for number in range(20):
        work(number)


@flow
def mapped() -> None:
    work.map(work.map(range(20)))


@flow
def asynchronous_beside() -> None:
    futures: Any = wait.map(range(20))
    for future in futures:
        future.wait()


@pytest.mark.parametrize("run", [direct, mapped, asynchronous_beside])
def test_runs_that_have_ended_are_no_garbage(run: Callable[[], Any]) -> None:
    run()
    gc.collect()
    gc.disable()
    try:
        run()
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        kinds = Counter(type(found).__name__ for found in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert not {"TaskRun", "Submission", "TaskFuture", "State", "Task", "Decision", "Proposal"} & kinds.keys()

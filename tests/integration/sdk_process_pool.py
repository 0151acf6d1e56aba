"""A program with its tasks in ``__main__``, without a guard; its argument says what it does."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from clearway import ProcessPoolTaskRunner, flow, task

calls = 0


@dataclass
class Seen:
    """What a task saw."""

    number: int
    calls: int
    pid: int


@task
def look(number: int) -> Seen:
    """Count the calls in this process, in a global variable."""
    global calls  # noqa: PLW0603 - that is what is looked at
    calls += 1
    return Seen(helper(number), calls, os.getpid())


def helper(number: int) -> int:
    """Do something that a task of the main module needs."""
    return number * 10


@task
def block(begun: str) -> None:
    """Say who runs, and go on for long."""
    Path(begun).write_text(str(os.getpid()))
    time.sleep(60)


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def looking() -> None:
    """Show that tasks and classes of the main module cross, there and back."""
    seen = [future.result() for future in look.map([1, 2, 3])]
    assert all(type(one) is Seen for one in seen)
    print([one.number for one in seen], [one.calls for one in seen], calls, seen[0].pid != os.getpid())


@flow(task_runner=ProcessPoolTaskRunner(max_workers=1))
def blocking() -> None:
    """Run until somebody ends this."""
    block.submit(sys.argv[2]).result()


{"looking": looking, "blocking": blocking}[sys.argv[1]]()

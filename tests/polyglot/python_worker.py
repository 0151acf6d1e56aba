"""A Python worker beside those of other languages: ``TAG TASKS MILLISECONDS``."""

from __future__ import annotations

import sys
import time

from clearway import flow, task

TAG, TASKS, MILLISECONDS = sys.argv[1:]


@task(tags=[TAG])
def work(number: int) -> int:
    """Hold a slot for a while."""
    time.sleep(int(MILLISECONDS) / 1000)
    return number


@flow(name="from-python")
def working() -> int:
    """Run the tasks, all at once: the limit on the tag holds them back."""
    return sum(future.result() for future in work.map(range(int(TASKS))))


if __name__ == "__main__":
    sys.stdout.write(f"{working()}\n")

"""A flow whose cached task's result is read without a file descriptor: ``python results_descriptors.py KEY``.

Prints each time that the task's code runs, and what the flow got.
"""

from __future__ import annotations

import os
import resource
import sys

from clearway import flow, task
from clearway.exceptions import UnreadableResult

LARGE = "x" * 100_000


@task(cache_key_fn=lambda *_: sys.argv[1])
def make() -> str:
    """Make a result that is too large to travel within its state."""
    print("computed")
    return LARGE


@flow
def making() -> str:
    """Read the result as usual."""
    return make()


@flow
def starved() -> None:
    """Take all descriptors, and read the result; then give them back, and read it again."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    taken = []
    try:
        while True:
            taken.append(os.dup(0))
    except OSError:
        pass
    try:
        state = make(return_state=True)
        try:
            print("right" if state.result() == LARGE else "wrong")
        except UnreadableResult as error:
            print(f"unreadable: {error}")
    finally:
        for descriptor in taken:
            os.close(descriptor)
    print(state.name)
    print("right" if state.result() == LARGE else "wrong")


if __name__ == "__main__":
    for _ in range(2):  # the second time from the cache, which loads the modules that reading needs
        assert making() == LARGE
    starved()

"""A flow with one cached task, in a process of its own: ``python results_flow.py KEY BYTES``.

Prints whether the task's code ran, and whether the result is what it must be.
"""

from __future__ import annotations

import sys

from clearway import flow, task

KEY, SIZE = sys.argv[1], int(sys.argv[2])


@task(cache_key_fn=lambda _context, _parameters: KEY)
def make() -> list[str]:
    print("computed")
    return ["x" * SIZE]


@flow
def making() -> list[str]:
    return make()


if __name__ == "__main__":
    print("right" if making() == ["x" * SIZE] else "wrong")

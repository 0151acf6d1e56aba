"""A process that runs a flow of many task runs with one cache key: ``COUNT KEY``.

It reports when it computes the key, keeps computing until it receives a line, and reports all results.
"""

from __future__ import annotations

import json
import os
import sys

from clearway import flow, task


def main(count: str, key: str) -> None:
    """Run with the arguments of the command line."""

    @task(cache_key_fn=lambda _context, _parameters: key)
    def shared(_number: int) -> int:
        _tell("computes", os.getpid())
        sys.stdin.readline()
        return os.getpid()

    @flow
    def sharing() -> list[int]:
        return [future.result() for future in shared.map(range(int(count)))]

    _tell("results", sharing())


def _tell(what: str, value: object) -> None:
    sys.stdout.write(json.dumps({what: value}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])

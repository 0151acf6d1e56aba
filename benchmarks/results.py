"""Results written to a storage and read back, in a separate process.

python -m benchmarks.results BYTES TIMES   prints the round-trip throughput in MB/s
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.processes import measured
from clearway.results import StoredResult, get_store

KIB, MIB = 1024, 1024 * 1024
SIZES = ((KIB, 200), (MIB, 20), (100 * MIB, 1))


def keep_and_read(size: int, times: int) -> float:
    """Return the MB/s at which ``times`` results of ``size`` bytes are stored and read back."""
    store = get_store()
    bodies = [os.urandom(size) for _ in range(times)]
    store.store(b"first")  # opens what has to be opened
    begun = time.perf_counter()
    references = [StoredResult.from_proto(store.store(body)) for body in bodies]
    for body, reference in zip(bodies, references, strict=True):
        assert reference.load() == body
    return 2 * size * times / (time.perf_counter() - begun) / 1e6


def copy(size: int, times: int) -> float:
    """Return the MB/s at which bytes are written to plain files with fsync, and read back."""
    with tempfile.TemporaryDirectory() as folder:
        bodies = [os.urandom(size) for _ in range(times)]
        begun = time.perf_counter()
        for number, body in enumerate(bodies):
            with Path(folder, str(number)).open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
        for number, body in enumerate(bodies):
            assert Path(folder, str(number)).read_bytes() == body
        return 2 * size * times / (time.perf_counter() - begun) / 1e6


def stored(environment: dict[str, str], place: str, size: int, times: int) -> Callable[[], float]:
    """Return a function that measures a storage in a separate process."""
    variables = environment | {"CLEARWAY_RESULT_STORAGE": place, "CLEARWAY_RESULT_INLINE_BYTES": "0"}
    return measured("benchmarks.results", [str(size), str(times)], variables)


if __name__ == "__main__":
    print(keep_and_read(int(sys.argv[1]), int(sys.argv[2])))

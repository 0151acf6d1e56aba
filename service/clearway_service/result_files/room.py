"""Room: how many bytes the folder of results has, and whether more fit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from clearway_service.errors import StorageFullError


class Room:
    """Keeps the total of a folder. Its methods may be called by several threads.

    The total is counted once, kept by adding what this process writes and deletes, and counted again now and
    then. What other processes write is not known before that, so that several processes on one folder may
    exceed the bound by what they write in between.

    Args:
        path: The folder.
        most: How many bytes it may have; 0 for no bound.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self._total: int | None = None
        self._changes = 0

    @property
    def is_counted(self) -> bool:
        """Whether ``check`` can tell."""
        return not self._most or self._total is not None

    def count(self) -> None:
        """Look at every file of the folder, which may take seconds."""
        if not self._most:
            return
        before = self._changes
        total = sum(_sizes(self._path))
        with self._lock:
            self._total = total + self._changes - before

    def add(self, size: int) -> None:
        """Note that the folder has ``size`` bytes more, or less where it is negative."""
        with self._lock:
            self._changes += size
            if self._total is not None:
                self._total += size

    def check(self, more: int) -> None:
        """Check that ``more`` bytes fit.

        Raises:
            StorageFullError: They do not.
        """
        if self._most and self._total is not None and self._total + more > self._most:
            raise StorageFullError(
                f"the service's storage has {self._total:,} bytes and takes {self._most:,} at most "
                f"(the server's setting CLEARWAY_MAX_RESULT_STORAGE_BYTES), so {more:,} more do not fit"
            )


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - there may be millions
            except FileNotFoundError:  # deleted or renamed meanwhile
                continue

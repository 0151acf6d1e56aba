"""Room: the size of the results folder, and whether more bytes fit."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

from clearway_service.errors import StorageFullError


class Room:
    """Tracks the size of a folder. Its methods may be called by several threads.

    The size is measured once, then updated with what this process writes and deletes, and measured again from
    time to time. Writes of other processes are unknown until then, so several processes on one folder may
    exceed the bound by what they write in between.

    Args:
        path: The folder.
        most: The maximum number of bytes; 0 for no bound.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._most = most
        self._lock = threading.Lock()
        self._total: int | None = None
        self._changes = 0

    @property
    def is_counted(self) -> bool:
        """Whether the folder was measured, which ``check`` needs."""
        return not self._most or self._total is not None

    def count(self) -> None:
        """Measure the folder by its files, which may take seconds."""
        if not self._most:
            return
        before = self._changes
        total = sum(_sizes(self._path))
        with self._lock:
            self._total = total + self._changes - before

    def add(self, size: int) -> None:
        """Note that the folder grew by ``size`` bytes, or shrank if it is negative."""
        with self._lock:
            self._changes += size
            if self._total is not None:
                self._total += size

    def check(self, more: int) -> None:
        """Check that ``more`` bytes fit.

        Raises:
            StorageFullError: They do not fit.
        """
        if self._most and self._total is not None and self._total + more > self._most:
            raise StorageFullError(
                f"the service's storage has {self._total:,} bytes and may have {self._most:,} at most "
                f"(the server's setting CLEARWAY_MAX_RESULT_STORAGE_BYTES), so {more:,} more do not fit"
            )


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(parent, name)).st_size  # noqa: PTH118 - there may be millions
            except FileNotFoundError:  # deleted or renamed meanwhile
                continue

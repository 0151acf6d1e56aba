"""Open files: whether the database at its path is still the file that was opened.

A file that is deleted or replaced remains usable for the processes that have it open. SQLite commits to it
without an error, and all of that is lost when the process ends.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import NamedTuple

# The length of a database's header: SQLite never creates a shorter file.
_SMALLEST = 512
# Times of files may be two seconds apart where the file system counts no less, so one that is as old as this
# is not that of a later change.
_SETTLED_NANOSECONDS = 3_000_000_000


class Fault(NamedTuple):
    """What has happened to a database's files.

    Attributes:
        message: What happened, and what to do.
        log_deleted: Whether only its log was deleted, with nothing in its place: the log is still open here,
            and can be moved into the database.
    """

    message: str
    log_deleted: bool = False


class OpenFiles:
    """The files of a database that is open in WAL mode, by device and inode.

    This opens none of them: closing any descriptor of a file would release SQLite's locks on it in this
    process.
    It opens their folder, since one look at when its entries changed covers them all.

    Args:
        path: The database. It has been read, so its log and its shared memory exist.

    Raises:
        OSError: One of the three files does not exist.
    """

    def __init__(self, path: Path) -> None:
        # A relative path means another file once the process changes its working directory.
        self._path = os.path.abspath(path)  # noqa: PTH100 - used in every turn: strings are cheaper
        # If the path is a link, SQLite keeps both beside the target.
        real = os.path.realpath(path)
        self._log, self._memory = f"{real}-wal", f"{real}-shm"
        self._identities = tuple(_identity(each) for each in (self._path, self._log, self._memory))
        self._device, self._inode = self._identities[0]
        self._folder = _open_folder(os.path.dirname(real))  # noqa: PTH120 - see above
        # When the folder's entries had been changed for the last time when the files were in their places,
        # if no change since can have the same time.
        self._changed: int | None = None

    def fault(self) -> Fault | None:
        """Return what is wrong with the files, or None if they are in place. Takes microseconds."""
        changed = None
        if self._folder is not None:
            changed = os.fstat(self._folder).st_mtime_ns
            if changed == self._changed:
                return self.database_fault()
        now = time.time_ns()
        fault = self.database_fault() or self._fault_beside()
        settled = changed is not None and changed < now - _SETTLED_NANOSECONDS
        self._changed = changed if settled and fault is None else None
        return fault

    def close(self) -> None:
        """Close the folder; ``fault`` is not called any more."""
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def database_fault(self) -> Fault | None:
        """Return what is wrong with the database file itself, or None if it is in place."""
        try:
            found = os.stat(self._path)  # noqa: PTH116 - see above
        except (FileNotFoundError, NotADirectoryError):
            return Fault(
                f"the database {self._path} was deleted or moved away while it was in use; move it back, "
                "or stop what uses it and restore a backup"
            )
        except OSError as error:
            return Fault(
                f"the database {self._path} cannot be reached: {error.strerror}; make it accessible again"
            )
        if found.st_ino != self._inode or found.st_dev != self._device:
            return Fault(
                f"the database {self._path} was replaced by another file while it was in use; move the "
                "former one back, or restart what uses it to work with the new one"
            )
        if found.st_size < _SMALLEST:
            return Fault(
                f"the database {self._path} was emptied while it was in use; stop what uses it and restore a "
                "backup"
            )
        return None

    def _fault_beside(self) -> Fault | None:
        log, memory = _state(self._log, self._identities[1]), _state(self._memory, self._identities[2])
        if not (log or memory):
            return None
        name, state = (self._log, log) if log else (self._memory, memory)
        return Fault(
            f"the file {name}, which is part of the database, was {state} while it was in use; restart all "
            "that uses the database, and leave its -wal and -shm alone while anything does",
            log_deleted=log == "deleted" and memory != "replaced",
        )


def _open_folder(path: str) -> int | None:
    """Return a descriptor of a folder; None if the system opens no folders, or not this one."""
    try:
        return os.open(path, os.O_RDONLY)
    except OSError:
        return None


def _identity(path: str) -> tuple[int, int]:
    found = os.stat(path)  # noqa: PTH116
    return found.st_dev, found.st_ino


def _state(path: str, identity: tuple[int, int]) -> str:
    """Return what has happened to a file; empty if it is in place."""
    try:
        return "" if _identity(path) == identity else "replaced"
    except OSError:
        return "deleted"

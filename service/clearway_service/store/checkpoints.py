"""Checkpoints: moving committed changes from SQLite's log into its file, beside the writer.

A commit in WAL mode appends to the log without waiting for the disk. From time to time the log has to be
moved into the file, a checkpoint, which waits for the disk twice. SQLite does that within every commit that
finds 1,000 pages in the log: most decisions take a fraction of a millisecond, and one in a hundred takes 6 to
12. Here a separate thread does it on its own connection, while the writer continues.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path

from clearway_service.store.sqlite import existing

logger = logging.getLogger(__name__)

# The number of changed rows after which the log is moved. A row costs a page of the log if rows are committed
# singly.
_ROWS = 1_000
# The log starts over only when all of it is in the file, which never happens while the writer stays ahead.
# From this many pages (64 MiB) on, the writers wait for that once: no longer than the time below while a
# reader still needs the log, and again with the next checkpoint.
_LONGEST_LOG_PAGES = 16_384
_BUSY_TIMEOUT_SECONDS = 0.05


class Checkpointer:
    """Runs the checkpoints of a SQLite file, on a thread that starts with the first one.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due_at = _ROWS
        self._due = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._closing = self._failing = False

    def committed(self, total_changes: int) -> None:
        """Notify of a commit. Returns quickly: the work is done by the thread.

        Args:
            total_changes: The number of rows that the writer has changed since it was opened.
        """
        if total_changes < self._due_at:
            return
        self._due_at = total_changes + _ROWS
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="clearway-checkpoints", daemon=True)
            self._thread.start()
        self._due.release()

    def close(self) -> None:
        """Stop, after the current checkpoint, if any."""
        thread = self._thread
        if thread is not None:
            self._closing = True
            self._due.release()
            thread.join()

    def _run(self) -> None:
        # If the file was deleted meanwhile, this does not create another one.
        uri = existing(self._path)
        try:
            connection = sqlite3.connect(uri, timeout=_BUSY_TIMEOUT_SECONDS, isolation_level=None, uri=True)
        except sqlite3.Error as error:
            self._failed(error)
            self._thread = None
            return
        try:
            while True:
                self._due.acquire()
                while self._due.acquire(blocking=False):
                    pass  # one checkpoint serves all requests made so far
                if self._closing:
                    return
                try:
                    checkpoint(connection)
                except sqlite3.Error as error:
                    self._failed(error)
                else:
                    self._failing = False
        finally:
            connection.close()

    def _failed(self, error: sqlite3.Error) -> None:
        """Log the first failure of several: on a full disk each of them fails."""
        if not self._failing:
            self._failing = True
            logger.warning(
                "the database's log could not be moved into its file; trying again later: %s", error
            )


def checkpoint(connection: sqlite3.Connection) -> None:
    """Move the log into the file, and start it over if it has grown long.

    Raises:
        sqlite3.Error: The file did not accept it, for example on a full disk.
    """
    _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
    if pages > _LONGEST_LOG_PAGES:
        connection.execute("PRAGMA wal_checkpoint(RESTART)")


def move_log(connection: sqlite3.Connection) -> None:
    """Move as much as possible of the log into the file; what cannot be moved stays in the log."""
    try:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    except sqlite3.Error as error:
        logger.debug("the log could not be moved into the file yet: %s", error)

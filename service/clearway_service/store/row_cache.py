"""RowCache: rows that earlier turns have read and written, so that the next one need not read them again.

The rows are valid only while no other connection has written. SQLite's data version, read inside a
transaction, shows whether one has. A turn with commands, or one that failed, clears the cache.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from clearway_service.core.changes import Changes
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.snapshot import RunEntry, Snapshot
from clearway_service.core.states import TERMINAL

# There are seldom more open task runs than this. For each kind of row, the oldest entries are evicted first.
_MOST = 16_384
# A run that takes more bytes than this, by what clients chose the size of, is not kept but read again.
_MOST_BYTES = 2_048

V = TypeVar("V")


class RowCache:
    """Rows that change only by the turns of this engine. Belongs to the thread that writes.

    Attributes:
        task_runs: Task runs that have not ended, by id; a turn gets copies.
        flow_runs: Ids of flow runs that exist.
        sessions: Client names and expiry times, on the steady clock, of sessions that have not ended, by id.
        nobody_waits: Whether the queues for slots are known to be empty.
    """

    def __init__(self) -> None:
        self.task_runs: dict[str, RunEntry] = {}
        self.flow_runs: dict[str, None] = {}
        self.sessions: dict[str, tuple[str, int]] = {}
        self.nobody_waits = False
        self._version = -1

    def begin(self, version: int) -> None:
        """Start a turn, clearing the cache if its rows may have changed since the last one.

        Args:
            version: The database's data version, read inside the turn's transaction; -1 if it cannot be read.
        """
        if version != self._version or version == -1:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Clear the cache."""
        self.task_runs.clear()
        self.flow_runs.clear()
        self.sessions.clear()
        self.nobody_waits = False

    def committed(self, snapshot: Snapshot, changes: Changes) -> None:
        """Remember the rows of a turn that has been committed."""
        for id_, entry in snapshot.runs.items():
            if entry.kind is RunKind.TASK:
                self.task_runs.pop(id_, None)
                if (
                    entry.progress is not None
                    and entry.progress.state.type not in TERMINAL
                    and _size(entry) <= _MOST_BYTES
                ):
                    self.task_runs[id_] = entry
        if snapshot.flow_runs:
            self.flow_runs.update(dict.fromkeys(snapshot.flow_runs))
            _shorten(self.flow_runs)
        if changes.waiters_added:
            self.nobody_waits = False
        _shorten(self.task_runs)
        _shorten(self.sessions)


def _size(entry: RunEntry) -> int:
    """Return the approximate bytes of a run's client-sized fields."""
    assert entry.progress is not None
    assert isinstance(entry.run, TaskRunSpec)
    state, run = entry.progress.state, entry.run
    size = len(run.inputs_json) + len(state.message) + len(state.cache_key)
    if state.data is not None:
        size += len(state.data)
    if run.tags:
        size += sum(map(len, run.tags))
    return size


def _shorten(rows: dict[str, V]) -> None:
    if len(rows) > _MOST:
        for key in list(islice(rows, len(rows) - _MOST)):
            del rows[key]

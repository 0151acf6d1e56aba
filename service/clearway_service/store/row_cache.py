"""RowCache: rows that earlier turns have read and written, so that the next one need not read them again.

They hold only while nobody else has written. For other connections SQLite's data version tells, read inside a
transaction; the commands of a turn, and a turn that failed, make its engine forget all.
"""

from __future__ import annotations

from itertools import islice
from typing import TypeVar

from clearway_service.core.changes import Changes
from clearway_service.core.runs import RunKind, TaskRunSpec
from clearway_service.core.snapshot import RunEntry, Snapshot
from clearway_service.core.states import TERMINAL

# More task runs than this are seldom under way. Of each kind of row, those that came first go first.
_MOST = 16_384
# A run that takes more bytes than this, by what clients chose the size of, is not kept but read again.
_MOST_BYTES = 2_048

V = TypeVar("V")


class RowCache:
    """Rows that change only by the turns of this engine. Belongs to the thread that writes.

    Attributes:
        task_runs: Task runs that have not ended, by id; a turn is given copies.
        flow_runs: Ids of flow runs that exist.
        sessions: The names of their clients and when they expire, on the steady clock, of sessions that have
            not ended, by id.
        nobody_waits: Whether the queues for slots are known to be empty.
    """

    def __init__(self) -> None:
        self.task_runs: dict[str, RunEntry] = {}
        self.flow_runs: dict[str, None] = {}
        self.sessions: dict[str, tuple[str, int]] = {}
        self.nobody_waits = False
        self._version = -1

    def begin(self, version: int) -> None:
        """Begin a turn, forgetting what may have changed since the last one.

        Args:
            version: The database's data version, read inside the turn's transaction; -1 where it cannot be
                read.
        """
        if version != self._version or version == -1:
            self.forget()
            self._version = version

    def forget(self) -> None:
        """Forget all."""
        self.task_runs.clear()
        self.flow_runs.clear()
        self.sessions.clear()
        self.nobody_waits = False

    def committed(self, snapshot: Snapshot, changes: Changes) -> None:
        """Remember what a turn has left, now that it is committed."""
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
    """Return about how many bytes a run takes, from what clients chose the size of."""
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

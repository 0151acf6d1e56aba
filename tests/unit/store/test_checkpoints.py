"""SQLite's log is moved into its file beside the writer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clearway_service.store import checkpoints
from clearway_service.store.checkpoints import Checkpointer, checkpoint
from clearway_service.store.sqlite import connect
from support.waiting import wait_until

ROWS = 100


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(checkpoints, "_ROWS", ROWS)
    return tmp_path / "some.db"


@pytest.fixture
def writer(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        yield connection


def commit(writer: sqlite3.Connection, rows: int) -> int:
    """Commit rows; return how many the connection has changed by now."""
    writer.execute("BEGIN")
    writer.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(rows)])
    writer.execute("COMMIT")
    return writer.total_changes


def rows_in_the_file_alone(path: Path, scratch: Path) -> int:
    """Return how many rows the file has without its log."""
    scratch.write_bytes(path.read_bytes())
    with sqlite3.connect(scratch) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'numbers'").fetchall():
            return 0
        count: int = connection.execute("SELECT count(*) FROM numbers").fetchone()[0]
    return count


def test_no_commit_of_the_writers_own_moves_the_log(
    writer: sqlite3.Connection, path: Path, tmp_path: Path
) -> None:
    for _ in range(2):
        commit(writer, 20_000)  # more pages than SQLite would let the log have
    assert rows_in_the_file_alone(path, tmp_path / "alone.db") == 0


def test_what_was_committed_gets_into_the_file(
    writer: sqlite3.Connection, path: Path, tmp_path: Path
) -> None:
    checkpointer = Checkpointer(path)
    checkpointer.committed(commit(writer, ROWS - 1))
    checkpointer.committed(commit(writer, 1))
    wait_until(lambda: rows_in_the_file_alone(path, tmp_path / "alone.db") == ROWS, "the checkpoint")
    checkpointer.close()


def test_a_log_that_has_grown_long_is_begun_anew(
    writer: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_LONGEST_LOG_PAGES", 50)
    log = Path(f"{path}-wal")
    commit(writer, 50_000)
    longest = log.stat().st_size
    with sqlite3.connect(path, isolation_level=None) as beside:
        for _ in range(20):
            checkpoint(beside)
            commit(writer, 5_000)
        assert log.stat().st_size == longest
        assert beside.execute("SELECT count(*) FROM numbers").fetchone() == (150_000,)
    beside.close()


def test_a_reader_that_needs_the_log_keeps_it_and_nobody_fails(
    writer: sqlite3.Connection, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoints, "_LONGEST_LOG_PAGES", 0)
    reader = sqlite3.connect(path, isolation_level=None)
    reader.execute("BEGIN")
    before = reader.execute("SELECT count(*) FROM numbers").fetchone()
    commit(writer, ROWS)
    beside = sqlite3.connect(path, timeout=0.01, isolation_level=None)
    checkpoint(beside)
    assert reader.execute("SELECT count(*) FROM numbers").fetchone() == before
    assert beside.execute("SELECT count(*) FROM numbers").fetchone() == (ROWS,)
    reader.close()
    beside.close()

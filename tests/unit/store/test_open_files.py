"""Whether a database's files are still in their places."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from clearway_service.store.open_files import OpenFiles
from clearway_service.store.sqlite import connect


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    database = tmp_path / "folder" / "some.db"
    database.parent.mkdir()
    with closing(connect(database)) as connection:
        connection.execute("CREATE TABLE numbers (number INTEGER)")
        yield database


def beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def overwrite(path: Path) -> None:
    other = path.with_name("other")
    shutil.copy(path, other)
    other.replace(path)


CHANGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (Path.unlink, "was deleted or moved away"),
    "moved": (lambda path: path.rename(path.with_name("moved.db")), "was deleted or moved away"),
    "folder moved": (
        lambda path: path.parent.rename(path.parent.with_name("elsewhere")),
        "was deleted or moved away",
    ),
    "folder is a file": (
        lambda path: (path.parent.rename(path.parent.with_name("x")), path.parent.write_text("")),
        "was deleted or moved away",
    ),
    "replaced": (overwrite, "was replaced by another file"),
    "emptied": (lambda path: path.write_bytes(b""), "was emptied"),
    "log deleted": (lambda path: beside(path, "-wal").unlink(), "some.db-wal, which is part of the database"),
    "log replaced": (lambda path: overwrite(beside(path, "-wal")), "was replaced while it was in use"),
    "memory deleted": (
        lambda path: beside(path, "-shm").unlink(),
        "some.db-shm, which is part of the database",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_is_not_in_its_place_is_told(path: Path, change: str) -> None:
    files = OpenFiles(path)
    assert files.fault() is None
    make, said = CHANGES[change]
    make(path)
    fault = files.fault()
    assert fault is not None
    assert said in fault.message
    assert str(path) in fault.message
    assert fault.log_deleted == (change == "log deleted")


def test_a_file_that_is_moved_back_is_in_its_place_again(path: Path) -> None:
    files = OpenFiles(path)
    away = path.rename(path.with_name("away.db"))
    assert files.fault() is not None
    away.rename(path)
    assert files.fault() is None


def test_what_sqlite_itself_does_is_no_fault(path: Path) -> None:
    files = OpenFiles(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.executescript("INSERT INTO numbers VALUES (1); VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")
        other.execute("INSERT INTO numbers VALUES (2)")
    assert files.fault() is None


def test_a_relative_path_stays_where_it_was_when_the_process_changes_its_directory(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(path.parent)
    files = OpenFiles(Path(path.name))
    monkeypatch.chdir(tmp_path)
    assert files.fault() is None


def test_a_link_that_is_pointed_elsewhere_is_told_and_its_log_is_beside_the_file(
    path: Path, tmp_path: Path
) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(path)
    files = OpenFiles(link)
    assert files.fault() is None
    other = tmp_path / "other.db"
    shutil.copy(path, other)
    link.unlink()
    link.symlink_to(other)
    fault = files.fault()
    assert fault is not None
    assert "was replaced" in fault.message

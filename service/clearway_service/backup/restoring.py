"""Restoring: reads a backup without trusting anything in it, and puts it in place."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from clearway._settings.paths import make_private_folder
from clearway_service.backup.archive import Member, copy, members
from clearway_service.backup.errors import BackupError, DamagedBackupError, LaterBackupError
from clearway_service.backup.files import give_name, new_file, open_regular, sync_folder, working_folder
from clearway_service.backup.manifest import DATABASE, MANIFEST, MAX_BYTES, RESULTS, Manifest
from clearway_service.errors import StoreUnavailableError
from clearway_service.store import migrations
from clearway_service.store.copies import check_copy

_BESIDE = ("", "-wal", "-shm", "-journal", "-results")


class _Backup:
    """An open backup, whose manifest was checked against the archive's contents.

    Args:
        file: The archive.

    Attributes:
        manifest: Its contents.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._members: dict[str, Member] = {}
        last = None
        for last in members(file):
            if last.name in self._members:
                raise DamagedBackupError(f"{last.name[:80]!r} is in it more than once")
            self._members[last.name] = last
        if last is None or last.name != MANIFEST or last.size > MAX_BYTES:
            raise DamagedBackupError(
                f"it does not end with a {MANIFEST}, so it is not a backup, or only a part of one"
            )
        del self._members[MANIFEST]
        file.seek(last.offset)
        self.manifest = Manifest.from_bytes(file.read(last.size))
        self._compare()
        if self.manifest.schema not in migrations.known():
            raise LaterBackupError(
                f"its database has the schema revision {self.manifest.schema[:40]!r}, which this version of "
                f"Clearway does not know; use Clearway {self.manifest.clearway[:40]} or later"
            )

    def _compare(self) -> None:
        expected = {name: entry.size for name, entry in self.manifest.files.items()}
        found = {name: member.size for name, member in self._members.items()}
        if expected != found:
            names = {name for name, _size in expected.items() ^ found.items()}
            raise DamagedBackupError(f"its {MANIFEST} and its contents differ in {min(names)[:80]!r}")

    def unpack(self, folder: Path, *, with_results: bool) -> None:
        """Read everything, check each file, and write the database and, if wanted, the results.

        Raises:
            DamagedBackupError: A file is not what was written, or the database is damaged.
        """
        for name in self._members:
            if name == DATABASE or with_results:
                target = folder / name  # one of the names that a manifest may have
                make_private_folder(target.parent)
                with new_file(target) as file:
                    self._copy(name, file)
                    file.flush()
                    os.fsync(file.fileno())
            else:
                self._copy(name, None)
        try:
            contents = check_copy(folder / DATABASE)
        except StoreUnavailableError as error:
            raise DamagedBackupError(str(error)) from error
        manifest = self.manifest
        if contents != (manifest.schema, manifest.flow_runs, manifest.task_runs):
            raise DamagedBackupError(f"its {MANIFEST} and its database differ: the database has {contents}")

    def _copy(self, name: str, target: BinaryIO | None) -> None:
        member = self._members[name]
        self._file.seek(member.offset)
        if copy(self._file, member.size, target) != self.manifest.files[name].sha256:
            raise DamagedBackupError(f"{name!r} in it is not what was written: its SHA-256 differs")


def verify(source: Path) -> Manifest:
    """Read all of a backup, check it, and return its contents. Its database is unpacked temporarily.

    Raises:
        BackupError: It is damaged, of a later version, or not a backup.
        OSError: It cannot be read, or there is no room to unpack its database.
    """
    beside = source
    if not os.access(source.parent, os.W_OK):
        beside = Path(tempfile.gettempdir()) / source.name
    with _opened(source) as backup, working_folder(beside) as folder:
        backup.unpack(folder, with_results=False)
        return backup.manifest


def restore(source: Path, database: Path) -> Manifest:
    """Check all of a backup, put it in place, and return its contents.

    The results come first and the database last, in one step that replaces nothing.

    Raises:
        BackupError: It is damaged, of a later version, or not a backup; or the target exists.
        OSError: It cannot be read, or there is no room.
    """
    _check_free(database)
    with _opened(source) as backup:
        make_private_folder(database.parent)
        with working_folder(database) as folder, ExitStack() as undo:
            backup.unpack(folder, with_results=True)
            if (folder / RESULTS).is_dir():
                _sync_tree(folder / RESULTS)
                storage = _beside(database, "-results")
                _check_free(database)
                (folder / RESULTS).rename(storage)
                undo.callback(storage.rename, folder / RESULTS)
                sync_folder(database.parent)
            else:
                _check_free(database)
            give_name(folder / DATABASE, database)
            undo.pop_all()
    return backup.manifest


def _sync_tree(folder: Path) -> None:
    for each in folder.iterdir():
        sync_folder(each)
    sync_folder(folder)


@contextmanager
def _opened(source: Path) -> Iterator[_Backup]:
    """Open a backup, and add its name to errors."""
    try:
        file = open_regular(source)
    except FileNotFoundError:
        raise BackupError(f"there is no backup {source}") from None
    if file is None:
        raise BackupError(f"{source} is not a file")
    with file:
        try:
            yield _Backup(file)
        except DamagedBackupError as error:
            raise BackupError(f"{source} cannot be trusted: {error}") from error
        except LaterBackupError as error:
            raise BackupError(f"{source} cannot be used: {error}") from error


def _check_free(database: Path) -> None:
    for ending in _BESIDE:
        path = _beside(database, ending)
        if os.path.lexists(path):
            hint = (
                "move it away first, or restore to another path with --database"
                if not ending
                else "it belongs to a former database: move it away first"
            )
            raise BackupError(f"{path} already exists and is not overwritten; {hint}")


def _beside(database: Path, ending: str) -> Path:
    return database.with_name(f"{database.name}{ending}")

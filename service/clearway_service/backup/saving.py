"""Saving: writes a backup of a database, which may be in use, to one file."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

from clearway_service import __version__
from clearway_service.backup.archive import ArchiveWriter
from clearway_service.backup.errors import BackupError
from clearway_service.backup.files import exists, give_name, new_file, open_regular, working_folder
from clearway_service.backup.manifest import DATABASE, MANIFEST, Entry, Manifest, result_name
from clearway_service.core.locations import SERVICE_SCHEME, is_digest
from clearway_service.result_files.folder import beside
from clearway_service.store.copies import check_copy, copy_database, result_locations


class Saved(NamedTuple):
    """The contents that were saved, and the file's size in bytes."""

    manifest: Manifest
    size: int


def save(database: Path, target: Path, *, with_results: bool) -> Saved:
    """Save a database, and the results of the service's own storage that it refers to.

    The database is copied first, as it is at one moment. Results never change, so only those deleted
    afterwards can be missing.

    Args:
        database: The database; it may be in use.
        target: The file to create.
        with_results: Whether to include results.

    Raises:
        BackupError: The target exists or cannot be created; or there is no such database.
        StoreUnavailableError: The database cannot be copied, or the copy is damaged.
        OSError: There is no room, or a file cannot be read.
    """
    _check(database, target)
    with working_folder(target) as folder:
        created = datetime.now(UTC)
        copied = folder / DATABASE
        new_file(copied).close()
        copy_database(database, copied)
        contents = check_copy(copied)
        digests = sorted(_digests(result_locations(copied, SERVICE_SCHEME))) if with_results else []
        made = folder / "archive.tar"
        files: dict[str, Entry] = {}
        with new_file(made) as file:
            writer = ArchiveWriter(file, int(created.timestamp()))
            files[DATABASE] = _add_database(writer, copied)
            missing, damaged = _add_results(writer, beside(database), digests, files)
            manifest = Manifest(
                clearway=__version__,
                schema=contents.revision,
                created=created.isoformat(timespec="seconds"),
                flow_runs=contents.flow_runs,
                task_runs=contents.task_runs,
                with_results=with_results,
                files=files,
                missing_results=missing,
                damaged_results=damaged,
            )
            body = manifest.to_bytes()
            writer.add(MANIFEST, BytesIO(body), len(body))
            size = writer.finish()
        give_name(made, target)
    return Saved(manifest, size)


def _check(database: Path, target: Path) -> None:
    if database.is_dir():
        raise BackupError(f"{database} is a directory; give the database's file")
    if not database.exists():
        raise BackupError(f"there is no database {database}")
    if target.is_dir():
        raise BackupError(f"{target} is a directory; give a file in it")
    if os.path.lexists(target):
        raise exists(target)
    if not target.parent.is_dir():
        raise BackupError(f"the folder {target.parent} for {target.name} does not exist")


def _add_database(writer: ArchiveWriter, copied: Path) -> Entry:
    size = copied.stat().st_size
    with copied.open("rb") as source:
        digest = writer.add(DATABASE, source, size)
    copied.unlink()  # its space is needed again
    if digest is None:
        raise BackupError("the copy of the database changed while it was being read")
    return Entry(size, digest)


def _digests(locations: Iterable[str]) -> set[str]:
    """Return the SHA-256 of the results at ``locations``, which are what clients sent."""
    named = (location.removeprefix(SERVICE_SCHEME) for location in locations)
    return {digest for digest in named if is_digest(digest)}


def _add_results(
    writer: ArchiveWriter, storage: Path, digests: list[str], files: dict[str, Entry]
) -> tuple[list[str], list[str]]:
    """Append the results with these digests; return the missing and the damaged ones.

    A result's path is built from its digest alone, and no link below the storage's own folder is followed.
    """
    missing: list[str] = []
    damaged: list[str] = []
    with _folder(storage) as root:
        if root is None:
            return digests, damaged
        for digest in digests:
            name, begin = result_name(digest), writer.position
            try:
                size = _add_result(writer, root, digest)
            except (FileNotFoundError, NotADirectoryError):
                missing.append(digest)
                continue
            except PermissionError as error:
                raise BackupError(
                    f"{storage} cannot be read: {error.strerror}; run the backup as its owner"
                ) from error
            if size is None:
                writer.undo(begin)
                damaged.append(digest)
            else:
                files[name] = Entry(size, digest)
    return missing, damaged


def _add_result(writer: ArchiveWriter, root: int, digest: str) -> int | None:
    """Append a result; return its size, or None if the file is not that result.

    Raises:
        FileNotFoundError: It does not exist.
        OSError: It cannot be read.
    """
    try:
        folder = os.open(digest[:2], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=root)
        try:
            source = open_regular(digest, folder, os.O_NOFOLLOW)
        finally:
            os.close(folder)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link
            return None
        raise
    if source is None:
        return None
    with source:
        size = os.fstat(source.fileno()).st_size
        found = writer.add(result_name(digest), source, size)
    return size if found == digest else None


@contextmanager
def _folder(path: Path) -> Iterator[int | None]:
    """Open a folder, or return None if it does not exist."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)

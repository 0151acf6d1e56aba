"""Files: working folders, files that only their owner can read, and renaming without replacing."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from clearway_service.backup.errors import BackupError

PARTIAL = ".partial"
_LONGEST_NAME = 100
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# The errors of a file system without hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


@contextmanager
def working_folder(beside: Path) -> Iterator[Path]:
    """Create a folder beside a file, named after it, and remove it at the end with its contents.

    It remains only if the process is killed: ``NAME.xxxxxxxx.partial`` can be deleted at any time.

    Raises:
        BackupError: There was no room for what was done in it.
    """
    folder = Path(
        tempfile.mkdtemp(prefix=f"{beside.name[:_LONGEST_NAME]}.", suffix=PARTIAL, dir=beside.parent)
    )
    try:
        yield folder
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise BackupError(f"there is no room in {beside.parent}: {error.strerror}") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_file(path: Path) -> BinaryIO:
    """Create and open a file that only its owner can read; an existing file is never opened."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


def open_regular(path: str | Path, folder: int | None = None, flags: int = 0) -> BinaryIO | None:
    """Open a regular file for reading; None if it is something else, such as a folder or a pipe.

    Args:
        path: The file, within ``folder`` if that is given.
        folder: A descriptor of a folder.
        flags: More flags for ``os.open``.

    Raises:
        OSError: It does not exist, or cannot be opened.
    """
    # Without O_NONBLOCK, opening a pipe would wait for its other end.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags, dir_fd=folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def give_name(made: Path, target: Path) -> None:
    """Give a finished file its name, unless the name is taken.

    Raises:
        BackupError: The name is taken.
    """
    try:
        os.link(made, target, follow_symlinks=False)
    except FileExistsError:
        raise exists(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            new_file(target).close()  # the name is ours from here on, so no other file is replaced
        except FileExistsError:
            raise exists(target) from None
        made.replace(target)
    sync_folder(target.parent)


def exists(path: Path) -> BackupError:
    """Return the error that a file to be created exists already."""
    return BackupError(f"{path} already exists and is not overwritten; give another name")


def sync_folder(folder: Path) -> None:
    """Sync a folder's names to disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

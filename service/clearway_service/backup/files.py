"""Files: working folders, files for their owner alone, and names that are given without replacing any."""

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
# What a file system says that has no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})


@contextmanager
def working_folder(beside: Path) -> Iterator[Path]:
    """Make a folder beside a file, named after it; in the end it is gone with all in it.

    Only a process that is killed leaves it: ``NAME.xxxxxxxx.partial`` can be deleted at any time.

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
    """Open a new file that only its owner reads; what is there already is never opened."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    return os.fdopen(os.open(path, flags, 0o600), "w+b")


def open_regular(path: str | Path, folder: int | None = None, flags: int = 0) -> BinaryIO | None:
    """Open a file to read; None where it is none that has bytes, such as a folder or a pipe.

    Args:
        path: The file, within ``folder`` where that is given.
        folder: A descriptor of a folder.
        flags: More flags for ``os.open``.

    Raises:
        OSError: It is not there, or cannot be opened.
    """
    # Without O_NONBLOCK a pipe would be waited for.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | flags, dir_fd=folder)
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    return None


def give_name(made: Path, target: Path) -> None:
    """Give a file that was made its name, unless something has that name.

    Raises:
        BackupError: Something has.
    """
    try:
        os.link(made, target, follow_symlinks=False)
    except FileExistsError:
        raise exists(target) from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:
            new_file(target).close()  # the name is ours from here on, so that nothing of others is replaced
        except FileExistsError:
            raise exists(target) from None
        made.replace(target)
    sync_folder(target.parent)


def exists(path: Path) -> BackupError:
    """Return the error that says that something is where a file is to be made."""
    return BackupError(f"{path} exists already, and nothing is ever overwritten; give another name")


def sync_folder(folder: Path) -> None:
    """Write a folder's names through to the disk."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

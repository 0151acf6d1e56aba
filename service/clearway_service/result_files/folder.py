"""The folder of results: one file for each, named by its SHA-256, in a folder of its first two digits.

Nothing here takes a path from outside, and no link is followed: each step down is opened relative to the
descriptor of the parent folder. Only regular files are opened; anything else is an error.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import file_digest
from pathlib import Path
from typing import NamedTuple, Protocol

from clearway._settings.paths import make_private_folder
from clearway_service.core.locations import is_digest

UPLOADS = "uploads"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK, opening a FIFO would wait for its other end.
_FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PRIVATE, _PRIVATE_FOLDER = 0o600, 0o700
# The errors of opening a link, or something that is not a folder.
_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


def beside(database: Path) -> Path:
    """Return the folder of a database's results.

    It is beside the database's file, not beside a link to it: all names of a database share its results.
    """
    file = Path(os.path.realpath(database))
    return file.with_name(f"{file.name}-results")


class Identity(NamedTuple):
    """The identity of a file, which changes when the file is written or replaced."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Hash(Protocol):
    """The type of hashlib's objects, which has no public name."""

    def update(self, data: memoryview, /) -> None:
        """Add bytes."""

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        ...


class IrregularFileError(OSError):
    """A result's name belongs to something other than a regular file."""


class ResultFolder:
    """The files of results. Its methods block, and raise ``OSError`` as the system does.

    Args:
        path: The folder, created when the first upload begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self, *, make: bool = False) -> Iterator[int]:
        """Yield the folder's descriptor.

        Raises:
            OSError: It does not exist, is a link, or cannot be opened.
        """
        if make:
            make_private_folder(self.path)
        try:
            descriptor = os.open(self.path, _FOLDER)
        except OSError as error:
            if error.errno in _LINK:
                raise OSError(
                    error.errno, "it is a link or not a directory; mount or move the directory itself there"
                ) from error
            raise
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def touch(self, digest: str, expected: Identity | None) -> tuple[bool, Identity | None]:
        """Mark a result as just written, if it is the expected one.

        Returns:
            Whether it was marked, and its identity now, or None if there is no such file.
        """
        try:
            with self._holding(digest) as folder, open_file(digest, folder, os.O_RDONLY) as file:
                found = identity(os.fstat(file))
                if found != expected:
                    return False, found
                os.utime(file)
                return True, identity(os.fstat(file))
        except (FileNotFoundError, IrregularFileError):
            return False, None

    def hashed(self, digest: str) -> tuple[Identity, bool] | None:
        """Hash a result; return its identity and whether the hash is right, or None if it does not exist."""
        try:
            with self._holding(digest) as folder, open_file(digest, folder, os.O_RDONLY) as file:
                before = identity(os.fstat(file))
                return before, hash_of(file).hexdigest() == digest
        except (FileNotFoundError, IrregularFileError):
            return None

    def read(self, digest: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return a chunk of a result, and the size of the whole.

        Raises:
            FileNotFoundError: There is no such result.
            OSError: It cannot be read.
        """
        with self._holding(digest) as folder, open_file(digest, folder, os.O_RDONLY) as file:
            size = os.fstat(file).st_size
            return os.pread(file, length, offset) if offset < size else b"", size

    def delete(self, digest: str, written_before: float, expected: Identity | None = None) -> int | None:
        """Delete a result; return its size, 0 if it does not exist, None if it was kept.

        Args:
            digest: The result.
            written_before: A result written at this time or later, in seconds since 1970, is kept.
            expected: If given, a file with another identity is kept as well.

        Raises:
            OSError: It cannot be deleted, or is not a regular file.
        """
        try:
            with self._holding(digest) as folder:
                found = os.stat(digest, dir_fd=folder, follow_symlinks=False)
                if not stat.S_ISREG(found.st_mode):
                    raise _irregular(digest)
                if found.st_mtime >= written_before or expected not in (None, identity(found)):
                    return None
                os.unlink(digest, dir_fd=folder)
        except FileNotFoundError:
            return 0
        return found.st_size

    def keep(self, part: str, digest: str, root: int, uploads: int) -> int:
        """Give a complete upload its result's name, durably; return the size of the file that it replaced."""
        is_new = _make(digest[:2], root)
        with open_folder(digest[:2], root) as folder:
            replaced = 0
            with suppress(FileNotFoundError):
                replaced = os.stat(digest, dir_fd=folder, follow_symlinks=False).st_size
            os.rename(part, digest, src_dir_fd=uploads, dst_dir_fd=folder)
            os.fsync(folder)
        if is_new:
            os.fsync(root)
        return replaced

    @contextmanager
    def uploading(self) -> Iterator[tuple[int, int]]:
        """Yield the descriptors of the folder and of its uploads folder, creating them if needed."""
        with self.opened(make=True) as root:
            _make(UPLOADS, root)
            with open_folder(UPLOADS, root) as uploads:
                yield root, uploads

    @contextmanager
    def _holding(self, digest: str) -> Iterator[int]:
        """Yield the descriptor of the folder that a result is in."""
        if not is_digest(digest):  # a path is never built from anything else
            raise ValueError(f"{digest[:80]!r} is no SHA-256")
        with self.opened() as root, open_folder(digest[:2], root) as folder:
            yield folder


@contextmanager
def open_folder(name: str, parent: int) -> Iterator[int]:
    """Yield the descriptor of a folder within another one."""
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno in _LINK:
            raise IrregularFileError(error.errno, f"{name} is a link or not a directory") from error
        raise
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def open_file(name: str, folder: int, flags: int) -> Iterator[int]:
    """Yield the descriptor of a regular file.

    Args:
        name: Its name.
        folder: The descriptor of its folder.
        flags: Flags for opening it, in addition to not following links.

    Raises:
        IrregularFileError: It is not a regular file, but for example a link or a FIFO; or it is to be written
            and has another name as well.
    """
    try:
        descriptor = os.open(name, flags | _FILE, _PRIVATE, dir_fd=folder)
    except OSError as error:
        # ENXIO: a FIFO for writing without a reader, or a socket.
        if error.errno in (*_LINK, errno.ENXIO, errno.EISDIR):
            raise _irregular(name) from error
        raise
    try:
        found = os.fstat(descriptor)
        written = flags & (os.O_WRONLY | os.O_RDWR)
        if not stat.S_ISREG(found.st_mode) or (written and found.st_nlink > 1):
            raise _irregular(name)
        yield descriptor
    finally:
        os.close(descriptor)


def identity(found: os.stat_result) -> Identity:
    """Return the identity of a file."""
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def hash_of(descriptor: int) -> Hash:
    """Return the SHA-256 of a file, which may take seconds."""
    with os.fdopen(os.dup(descriptor), "rb", buffering=0) as file:
        file.seek(0)
        return file_digest(file, "sha256")


def _make(name: str, parent: int) -> bool:
    """Create a folder within another one; return False if it exists."""
    try:
        os.mkdir(name, _PRIVATE_FOLDER, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _irregular(name: str) -> IrregularFileError:
    return IrregularFileError(errno.EINVAL, f"{name} is not a regular file")

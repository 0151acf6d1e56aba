"""The folder of results: each a file named by its SHA-256, in a folder named by the first two digits of that.

Nothing here takes a path from outside, and no link is followed: each step down is opened relative to the
descriptor of the folder above. What is opened is a regular file, or an error.
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
# What opening a link, or what is no folder, fails with.
_LINK = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)


def beside(database: Path) -> Path:
    """Return the folder of a database's results.

    It is beside the database's file, not beside a link to it: all names of a database share its results.
    """
    file = Path(os.path.realpath(database))
    return file.with_name(f"{file.name}-results")


class Identity(NamedTuple):
    """What stays the same as long as a file is neither written to nor replaced."""

    device: int
    inode: int
    size: int
    modified: int
    changed: int


class Hash(Protocol):
    """What hashlib makes; its class has no public name."""

    def update(self, data: memoryview, /) -> None:
        """Take more bytes."""

    def hexdigest(self) -> str:
        """Return the hash of all bytes so far."""
        ...


class IrregularFileError(OSError):
    """There is something under the name of a result that is not a regular file."""


class ResultFolder:
    """The files of results. Its methods block, and raise ``OSError`` as the system does.

    Args:
        path: The folder; made when the first upload begins.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @contextmanager
    def opened(self, *, make: bool = False) -> Iterator[int]:
        """Yield the folder's descriptor.

        Raises:
            OSError: It is not there, is a link, or cannot be opened.
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
        """Let a result count as just written, if it is what is expected.

        Returns:
            Whether it was touched; and its identity by now, None where there is no such file.
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
        """Read a result; return what was read, and whether it is right. None where there is no such file."""
        try:
            with self._holding(digest) as folder, open_file(digest, folder, os.O_RDONLY) as file:
                before = identity(os.fstat(file))
                return before, hash_of(file).hexdigest() == digest
        except (FileNotFoundError, IrregularFileError):
            return None

    def read(self, digest: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return a piece of a result, and the size of the whole.

        Raises:
            FileNotFoundError: There is no such result.
            OSError: It cannot be read.
        """
        with self._holding(digest) as folder, open_file(digest, folder, os.O_RDONLY) as file:
            size = os.fstat(file).st_size
            return os.pread(file, length, offset) if offset < size else b"", size

    def delete(self, digest: str, written_before: float, expected: Identity | None = None) -> int | None:
        """Delete a result; return its size, 0 where it is not there, and None where it was left.

        Args:
            digest: The result.
            written_before: What was written then or later, in seconds since 1970, is left.
            expected: Where this is given, another file is left as well.

        Raises:
            OSError: It cannot be deleted, or is no regular file.
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
        """Give a complete upload the name of its result, durably; return the size of what it replaced."""
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
        """Yield the descriptors of the folder and of the one of uploads; they are made where needed."""
        with self.opened(make=True) as root:
            _make(UPLOADS, root)
            with open_folder(UPLOADS, root) as uploads:
                yield root, uploads

    @contextmanager
    def _holding(self, digest: str) -> Iterator[int]:
        """Yield the descriptor of the folder that a result is in."""
        if not is_digest(digest):  # a path is never made of anything else
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
        folder: The descriptor of the folder that it is in.
        flags: How it is opened, besides that no link is followed.

    Raises:
        IrregularFileError: It is something else than a regular file, such as a link or a FIFO; or is to be
            written, and has another name as well.
    """
    try:
        descriptor = os.open(name, flags | _FILE, _PRIVATE, dir_fd=folder)
    except OSError as error:
        # ENXIO: a FIFO to write to that has no reader, or a socket.
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
    """Make a folder within another one; return False where it is there."""
    try:
        os.mkdir(name, _PRIVATE_FOLDER, dir_fd=parent)
    except FileExistsError:
        return False
    return True


def _irregular(name: str) -> IrregularFileError:
    return IrregularFileError(errno.EINVAL, f"{name} is not a regular file")

"""Accesses files in a folder without following links, since others may be able to write to the folder.

On POSIX systems, every file is opened relative to the folder's descriptor, so replacing the folder's path
with a link has no effect. Windows has no such calls, so there each path is checked for a link first.
"""

from __future__ import annotations

import os
import stat
from types import TracebackType
from typing import Final, Self

_RELATIVE: Final = {os.open, os.stat, os.unlink, os.rename, os.utime} <= os.supports_dir_fd
_NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY: Final = getattr(os, "O_DIRECTORY", 0)
_PLAIN: Final = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0) | _NO_FOLLOW
# O_NONBLOCK: opening a FIFO without a writer must not block; it is then refused.
_READ: Final = os.O_RDONLY | _PLAIN | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
_MODE: Final = 0o600


class UnsafePathError(OSError):
    """A path in a storage is a link, a device, a FIFO or a directory instead of a regular file."""


class Folder:
    """An open folder of a storage; a context manager that closes it.

    Args:
        path: The folder's path. Its last part must not be a link; the parts before it are trusted, because
            the operator chose them.

    Raises:
        UnsafePathError: The last part is a link.
        OSError: The folder cannot be opened.
    """

    __slots__ = ("_descriptor", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self._descriptor: int | None = None
        if not _RELATIVE:
            if not stat.S_ISDIR(_unlinked(path).st_mode):
                raise NotADirectoryError(f"{path} is not a directory")
            return
        try:
            self._descriptor = os.open(path, os.O_RDONLY | _DIRECTORY | _PLAIN)
        except OSError:
            _unlinked(path)  # systems differ in the error for a link, so check for one
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def create(self, name: str) -> int:
        """Create a file and return its descriptor, for writing.

        Raises:
            FileExistsError: The name is taken, even if only by a broken link.
            OSError: The file cannot be created.
        """
        return os.open(self._at(name), _CREATE, _MODE, dir_fd=self._descriptor)

    def open(self, name: str) -> tuple[int, os.stat_result]:
        """Open a regular file for reading and return its descriptor and status. Never blocks.

        Raises:
            UnsafePathError: It is not a regular file; nothing was read.
            OSError: The file cannot be opened.
        """
        if not _RELATIVE:
            self.look(name)
        try:
            descriptor = os.open(self._at(name), _READ, dir_fd=self._descriptor)
        except OSError:
            self.look(name)
            raise
        try:
            return descriptor, _regular(os.fstat(descriptor), f"{self.path}/{name}")
        except BaseException:
            os.close(descriptor)
            raise

    def look(self, name: str) -> os.stat_result:
        """Return the status of a regular file.

        Raises:
            UnsafePathError: It is not a regular file.
            OSError: The file does not exist, or cannot be accessed.
        """
        found = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        return _regular(found, f"{self.path}/{name}")

    def touch(self, name: str) -> None:
        """Set a file's modification time to now."""
        if _RELATIVE:
            os.utime(name, dir_fd=self._descriptor, follow_symlinks=False)
        else:
            os.utime(self._at(name))

    def rename(self, name: str, new_name: str) -> None:
        """Rename a file, replacing any file or link that has the new name."""
        os.replace(
            self._at(name), self._at(new_name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
        )

    def delete(self, name: str) -> None:
        """Delete a file; for a link, delete the link itself."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def names(self) -> list[str]:
        """Return the names of all entries in the folder."""
        return os.listdir(self.path if self._descriptor is None else self._descriptor)  # noqa: PTH208 - as above

    def check_writable(self) -> None:
        """Check that files in the folder can be deleted.

        Raises:
            PermissionError: This process may not delete them.
        """
        effective = os.access in os.supports_effective_ids
        if not os.access(self.path, os.W_OK | os.X_OK, effective_ids=effective):
            raise PermissionError(f"this process may not delete files in {self.path}")

    def _at(self, name: str) -> str:
        return f"{self.path}/{name}" if self._descriptor is None else name


def _unlinked(path: str) -> os.stat_result:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        raise UnsafePathError(f"{path} is a symbolic link, and links within a storage are not followed")
    return found


def _regular(found: os.stat_result, path: str) -> os.stat_result:
    if stat.S_ISREG(found.st_mode):
        return found
    if stat.S_ISLNK(found.st_mode):
        raise UnsafePathError(f"{path} is a symbolic link, and links within a storage are not followed")
    raise UnsafePathError(f"{path} is not a regular file")

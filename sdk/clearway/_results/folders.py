"""A folder that others may write to, whose files are reached without following links.

On POSIX systems every file is opened relative to the folder's descriptor, so that it stays the same folder
whatever happens to its path meanwhile. Where the system has no such calls (Windows), links are looked for
first instead.
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
# A FIFO without a writer is opened at once, and then refused.
_READ: Final = os.O_RDONLY | _PLAIN | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAIN
_MODE: Final = 0o600


class UnsafePathError(OSError):
    """A path in a storage is not what a storage has there: a link, a device, a FIFO or a directory."""


class Folder:
    """An open folder of a storage. A context manager, which closes it.

    Args:
        path: Its path. The last part must not be a link; those before it are the operator's own.

    Raises:
        UnsafePathError: The last part is a link.
        OSError: It cannot be opened.
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
            _unlinked(path)  # each system has another error for a link
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def create(self, name: str) -> int:
        """Return the descriptor of a new file, for writing.

        Raises:
            FileExistsError: There is something by this name, be it a link that leads nowhere.
            OSError: It cannot be made.
        """
        return os.open(self._at(name), _CREATE, _MODE, dir_fd=self._descriptor)

    def open(self, name: str) -> tuple[int, os.stat_result]:
        """Return the descriptor of a regular file, for reading, and what is known of the file.

        Raises:
            UnsafePathError: It is no regular file. Nothing was read, and nothing was waited for.
            OSError: It cannot be opened.
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
        """Return what is known of a regular file.

        Raises:
            UnsafePathError: It is no regular file.
            OSError: It is not there.
        """
        found = os.stat(self._at(name), dir_fd=self._descriptor, follow_symlinks=False)
        return _regular(found, f"{self.path}/{name}")

    def touch(self, name: str) -> None:
        """Let a file count as just written."""
        if _RELATIVE:
            os.utime(name, dir_fd=self._descriptor, follow_symlinks=False)
        else:
            os.utime(self._at(name))

    def rename(self, name: str, new_name: str) -> None:
        """Give a file another name, instead of what has that name, which may be a link."""
        os.replace(
            self._at(name), self._at(new_name), src_dir_fd=self._descriptor, dst_dir_fd=self._descriptor
        )

    def delete(self, name: str) -> None:
        """Delete a file; of a link the link itself."""
        os.unlink(self._at(name), dir_fd=self._descriptor)

    def names(self) -> list[str]:
        """Return the names of what is in the folder."""
        return os.listdir(self.path if self._descriptor is None else self._descriptor)  # noqa: PTH208 - as above

    def check_writable(self) -> None:
        """Check that files can be deleted here.

        Raises:
            PermissionError: This process may not.
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

"""Stores results in a directory: files named by their SHA-256, in folders named by its first two digits."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Final

from clearway._base.locations import location_in
from clearway._base.settings import get_settings
from clearway._results.folders import Folder, UnsafePathError
from clearway._results.storage import Leftover, SizeMismatchError
from clearway._settings.paths import make_private_folder

_FOLDER: Final = re.compile("[0-9a-f]{2}")
LEFTOVER: Final = re.compile(r"[0-9a-f]{64}\.[0-9a-f-]{1,64}\.tmp")


def temporary_name(digest: str) -> str:
    """Return an unguessable name for a file that is still being written."""
    return f"{digest}.{os.urandom(16).hex()}.tmp"


class DirectoryStorage:
    """A storage in a directory, which is created by the first write.

    Args:
        directory: The absolute path.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def location(self, digest: str) -> str:
        """See ``Storage.location``."""
        return location_in(self._directory, digest)

    def write(self, digest: str, body: bytes) -> None:
        """See ``Storage.write``."""
        path = self._path(digest)
        try:
            folder = Folder(path)
        except FileNotFoundError:
            _make(path)
            folder = Folder(path)
        with folder:
            temporary = temporary_name(digest)
            descriptor = folder.create(temporary)
            try:
                with os.fdopen(descriptor, "wb", buffering=0) as file:
                    view = memoryview(body)
                    while view:
                        view = view[file.write(view) :]
                    os.fsync(descriptor)
                folder.rename(temporary, digest)
            except BaseException:
                with contextlib.suppress(OSError):
                    folder.delete(temporary)
                raise

    def read(self, digest: str, size: int) -> bytes:
        """See ``Storage.read``."""
        with Folder(self._path(digest)) as folder:
            descriptor, found = folder.open(digest)
        with os.fdopen(descriptor, "rb") as file:
            if found.st_size != size:  # checked before a buffer of that size is allocated
                raise SizeMismatchError(found.st_size)
            return file.read(size)

    def holds(self, digest: str, size: int) -> bool:
        """See ``Storage.holds``."""
        try:
            with Folder(self._path(digest)) as folder:
                if folder.look(digest).st_size != size:
                    return False
                folder.touch(digest)
        except OSError:
            return False
        return True

    def check_deletable(self, digest: str) -> None:
        """See ``Storage.check_deletable``."""
        try:
            with Folder(self._path(digest)) as folder:
                folder.look(digest)
                folder.check_writable()
        except (FileNotFoundError, NotADirectoryError):
            return

    def delete(self, digest: str, written_before: float) -> bool:
        """See ``Storage.delete``."""
        try:
            with Folder(self._path(digest)) as folder:
                if folder.look(digest).st_mtime >= written_before:
                    return False
                folder.delete(digest)
        except (FileNotFoundError, NotADirectoryError):
            return True
        return True

    def sweep(self, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
        """See ``Storage.sweep``."""
        try:
            names = sorted(os.listdir(self._directory))  # noqa: PTH208 - only names are needed
        except (FileNotFoundError, NotADirectoryError):
            return
        for name in filter(_FOLDER.fullmatch, names):
            try:
                folder = Folder(f"{self._directory}/{name}")
            except (UnsafePathError, FileNotFoundError, NotADirectoryError):
                continue  # not created by this class
            with folder:
                yield from _sweep(folder, written_before, dry_run=dry_run)

    def _path(self, digest: str) -> str:
        return f"{self._directory}/{digest[:2]}"


def _sweep(folder: Folder, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
    for name in sorted(filter(LEFTOVER.fullmatch, folder.names())):
        location = f"{folder.path}/{name}"
        try:
            found = folder.look(name)
            if found.st_mtime >= written_before:
                continue
            if not dry_run:
                folder.delete(name)
        except FileNotFoundError:
            continue
        except OSError as error:
            yield Leftover(location, 0, 0.0, str(error))
        else:
            yield Leftover(location, found.st_size, found.st_mtime)


def _make(path: str) -> None:
    """Create a folder; if it is in the home, which may not exist yet, create that for this user only."""
    home = os.fspath(get_settings().home)
    if path.startswith(f"{home}{os.sep}"):
        make_private_folder(home)
    os.makedirs(path, exist_ok=True)  # noqa: PTH103 - pathlib is too slow for this hot path

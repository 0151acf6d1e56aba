"""The service's own storage of results: files in a folder beside the database, named by what they hold.

An upload is a file of its own until all of it has come. Then it is checked, written through to the disk, and
gets its name: nobody ever sees half a result.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from clearway_service.errors import InvalidArgumentError, ResultNotFoundError, StorageFullError

SCHEME = "service://"
_PART = ".part"
# An upload that nobody went on with for so long is given up.
_ABANDONED_SECONDS = 24 * 3600.0
_BLOCK = 1024 * 1024


class ResultFiles:
    """Keeps results. Its methods block; several threads and processes may use one folder at once.

    Args:
        folder: Made when the first result comes.
        max_bytes: How large a result may be.
        max_total_bytes: How much all of them may have together; 0 for no limit but the disk's.
    """

    def __init__(self, folder: Path, max_bytes: int, max_total_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._max_total_bytes = max_total_bytes

    def write(self, upload_id: str, digest: str, size: int, offset: int, chunk: bytes) -> tuple[int, str]:
        """Keep a piece of a result.

        Args:
            upload_id: Which upload it belongs to.
            digest: The SHA-256 of the whole result, hexadecimal.
            size: The bytes of the whole result.
            offset: Where the piece begins.
            chunk: The piece.

        Returns:
            How many bytes have come, and the result's location, empty while it is not complete.

        Raises:
            InvalidArgumentError: The piece does not fit what has come, or the whole is not what was said.
            StorageFullError: There is no room.
        """
        target = self._path(digest)
        if _holds(target, digest):
            return size, SCHEME + digest
        self._check_size(size, offset, chunk)
        part = self._folder / f"{upload_id}{_PART}"
        try:
            if offset == 0:
                self._begin()
            self._check_room(size - offset)
            received = _append(part, offset, chunk)
            if received < size:
                return received, ""
            _check(part, digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            part.replace(target)
            _sync_folder(target.parent)
        except OSError as error:
            raise StorageFullError(
                f"the result cannot be kept in {self._folder}: {error.strerror or error}"
            ) from error
        return size, SCHEME + digest

    def read(self, location: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return a piece of a result, and the size of the whole.

        Raises:
            ResultNotFoundError: There is no such result.
        """
        path = self._path(location.removeprefix(SCHEME))
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length), os.fstat(file.fileno()).st_size
        except OSError as error:
            raise ResultNotFoundError(
                f"there is no result {location}: {error.strerror or error}", "location"
            ) from error

    def delete(self, digest: str, written_before: float) -> int:
        """Delete a result where it is there; return how many bytes became free.

        What was uploaded at ``written_before`` or later, in seconds since 1970, is left, also where it was
        there already: its run is yet to complete.
        """
        path = self._path(digest)
        try:
            found = path.stat()
            if found.st_mtime >= written_before:
                return 0
            path.unlink()
        except FileNotFoundError:
            return 0
        return found.st_size

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / digest

    def _check_size(self, size: int, offset: int, chunk: bytes) -> None:
        if size > self._max_bytes:
            raise InvalidArgumentError(
                f"size is {size:,}; a result may have {self._max_bytes:,} bytes at most "
                "(the server's setting CLEARWAY_MAX_RESULT_BYTES)",
                "size",
            )
        if offset + len(chunk) > size:
            raise InvalidArgumentError(
                f"the piece ends at {offset + len(chunk):,}, and the result's size is {size:,}", "chunk"
            )

    def _begin(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in self._folder.glob(f"*{_PART}"):
            if part.stat().st_mtime < time.time() - _ABANDONED_SECONDS:
                part.unlink(missing_ok=True)

    def _check_room(self, more: int) -> None:
        """Refuse a piece of an upload for which ``more`` bytes are to come, where there is no room for them.

        Each piece is checked, not the first alone: others are uploaded meanwhile, and the size is the word
        of a client, who may say another one with the next piece.
        """
        if not self._max_total_bytes:
            return
        used = sum(_sizes(self._folder))
        if used + more > self._max_total_bytes:
            raise StorageFullError(
                f"the service's storage has {used:,} bytes and takes {self._max_total_bytes:,} at most "
                f"(the server's setting CLEARWAY_MAX_RESULT_STORAGE_BYTES), so {more:,} more do not fit"
            )


def _append(part: Path, offset: int, chunk: bytes) -> int:
    """Write a piece at its place; return how many bytes there are now."""
    received = part.stat().st_size if part.exists() else 0
    if offset > received:
        raise InvalidArgumentError(
            f"offset is {offset:,}, and {received:,} bytes were received; go on from there", "offset"
        )
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC
    with os.fdopen(os.open(part, flags, 0o600), "r+b", buffering=0) as file:
        file.seek(offset)
        view = memoryview(chunk)
        while view:
            view = view[file.write(view) :]
        return max(received, offset + len(chunk))


def _holds(target: Path, digest: str) -> bool:
    """Return whether a result is there, which now counts as just written.

    A damaged one is taken away, so that the upload repairs it.
    """
    try:
        os.utime(target)
        with target.open("rb") as file:
            intact = _hashed(file) == digest
    except OSError:
        return False
    if not intact:
        target.unlink(missing_ok=True)
    return intact


def _check(part: Path, digest: str) -> None:
    """Write an upload through to the disk, if it is what it was said to be; give it up if not."""
    with part.open("rb") as file:
        found = _hashed(file)
        os.fsync(file.fileno())
    if found != digest:
        part.unlink()
        raise InvalidArgumentError(
            f"the pieces have the SHA-256 {found}, and not {digest}; upload them anew", "sha256"
        )


def _hashed(file: BinaryIO) -> str:
    hashed = sha256()
    while block := file.read(_BLOCK):
        hashed.update(block)
    return hashed.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sizes(folder: Path) -> Iterator[int]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                yield (Path(parent) / name).stat().st_size
            except FileNotFoundError:  # deleted or renamed meanwhile
                continue

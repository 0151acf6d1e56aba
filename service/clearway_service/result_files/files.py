"""Results in the service's storage: uploaded in chunks, verified, read in chunks, deleted."""

from __future__ import annotations

import errno
import logging
import math
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from clearway_service.core.locations import SERVICE_SCHEME
from clearway_service.errors import (
    InvalidArgumentError,
    ResultNotFoundError,
    StorageFullError,
    StoreUnavailableError,
)
from clearway_service.result_files.folder import Identity, ResultFolder, hash_of, identity
from clearway_service.result_files.room import Room
from clearway_service.result_files.uploads import Upload, Uploads, wrong_offset

# How many results are remembered as verified; others are verified again.
_REMEMBERED = 10_000
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# The minimum interval between log lines: failures come in bursts, for example when descriptors run out.
_SILENT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Received(NamedTuple):
    """The progress of an upload.

    Attributes:
        size: The number of bytes received.
        location: The result's location; empty until the upload is complete.
    """

    size: int
    location: str


class SlowStep(NamedTuple):
    """Work that has to be done before a chunk can be accepted, and may take seconds.

    Attributes:
        key: Identifies the work. Callers with the same key need it done only once.
        run: Does the work.
    """

    key: str
    run: Callable[[], None]


class ResultFiles:
    """Stores results. Its methods block; several threads and processes may use one folder at once.

    Args:
        folder: The folder, created when the first result arrives.
        max_bytes: The largest size of a result.
        max_total_bytes: The largest total size of all results; 0 for no limit except the disk's.
        clock: Returns the time in seconds, from any origin; used for how long uploads have been idle.
    """

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        max_total_bytes: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_bytes = max_bytes
        self._folder = ResultFolder(folder)
        self._room = Room(folder, max_total_bytes)
        self._uploads = Uploads(self._folder, self._room, clock)
        # Held while a result is touched or deleted, so that none is deleted that was just found complete.
        self._lock = threading.Lock()
        self._whole: OrderedDict[str, Identity] = OrderedDict()
        self._silent_until = 0.0

    def write(
        self,
        upload_id: str,
        digest: str,
        size: int,
        offset: int,
        chunk: bytes,
        owner: Hashable | None = None,
    ) -> Received | SlowStep:
        """Store a chunk of a result.

        Args:
            upload_id: The upload that it belongs to.
            digest: The SHA-256 of the whole result, in hexadecimal.
            size: The size of the whole result in bytes.
            offset: The position of the chunk.
            chunk: The chunk.
            owner: The client that sends it, since each has a share of the uploads; None if unknown.

        Returns:
            The upload's progress; or a step to run before writing the chunk again.

        Raises:
            InvalidArgumentError: The chunk does not fit what was received, or the result differs from what
                was declared.
            StorageFullError: There is no room; the received part was discarded.
            StoreUnavailableError: The files cannot be used at the moment.
        """
        with self._failures():
            known = self._is_whole(digest)
            if known is None:
                return SlowStep(digest, lambda: self._verify(digest))
            if known:
                return Received(size, SERVICE_SCHEME + digest)
            self._check_size(size, offset, chunk)
            if not self._room.is_counted:
                return SlowStep("room", self._count)
            with self._uploads.held(upload_id, digest, size, offset, owner) as upload:
                if upload.received and upload.hashed is None:
                    return SlowStep(upload_id, lambda: self._hash(upload))
                try:
                    return self._append(upload, size, offset, chunk)
                except (StorageFullError, OSError) as error:
                    if isinstance(error, StorageFullError) or error.errno in _FULL:
                        self._uploads.discard(upload)
                    raise

    def read(self, digest: str, offset: int, length: int) -> tuple[bytes, int]:
        """Return a chunk of a result, and the size of the whole.

        Raises:
            ResultNotFoundError: There is no such result.
            StoreUnavailableError: It cannot be read at the moment.
        """
        with self._failures():
            try:
                return self._folder.read(digest, offset, length)
            except FileNotFoundError:
                location = SERVICE_SCHEME + digest
                raise ResultNotFoundError(
                    f"there is no result {location}: it was deleted, or never uploaded here",
                    "location",
                    location=location,
                ) from None

    def delete(self, digest: str, written_before: float) -> bool:
        """Delete a result if it exists.

        Args:
            digest: Its SHA-256.
            written_before: Results uploaded at this time or later, in seconds since 1970, are kept, even if
                they existed before: the run that uploaded them has yet to complete.

        Returns:
            False if it was kept.

        Raises:
            StoreUnavailableError: It cannot be deleted at the moment.
        """
        with self._failures(), self._lock:
            size = self._folder.delete(digest, written_before)
            if size is None:
                return False
            self._whole.pop(digest, None)
        self._room.add(-size)
        return True

    def sweep(self) -> None:
        """Remove abandoned uploads, and measure the folder.

        Raises:
            StoreUnavailableError: The files cannot be used at the moment.
        """
        with self._failures():
            self._uploads.sweep()
            self._room.count()

    def _is_whole(self, digest: str) -> bool | None:
        """Return whether a result exists, and mark it as just written; None if it is not verified yet."""
        with self._lock:
            touched, found = self._folder.touch(digest, self._whole.get(digest))
            if found is None:
                return False
            if not touched:
                return None
            self._remember(digest, found)
            return True

    def _verify(self, digest: str) -> None:
        """Verify that a result is intact. A damaged one is removed, so that an upload repairs it."""
        with self._failures():
            found = self._folder.hashed(digest)
            if found is None:
                return
            seen, is_right = found
            with self._lock:
                if is_right:
                    self._remember(digest, seen)
                    return
                size = self._folder.delete(digest, math.inf, seen)
            self._room.add(-(size or 0))

    def _remember(self, digest: str, seen: Identity) -> None:
        self._whole[digest] = seen
        self._whole.move_to_end(digest)
        if len(self._whole) > _REMEMBERED:
            self._whole.popitem(last=False)

    def _count(self) -> None:
        with self._failures():
            self._room.count()

    def _hash(self, upload: Upload) -> None:
        """Hash the part of an upload that an earlier process received."""
        with self._failures(), upload.lock:
            with self._folder.uploading() as (_, folder), self._uploads.opened(upload, folder) as file:
                if file is not None:
                    os.ftruncate(file, upload.received)
                    upload.hashed = hash_of(file)
                    return
            self._uploads.discard(upload)

    def _check_size(self, size: int, offset: int, chunk: bytes) -> None:
        if size > self._max_bytes:
            raise InvalidArgumentError(
                f"size_bytes is {size:,}; a result may have {self._max_bytes:,} bytes at most "
                "(the server's setting CLEARWAY_MAX_RESULT_BYTES)",
                "size_bytes",
            )
        if offset + len(chunk) > size:
            raise InvalidArgumentError(
                f"the chunk ends at {offset + len(chunk):,}, and the result's size is {size:,}", "chunk"
            )

    def _append(self, upload: Upload, size: int, offset: int, chunk: bytes) -> Received:
        """Write the new bytes of a chunk; after the last chunk, give the result its name."""
        if offset > upload.received:
            raise wrong_offset(offset, upload.received)
        # Bytes received before are never written again, so their hash stays that of the file.
        new = memoryview(chunk)[upload.received - offset :]
        # For each chunk, not only the first: other uploads continue meanwhile.
        self._room.check(size - upload.received)
        with (
            self._folder.uploading() as (root, folder),
            self._uploads.opened(upload, folder) as file,
        ):
            if file is None:
                self._uploads.discard(upload)
                raise wrong_offset(offset, 0)
            if upload.hashed is None:
                upload.hashed = sha256()
            _write(file, new, upload.received)
            upload.hashed.update(new)
            upload.received += len(new)
            self._room.add(len(new))
            if upload.received < size:
                return Received(upload.received, "")
            self._finish(upload, file, root, folder)
        return Received(size, SERVICE_SCHEME + upload.digest)

    def _finish(self, upload: Upload, file: int, root: int, folder: int) -> None:
        """Sync an upload to disk and name it; discard it if it is not what was declared."""
        assert upload.hashed is not None
        found = upload.hashed.hexdigest()
        if found != upload.digest:
            self._uploads.discard(upload)
            raise InvalidArgumentError(
                f"the chunks have the SHA-256 {found}, not {upload.digest}; upload them again", "sha256"
            )
        try:
            os.fsync(file)
        except OSError:
            # After a failed sync the system drops the unwritten pages: the next attempt would seem to
            # succeed.
            self._uploads.discard(upload)
            raise
        with self._lock:
            replaced = self._folder.keep(upload.file, upload.digest, root, folder)
            self._remember(upload.digest, identity(os.fstat(file)))
        self._room.add(-replaced)
        self._uploads.end(upload)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Convert system errors to ours: only a full disk or quota means that the storage is full."""
        try:
            yield
        except OSError as error:
            why = f"{self._folder.path}: {error.strerror or error}"
            if error.errno in _FULL:
                raise StorageFullError(f"the result cannot be stored in {why}") from error
            if time.monotonic() > self._silent_until:
                self._silent_until = time.monotonic() + _SILENT_SECONDS
                logger.error("the result storage cannot be used, %s", why)  # noqa: TRY400 - the reason is complete
            raise StoreUnavailableError(f"the result storage cannot be used, {why}") from error


def _write(file: int, new: memoryview, offset: int) -> None:
    while new:
        written = os.pwrite(file, new, offset)
        new, offset = new[written:], offset + written

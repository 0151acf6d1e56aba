"""Incomplete uploads of results, each a file in a folder for uploads.

The state of an upload is in memory, so a chunk costs the same however many uploads there are. Files left by
an earlier process are taken over when the folder is first used. Another process on the same folder has its
own uploads, and removes those of this one only when they are old enough to be abandoned.
"""
# ruff: noqa: PTH208 - pathlib knows no descriptors of folders

from __future__ import annotations

import os
import re
import stat
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager, suppress

from clearway_service.errors import InvalidArgumentError, StoreUnavailableError
from clearway_service.result_files.folder import (
    UPLOADS,
    Hash,
    IrregularFileError,
    ResultFolder,
    open_file,
    open_folder,
)
from clearway_service.result_files.room import Room

# Each upload is a file that may be as large as a result. Few clients have more than one at a time.
MOST_UPLOADS = 1_024
# The chunks of an upload follow each other within seconds. If there are too many uploads, one that has been
# idle for this long makes room for another.
IDLE_SECONDS = 10.0
# An SDK tries to resume its upload for a minute.
ABANDONED_SECONDS = 3_600.0
_PART = ".part"
_NAME = re.compile(r"([0-9a-f-]{36})-([0-9a-f]{64})\.part")


class Upload:
    """An incomplete upload of a result. Only the holder of its lock may use its fields.

    Attributes:
        id: The client's id for it.
        digest: The declared SHA-256 of the whole result.
        size: The declared size of the whole result; None if an earlier process received the first chunk.
        received: The number of bytes received.
        hashed: Their hash; None if an earlier process received them.
        touched: When the last chunk was received, by the clock of ``Uploads``, in seconds.
        owner: The client that sent the last chunk; None if unknown.
        lock: Held while a chunk is written.
    """

    __slots__ = ("digest", "hashed", "id", "lock", "owner", "received", "size", "touched")

    def __init__(self, upload_id: str, digest: str, size: int | None, received: int, touched: float) -> None:
        self.id = upload_id
        self.digest = digest
        self.size = size
        self.received = received
        self.hashed: Hash | None = None
        self.touched = touched
        self.owner: Hashable | None = None
        self.lock = threading.Lock()

    @property
    def file(self) -> str:
        """The name of its file. It contains the hash, so that two contents never mix under one id."""
        return f"{self.id}-{self.digest}{_PART}"


class Uploads:
    """The uploads of one folder. Its methods block, and raise ``OSError`` as the system does.

    Args:
        folder: The folder.
        room: Notified of what is removed.
        clock: Returns the time in seconds, from any origin.
        most: The maximum number of uploads.
    """

    def __init__(
        self, folder: ResultFolder, room: Room, clock: Callable[[], float], most: int = MOST_UPLOADS
    ) -> None:
        self._folder = folder
        self._room = room
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        # The upload that has been idle longest is first.
        self._uploads: OrderedDict[str, Upload] = OrderedDict()
        self._loaded = False

    @contextmanager
    def held(
        self, upload_id: str, digest: str, size: int, offset: int, owner: Hashable | None = None
    ) -> Iterator[Upload]:
        """Hold the upload that a chunk belongs to; the first chunk starts one.

        If there are too many uploads, one of the client with the most makes room.

        Raises:
            InvalidArgumentError: The first chunk declared something else, or was not received.
            StoreUnavailableError: Another chunk is being written, or there are too many uploads.
        """
        evicted = None
        with self._lock:
            self._load()
            upload = self._uploads.get(upload_id)
            if upload is None:
                if offset:
                    raise wrong_offset(offset, 0)
                evicted = self._make_room(owner)
                upload = self._uploads[upload_id] = Upload(upload_id, digest, size, 0, self._clock())
            if not upload.lock.acquire(blocking=False):
                raise StoreUnavailableError(
                    f"another chunk of upload {upload_id} is being written; send one at a time"
                )
            upload.touched = self._clock()
            upload.owner = owner
            self._uploads.move_to_end(upload_id)
        try:
            if evicted is not None:
                self._unlink(evicted)
            _check_same(upload, digest, size)
            yield upload
        finally:
            upload.lock.release()

    @contextmanager
    def opened(self, upload: Upload, folder: int) -> Iterator[int | None]:
        """Yield the descriptor of a held upload's file, or None if the file was lost.

        Args:
            upload: The upload; its file is created if nothing has been received.
            folder: The descriptor of the folder of uploads.
        """
        with ExitStack() as stack:
            file: int | None = None
            if not upload.received:
                with suppress(FileNotFoundError):  # a link, or a file of an earlier attempt
                    os.unlink(upload.file, dir_fd=folder)
                file = stack.enter_context(open_file(upload.file, folder, os.O_RDWR | os.O_CREAT | os.O_EXCL))
            else:
                with suppress(FileNotFoundError, IrregularFileError):
                    file = stack.enter_context(open_file(upload.file, folder, os.O_RDWR))
                if file is not None and os.fstat(file).st_size < upload.received:
                    file = None
            yield file

    def end(self, upload: Upload) -> None:
        """Forget a held upload: its file has another name by now, or is to be removed."""
        with self._lock:
            if self._uploads.get(upload.id) is upload:
                del self._uploads[upload.id]

    def discard(self, upload: Upload) -> None:
        """Forget a held upload, and remove its file."""
        self.end(upload)
        self._unlink(upload)

    def sweep(self) -> None:
        """Remove abandoned uploads, including the files of other processes and earlier versions."""
        with self._lock:
            self._load()
            abandoned = [
                upload
                for upload in self._uploads.values()
                if self._clock() - upload.touched > ABANDONED_SECONDS and upload.lock.acquire(blocking=False)
            ]
            for upload in abandoned:
                del self._uploads[upload.id]
            known = {upload.file for upload in self._uploads.values()}
        for upload in abandoned:
            self._unlink(upload)
            upload.lock.release()
        with suppress(FileNotFoundError), self._folder.opened() as root:
            _sweep(root, set())  # where earlier versions stored them
            with open_folder(UPLOADS, root) as folder:
                _sweep(folder, known)

    def _make_room(self, owner: Hashable | None) -> Upload | None:
        """Take out an upload, if there are too many, and return it.

        It is the upload of the client with the most uploads that has been idle longest. An upload that has
        not been idle for long is taken only if the requesting client has fewer, its new one included; and
        nothing is taken from a client that has fewer. So a flood of uploads ends only those of its own
        client.

        Raises:
            StoreUnavailableError: There is none to take out.
        """
        if len(self._uploads) < self._most:
            return None
        counts = Counter(upload.owner for upload in self._uploads.values())
        idle_since = self._clock() - IDLE_SECONDS
        for upload in sorted(self._uploads.values(), key=lambda upload: -counts[upload.owner]):
            count = counts[upload.owner]
            may_go = count > counts[owner] + 1 or (count >= counts[owner] and upload.touched <= idle_since)
            if may_go and upload.lock.acquire(blocking=False):
                del self._uploads[upload.id]  # no chunk finds it any more
                upload.lock.release()
                return upload
        raise StoreUnavailableError(
            f"{len(self._uploads):,} results are being uploaded, as many as the service accepts at once; "
            "try again when some of them are complete"
        )

    def _unlink(self, upload: Upload) -> None:
        with suppress(FileNotFoundError), self._folder.opened() as root, open_folder(UPLOADS, root) as folder:
            os.unlink(upload.file, dir_fd=folder)
            self._room.add(-upload.received)

    def _load(self) -> None:
        """Take over, once, what an earlier process left, so that it counts and can be resumed."""
        if self._loaded:
            return
        now, ticks = time.time(), self._clock()
        found: list[tuple[float, str, str, int]] = []
        with suppress(FileNotFoundError), self._folder.opened() as root, open_folder(UPLOADS, root) as folder:
            for name in os.listdir(folder):
                entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(entry.st_mode) and (parts := _NAME.fullmatch(name)):
                    found.append((entry.st_mtime, parts[1], parts[2], entry.st_size))
        for written, upload_id, digest, size in sorted(found)[-self._most :]:
            paused = max(0.0, now - written)
            self._uploads[upload_id] = Upload(upload_id, digest, None, size, ticks - paused)
        self._loaded = True


def wrong_offset(offset: int, received: int) -> InvalidArgumentError:
    """Return the error for a chunk that does not follow the bytes received."""
    return InvalidArgumentError(
        f"offset is {offset:,}, and {received:,} bytes were received; resume from there", "offset"
    )


def _check_same(upload: Upload, digest: str, size: int) -> None:
    """Check that a chunk declares the same result as the first one."""
    if upload.digest != digest:
        raise InvalidArgumentError(
            f"sha256 is {digest}, and upload {upload.id} began with {upload.digest}; "
            "give each upload its own id",
            "sha256",
        )
    if upload.size is None:
        upload.size = size
    if upload.size != size:
        raise InvalidArgumentError(
            f"size_bytes is {size:,}, and upload {upload.id} began with {upload.size:,}; "
            "say the same size with each piece",
            "size_bytes",
        )


def _sweep(folder: int, known: set[str]) -> None:
    """Remove old upload files from a folder, except those in ``known``. Links are not followed."""
    oldest = time.time() - ABANDONED_SECONDS
    for name in os.listdir(folder):
        if not name.endswith(_PART) or name in known:
            continue
        with suppress(FileNotFoundError):
            entry = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if entry.st_mtime < oldest and not stat.S_ISDIR(entry.st_mode):
                os.unlink(name, dir_fd=folder)

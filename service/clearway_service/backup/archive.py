"""Archive: the one file of a backup, an uncompressed tar of regular files with short names.

Any tar program can read it. This reader refuses everything except regular files, so there are no links,
devices or sparse files, and the unpacked files are never larger than the archive.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterator
from hashlib import sha256
from typing import BinaryIO, NamedTuple

from clearway_service.backup.errors import DamagedBackupError

_BLOCK = 512
_END = bytes(2 * _BLOCK)
# Other programs pad to a record of this size with zeros.
_LONGEST_END = 10_240
_CHUNK = 1024 * 1024


class Member(NamedTuple):
    """A file in an archive.

    Attributes:
        name: Its path as found in the archive, not to be trusted.
        offset: The position of its bytes.
        size: The number of bytes.
    """

    name: str
    offset: int
    size: int


class ArchiveWriter:
    """Appends files to an archive.

    Args:
        file: An empty file, open for writing at its beginning.
        time: The modification time of all files, in seconds since 1970.
    """

    def __init__(self, file: BinaryIO, time: int) -> None:
        self._file = file
        self._time = time

    def add(self, name: str, source: BinaryIO, size: int) -> str | None:
        """Append ``size`` bytes of ``source``.

        Returns:
            Their SHA-256; None if ``source`` had fewer, and nothing was appended.

        Raises:
            OSError: The source cannot be read, or there is no room.
        """
        info = tarfile.TarInfo(name)
        info.size, info.mtime, info.mode = size, self._time, 0o600
        begin = self._file.tell()
        # GNU's format has no limit on sizes. The names are short, so each header is one block.
        self._file.write(info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict"))
        digest = copy(source, size, self._file)
        if digest is None:
            self.undo(begin)
        else:
            self._file.write(bytes(-size % _BLOCK))
        return digest

    @property
    def position(self) -> int:
        """The position of the next file."""
        return self._file.tell()

    def undo(self, position: int) -> None:
        """Remove everything appended from ``position`` on."""
        self._file.seek(position)
        self._file.truncate()

    def finish(self) -> int:
        """Write the end, sync the file to disk, and return the archive's size."""
        self._file.write(_END)
        self._file.flush()
        os.fsync(self._file.fileno())
        return self._file.tell()


def members(file: BinaryIO) -> Iterator[Member]:
    """Yield the files of an archive, in order.

    Raises:
        DamagedBackupError: It is not an archive, contains something other than regular files, or ends early.
    """
    end = os.fstat(file.fileno()).st_size
    file.seek(0)
    while True:
        header = file.read(_BLOCK)
        if len(header) == _BLOCK and not any(header):
            rest = file.read(_LONGEST_END + 1)
            if len(rest) < _BLOCK or len(rest) > _LONGEST_END or any(rest):
                raise DamagedBackupError("it has more data after the end of its contents")
            return
        info = _parsed(header)
        offset = file.tell()
        if offset + info.size > end:
            raise DamagedBackupError(f"it ends within {info.name[:80]!r}; is it only a part of a backup?")
        yield Member(info.name, offset, info.size)
        file.seek(offset + info.size + -info.size % _BLOCK)


def _parsed(header: bytes) -> tarfile.TarInfo:
    if len(header) < _BLOCK:
        raise DamagedBackupError("it ends early; is it only a part of a backup?")
    try:
        info = tarfile.TarInfo.frombuf(header, "ascii", "strict")
    except (tarfile.HeaderError, UnicodeDecodeError) as error:
        raise DamagedBackupError(
            f"it is not an archive of `clearway backup`, or it is damaged: {error}"
        ) from error
    if info.type != tarfile.REGTYPE or info.size < 0:
        raise DamagedBackupError(f"{info.name[:80]!r} in it is not a regular file")
    return info


def copy(source: BinaryIO, size: int, target: BinaryIO | None) -> str | None:
    """Copy ``size`` bytes from ``source``'s position; return their SHA-256, or None if there are fewer.

    Args:
        source: The file to read.
        size: The number of bytes.
        target: The file to write; None to read only.
    """
    digest, rest = sha256(), size
    while rest:
        chunk = source.read(min(rest, _CHUNK))
        if not chunk:
            return None
        digest.update(chunk)
        if target is not None:
            target.write(chunk)
        rest -= len(chunk)
    return digest.hexdigest()

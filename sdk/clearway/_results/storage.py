"""The protocol that every storage of results implements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class SizeMismatchError(OSError):
    """The stored bytes do not have the result's size; nothing was read.

    Args:
        size: The number of stored bytes.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size:,} bytes")


class Leftover(NamedTuple):
    """An unfinished file that a killed writer left behind.

    Attributes:
        location: The path or URL.
        size: The size in bytes.
        modified: When it was last written, in seconds since 1970; 0 if unknown.
        problem: Why it could not be deleted; empty if it was deleted, or with ``dry_run``.
    """

    location: str
    size: int
    modified: float
    problem: str = ""


class Storage(Protocol):
    """Stores results by their SHA-256. Writes are atomic: readers see a whole result or none.

    A digest is 64 lower-case hexadecimal digits. Nothing else from a run's state determines where a storage
    reads or writes.
    """

    def location(self, digest: str) -> str:
        """Return the path or URL where a result is, or would be, stored."""
        ...

    def write(self, digest: str, body: bytes) -> None:
        """Store a result.

        Raises:
            OSError: The result cannot be stored.
        """
        ...

    def read(self, digest: str, size: int) -> bytes:
        """Return a result's bytes.

        Args:
            digest: The SHA-256.
            size: The expected number of bytes; no more are read.

        Raises:
            FileNotFoundError: There is no such result; may also be NotADirectoryError.
            SizeMismatchError: The result does not have ``size`` bytes.
            UnsafePathError: There is a link or something else that is not a regular file; it was not read.
            OSError: The result cannot be read for now.
        """
        ...

    def holds(self, digest: str, size: int) -> bool:
        """Return True if there is a result with this many bytes, and if possible mark it as just written.

        False if unknown, or if ``write`` finds it out just as cheaply.
        """
        ...

    def check_deletable(self, digest: str) -> None:
        """Check, if that is cheap, that ``delete`` will succeed.

        Raises:
            OSError: ``delete`` would fail.
        """
        ...

    def delete(self, digest: str, written_before: float) -> bool:
        """Delete a result, if it exists.

        Args:
            digest: The SHA-256.
            written_before: Seconds since 1970. A result written at that time or later is kept, because a run
                that has not completed yet may have just stored an equal one.

        Returns:
            False if the result was kept.

        Raises:
            OSError: The result cannot be deleted.
        """
        ...

    def sweep(self, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
        """Delete unfinished files that killed writers left behind.

        Args:
            written_before: Seconds since 1970. A file written at that time or later is kept.
            dry_run: True deletes nothing.

        Yields:
            Each such file.

        Raises:
            OSError: The storage cannot be searched.
        """
        ...

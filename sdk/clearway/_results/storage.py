"""What a storage of results does, whatever it is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol


class SizeMismatchError(OSError):
    """What is stored has another size than the result; nothing was read.

    Args:
        size: The number of bytes that are there.
    """

    def __init__(self, size: int) -> None:
        super().__init__(f"there are {size:,} bytes")


class Leftover(NamedTuple):
    """A file that a killed writer left unfinished.

    Attributes:
        location: Its path or URL.
        size: Its bytes.
        modified: When it was last written, in seconds since 1970; 0 where that is not known.
        problem: Why it could not be deleted; empty where it was, or was not to be.
    """

    location: str
    size: int
    modified: float
    problem: str = ""


class Storage(Protocol):
    """A place for bytes. They are named by their SHA-256, and seen whole or not at all.

    A digest is 64 lower-case hexadecimal digits. It is all that a storage takes from a state.
    """

    def location(self, digest: str) -> str:
        """Return where bytes are, or would be."""
        ...

    def write(self, digest: str, body: bytes) -> None:
        """Keep bytes.

        Raises:
            OSError: They cannot be kept.
        """
        ...

    def read(self, digest: str, size: int) -> bytes:
        """Return bytes.

        Args:
            digest: Their name.
            size: How many they are. No more than these are read.

        Raises:
            FileNotFoundError: They are not there; also NotADirectoryError.
            SizeMismatchError: They are more, or fewer.
            UnsafePathError: There is a link, or something else than a file. It was neither followed nor read.
            OSError: They cannot be read at present.
        """
        ...

    def holds(self, digest: str, size: int) -> bool:
        """Return whether there are so many bytes, which count as just written where that can be noted.

        False also where that cannot be told, or ``write`` finds it out as cheaply.
        """
        ...

    def check_deletable(self, digest: str) -> None:
        """Check, as far as that is cheap, that ``delete`` will succeed.

        Raises:
            OSError: It would not.
        """
        ...

    def delete(self, digest: str, written_before: float) -> bool:
        """Delete bytes, where they are there.

        Args:
            digest: Their name.
            written_before: What was written then or later, in seconds since 1970, is left: an equal result
                was stored just now, and the run that has it is yet to complete.

        Returns:
            False where they were left.

        Raises:
            OSError: They cannot be deleted.
        """
        ...

    def sweep(self, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
        """Delete what killed writers left unfinished.

        Args:
            written_before: What was written then or later, in seconds since 1970, is left.
            dry_run: Delete nothing.

        Yields:
            Each such file.

        Raises:
            OSError: The storage cannot be looked through.
        """
        ...

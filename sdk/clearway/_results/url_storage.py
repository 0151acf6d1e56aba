"""Stores results in a file system that fsspec supports, such as S3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from clearway._base.locations import location_in
from clearway._results.directory_storage import LEFTOVER, temporary_name
from clearway._results.storage import Leftover, SizeMismatchError

# Writes to these are atomic, so no temporary file is needed.
_WHOLE_PUTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})


class UrlStorage:
    """A storage in a folder of a remote file system.

    Args:
        url: The folder's URL, such as ``s3://bucket/results``.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._puts_whole = url.partition("://")[0] in _WHOLE_PUTS

    def location(self, digest: str) -> str:
        """See ``Storage.location``."""
        return location_in(self._url, digest)

    def write(self, digest: str, body: bytes) -> None:
        """See ``Storage.write``."""
        location = self.location(digest)
        system, path = _system(location)
        try:
            if self._puts_whole:
                system.pipe_file(path, body)
            else:
                folder = path.rpartition("/")[0]
                system.makedirs(folder, exist_ok=True)
                temporary = f"{folder}/{temporary_name(digest)}"
                system.pipe_file(temporary, body)
                system.mv(temporary, path)
        except Exception as error:
            raise _io_error("write", location, error) from error

    def read(self, digest: str, size: int) -> bytes:
        """See ``Storage.read``."""
        location = self.location(digest)
        system, path = _system(location)
        try:
            found = system.info(path).get("size")
            if found is not None and found != size:
                raise SizeMismatchError(found)  # noqa: TRY301 - next to the file system's own errors
            body: bytes = system.cat_file(path, start=0, end=size) if size else b""
        except SizeMismatchError:
            raise
        except Exception as error:
            raise _io_error("read", location, error) from error
        return body

    def holds(self, digest: str, size: int) -> bool:
        """See ``Storage.holds``."""
        try:
            system, path = _system(self.location(digest))
            return bool(system.info(path).get("size") in (size, None))
        except Exception:  # noqa: BLE001 - file systems raise errors of their own; the write will report it
            return False

    def check_deletable(self, digest: str) -> None:
        """Do nothing, because only ``delete`` can find out."""

    def delete(self, digest: str, written_before: float) -> bool:
        """See ``Storage.delete``."""
        location = self.location(digest)
        system, path = _system(location)
        try:
            if _modified(system, path) >= written_before:
                return False
            system.rm_file(path)
        except FileNotFoundError:
            return True
        except Exception as error:
            raise _io_error("delete", location, error) from error
        return True

    def sweep(self, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
        """See ``Storage.sweep``."""
        if self._puts_whole:
            return
        system, path = _system(self._url)
        try:
            found = system.find(path, maxdepth=2)
        except FileNotFoundError:
            return
        except Exception as error:
            raise _io_error("search", self._url, error) from error
        for file in found:
            if LEFTOVER.fullmatch(file.rpartition("/")[2]):
                yield from _swept(system, file, written_before, dry_run=dry_run)


def _swept(system: Any, path: str, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
    location = system.unstrip_protocol(path)
    try:
        modified, size = _modified(system, path), system.size(path) or 0
        if not 0 < modified < written_before:
            return
        if not dry_run:
            system.rm_file(path)
    except FileNotFoundError:
        return
    except Exception as error:  # noqa: BLE001 - as above
        yield Leftover(location, 0, 0.0, str(_io_error("delete", location, error)))
    else:
        yield Leftover(location, size, modified)


def _system(location: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 - few use it, and it is slow to import

    try:
        system, path = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:  # an unknown scheme, or one whose package is missing
        raise OSError(f"the result storage {location} cannot be used: {error}") from error
    return system, path


def _modified(system: Any, path: str) -> float:
    """Return when a file was written, in seconds since 1970; 0 if its file system does not tell."""
    try:
        written: float = system.modified(path).timestamp()
    except (NotImplementedError, AttributeError, KeyError):
        return 0.0
    return written


def _io_error(verb: str, location: str, error: Exception) -> OSError:
    if isinstance(error, FileNotFoundError) and verb == "read":
        return FileNotFoundError(f"there is nothing at {location}")
    return OSError(f"cannot {verb} {location}: {type(error).__name__}: {error}")

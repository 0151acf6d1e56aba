"""Where the bytes of large results are: a directory, a URL that fsspec knows, or the service itself."""

from __future__ import annotations

import os
import threading
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

from clearway._base.locations import FILE

if TYPE_CHECKING:
    from clearway._transport.protocol import Transport

SERVICE: Final = "service://"
_CHUNK: Final = 1024 * 1024
# What is put there is seen whole or not at all, so it needs no other name first.
_WHOLE_PUTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory"})


class Storage(Protocol):
    """A place for bytes. They are named by their SHA-256, and seen whole or not at all."""

    def write(self, digest: str, body: bytes) -> str:
        """Keep bytes; return their location.

        Raises:
            OSError: They cannot be kept.
        """
        ...

    def read(self, location: str) -> bytes:
        """Return the bytes at a location.

        Raises:
            OSError: They are not there, or cannot be read.
        """
        ...

    def holds(self, location: str) -> bool:
        """Return whether there are bytes at a location, which count as just written where that can be noted.

        False also where that cannot be told, or ``write`` finds it out as cheaply.
        """
        ...

    def delete(self, location: str, written_before: float) -> bool:
        """Delete the bytes at a location, where they are there.

        Args:
            location: Where.
            written_before: What was written then or later, in seconds since 1970, is left: somebody has
                just stored an equal result, and is yet to say so.

        Returns:
            False where they were left.

        Raises:
            OSError: They cannot be deleted.
        """
        ...


class DirectoryStorage:
    """Files in a directory, which is made when the first one comes.

    Args:
        directory: Its absolute path.
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory

    def write(self, digest: str, body: bytes) -> str:
        """See ``Storage.write``."""
        folder = f"{self._directory}/{digest[:2]}"  # a hot path, for which pathlib is slow
        target = f"{folder}/{digest}"
        temporary = f"{target}.{os.getpid()}-{threading.get_ident()}.tmp"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        try:
            descriptor = os.open(temporary, flags, 0o600)
        except FileNotFoundError:
            os.makedirs(folder, exist_ok=True)  # noqa: PTH103 - as above
            descriptor = os.open(temporary, flags, 0o600)
        try:
            with os.fdopen(descriptor, "wb", buffering=0) as file:
                view = memoryview(body)
                while view:
                    view = view[file.write(view) :]
                os.fsync(descriptor)
            os.replace(temporary, target)  # noqa: PTH105 - a hot path
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        return target

    def read(self, location: str) -> bytes:
        """See ``Storage.read``."""
        return Path(location).read_bytes()

    def holds(self, location: str) -> bool:
        """See ``Storage.holds``."""
        try:
            os.utime(location)
        except OSError:
            return False
        return True

    def delete(self, location: str, written_before: float) -> bool:
        """See ``Storage.delete``."""
        path = Path(location)
        try:
            if path.stat().st_mtime >= written_before:
                return False
            path.unlink()
        except FileNotFoundError:
            return True
        return True


class UrlStorage:
    """Files of a file system that fsspec knows.

    Args:
        url: Its folder, such as ``s3://bucket/results``.
    """

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    def write(self, digest: str, body: bytes) -> str:
        """See ``Storage.write``."""
        location = f"{self._url}/{digest[:2]}/{digest}"
        system, path = _system(location)
        try:
            if location.partition("://")[0] in _WHOLE_PUTS:
                system.pipe_file(path, body)
            else:
                system.makedirs(path.rpartition("/")[0], exist_ok=True)
                temporary = f"{path}.{os.getpid()}-{threading.get_ident()}.tmp"
                system.pipe_file(temporary, body)
                system.mv(temporary, path)
        except Exception as error:
            raise _io_error("write", location, error) from error
        return location

    def read(self, location: str) -> bytes:
        """See ``Storage.read``."""
        system, path = _system(location)
        try:
            body: bytes = system.cat_file(path)
        except Exception as error:
            raise _io_error("read", location, error) from error
        return body

    def holds(self, location: str) -> bool:
        """See ``Storage.holds``."""
        try:
            system, path = _system(location)
            return bool(system.exists(path))
        except Exception:  # noqa: BLE001 - each system has errors of its own; writing will tell
            return False

    def delete(self, location: str, written_before: float) -> bool:
        """See ``Storage.delete``."""
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


class ServiceStorage:
    """The service's own storage, which needs no set-up: bytes go there in chunks."""

    def write(self, digest: str, body: bytes) -> str:
        """See ``Storage.write``."""
        from clearway._base.ids import new_id  # noqa: PLC0415 - few results are this large
        from clearway._transport.rpcs import UPLOAD_RESULT  # noqa: PLC0415
        from clearway.v1.result_pb2 import UploadResultRequest  # noqa: PLC0415

        upload_id = new_id()
        offset = 0
        while True:
            request = UploadResultRequest(
                upload_id=upload_id,
                sha256=digest,
                size=len(body),
                offset=offset,
                chunk=body[offset : offset + _CHUNK],
            )
            response = _answer(UPLOAD_RESULT.start(_transport(), request))
            if location := str(response.location):
                return location
            offset = response.received

    def read(self, location: str) -> bytes:
        """See ``Storage.read``."""
        from clearway._transport.rpcs import DOWNLOAD_RESULT  # noqa: PLC0415 - as above
        from clearway.v1.result_pb2 import DownloadResultRequest  # noqa: PLC0415

        body = bytearray()
        while True:
            request = DownloadResultRequest(location=location, offset=len(body), max_bytes=_CHUNK)
            response = _answer(DOWNLOAD_RESULT.start(_transport(), request))
            body += response.chunk
            if not response.chunk or len(body) >= response.size:
                return bytes(body)

    def holds(self, location: str) -> bool:
        """Say no: to the first piece of an upload the service answers that it has the result."""
        del location
        return False

    def delete(self, location: str, written_before: float) -> bool:
        """Leave it: the service deletes what it keeps by itself."""
        del location, written_before
        return True


def storage_for(place: str) -> Storage:
    """Return the storage of a setting: a directory's absolute path, or a URL."""
    if place.startswith(SERVICE):
        return ServiceStorage()
    if place.startswith(FILE):
        return DirectoryStorage(place.removeprefix(FILE))
    if "://" in place:
        return UrlStorage(place)
    return DirectoryStorage(place)


def digest_of(body: bytes) -> str:
    """Return the name of bytes: their SHA-256, hexadecimal."""
    return sha256(body).hexdigest()


def _system(location: str) -> tuple[Any, str]:
    import fsspec  # type: ignore[import-untyped]  # noqa: PLC0415 - few use it, and it takes a while

    try:
        system, path = fsspec.core.url_to_fs(location)
    except (ImportError, ValueError) as error:  # a scheme that nobody knows, or whose package is missing
        raise OSError(f"the result storage {location} cannot be used: {error}") from error
    return system, path


def _modified(system: Any, path: str) -> float:
    """Return when a file was written, in seconds since 1970; 0 where its system does not say."""
    try:
        written: float = system.modified(path).timestamp()
    except (NotImplementedError, AttributeError, KeyError):
        return 0.0
    return written


def _io_error(verb: str, location: str, error: Exception) -> OSError:
    if isinstance(error, FileNotFoundError) and verb == "read":
        return FileNotFoundError(f"there is nothing at {location}")
    return OSError(f"cannot {verb} {location}: {type(error).__name__}: {error}")


def _transport() -> Transport:
    from clearway._transport.current import connect  # noqa: PLC0415 - what stores a result has loaded it

    return connect()


def _answer(future: Any) -> Any:
    from clearway.exceptions import ServiceError  # noqa: PLC0415

    try:
        return future.result()
    except ServiceError as error:
        raise OSError(str(error)) from error

"""Stores results in the service's own storage, which needs no set-up; they are transferred in chunks."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Final

from clearway._base.backoff import Backoff
from clearway._base.locations import location_in
from clearway._results.storage import Leftover, SizeMismatchError
from clearway._settings.paths import SERVICE

_CHUNK: Final = 1024 * 1024
# How often, and how long apart, a call is tried while the service is overloaded.
_TRIES: Final = 6
_OVERLOADED: Final = Backoff(0.1, 1.6)


class ServiceStorage:
    """The storage of the service that this process is connected to."""

    def location(self, digest: str) -> str:
        """See ``Storage.location``."""
        return location_in(SERVICE, digest)

    def write(self, digest: str, body: bytes) -> None:
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
                size_bytes=len(body),
                offset=offset,
                chunk=body[offset : offset + _CHUNK],
            )
            response = _response(UPLOAD_RESULT, request)
            if response.location:
                return
            if response.received_bytes <= offset:
                raise OSError(f"the service accepted no bytes after the first {offset:,}, without an error")
            offset = response.received_bytes

    def read(self, digest: str, size: int) -> bytes:
        """See ``Storage.read``."""
        from clearway._transport.rpcs import DOWNLOAD_RESULT  # noqa: PLC0415 - as above
        from clearway.v1.result_pb2 import DownloadResultRequest  # noqa: PLC0415

        body = bytearray()
        while True:
            request = DownloadResultRequest(
                location=self.location(digest),
                offset=len(body),
                max_chunk_bytes=max(1, min(_CHUNK, size - len(body))),
            )
            response = _response(DOWNLOAD_RESULT, request)
            if response.size_bytes != size:
                raise SizeMismatchError(response.size_bytes)
            body += response.chunk
            if not response.chunk or len(body) >= size:
                return bytes(body)

    def holds(self, digest: str, size: int) -> bool:
        """Return False, because the response to the first chunk of an upload tells if the result exists."""
        del digest, size
        return False

    def check_deletable(self, digest: str) -> None:
        """Do nothing, because the service deletes its own results."""

    def delete(self, digest: str, written_before: float) -> bool:
        """Return True without deleting, because the service deletes its own results."""
        del digest, written_before
        return True

    def sweep(self, written_before: float, *, dry_run: bool) -> Iterator[Leftover]:
        """Yield nothing, because the service deletes unfinished uploads itself."""
        del written_before, dry_run
        yield from ()


def _response(method: Any, request: Any) -> Any:
    """Make a call and return its response, with a few retries while the service is overloaded.

    If the server is unreachable, the transport itself waits for it, for ``CLEARWAY_RECONNECT_TIMEOUT``.
    """
    from clearway._transport.current import connect  # noqa: PLC0415 - loaded already when a result is stored
    from clearway.exceptions import ResultNotFound, ServerUnavailable, ServiceError  # noqa: PLC0415

    for failures in range(1, _TRIES + 1):
        try:
            return method.start(connect(), request).result()
        except ResultNotFound as error:
            raise FileNotFoundError(str(error)) from error
        except ServiceError as error:
            if failures == _TRIES or not isinstance(error, ServerUnavailable):
                raise OSError(str(error)) from error
        time.sleep(_OVERLOADED.delay(failures))
    raise AssertionError("unreachable")

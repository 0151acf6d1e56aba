"""RPCs about results that are kept in the service's own storage."""

from __future__ import annotations

import asyncio
import re
import time
from datetime import timedelta

from clearway.v1 import result_pb2
from clearway_service import store
from clearway_service.clock import Clock
from clearway_service.handlers import rendering as render
from clearway_service.handlers import validation as valid
from clearway_service.handlers.base import Handlers
from clearway_service.pipeline import Pipeline
from clearway_service.result_files import SCHEME, ResultFiles
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database

MAX_CHUNK = 4 * 1024 * 1024
_DEFAULT_CHUNK = 1024 * 1024
_MAX_OFFSET = 2**62
_MAX_UNUSED = 10_000
_DEFAULT_UNUSED = 1_000
_DEFAULT_AGE = timedelta(days=1) // timedelta(microseconds=1)
_SHA256 = re.compile("[0-9a-f]{64}")


class ResultHandlers(Handlers):
    """RPCs about results."""

    def __init__(
        self, pipeline: Pipeline, database: Database, settings: ServiceSettings, clock: Clock
    ) -> None:
        super().__init__(pipeline, database, settings, clock)
        folder = settings.database.with_name(f"{settings.database.name}-results")
        self._files = ResultFiles(folder, settings.max_result_bytes, settings.max_result_storage_bytes)

    async def UploadResult(  # noqa: N802 - the RPC's name
        self, request: result_pb2.UploadResultRequest
    ) -> result_pb2.UploadResultResponse:
        """Keep a piece of a result."""
        upload_id = valid.required_id("upload_id", request.upload_id)
        if not _SHA256.fullmatch(request.sha256):
            raise valid.invalid("sha256", request.sha256, "64 lower-case hexadecimal digits")
        valid.number("size", request.size, 0, _MAX_OFFSET)  # how much is taken, the storage says
        valid.number("offset", request.offset, 0, _MAX_OFFSET)
        if len(request.chunk) > MAX_CHUNK:
            raise valid.invalid("chunk", f"{len(request.chunk):,} bytes", f"of {MAX_CHUNK:,} bytes at most")
        received, location = await asyncio.to_thread(
            self._files.write, upload_id, request.sha256, request.size, request.offset, request.chunk
        )
        return result_pb2.UploadResultResponse(received=received, location=location)

    async def ListUnusedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.ListUnusedResultsRequest
    ) -> result_pb2.ListUnusedResultsResponse:
        """Answer the results that only ended cache entries spoke of."""
        limit = valid.number("limit", request.limit, 0, _MAX_UNUSED) or _DEFAULT_UNUSED
        unused = await self._unused(request)
        return result_pb2.ListUnusedResultsResponse(results=map(_render_unused, unused[:limit]))

    async def DropUnusedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.DropUnusedResultsRequest
    ) -> result_pb2.DropUnusedResultsResponse:
        """Forget results, so that they can be deleted, and delete those that are in the service's storage."""
        if not request.state_ids:
            raise valid.missing("state_ids", f"1 to {_MAX_UNUSED:,} ids of ListUnusedResults")
        valid.items("state_ids", len(request.state_ids), _MAX_UNUSED)
        wanted = {valid.required_id("state_ids", id_) for id_ in request.state_ids}
        # Half, as the clocks of states and of files differ.
        written_before = time.time() - _age(request) / 2 / 1_000_000
        unused = [result for result in await self._unused(request) if result.state_id in wanted]
        dropped = await self._run(store.unused_results.drop_unused(unused))
        own = {result.location for result in dropped if result.location.startswith(SCHEME)}
        for location in own:
            digest = location.removeprefix(SCHEME)
            await asyncio.to_thread(self._files.delete, digest, written_before)
        return result_pb2.DropUnusedResultsResponse(results=map(_render_unused, dropped))

    async def _unused(
        self, request: result_pb2.ListUnusedResultsRequest | result_pb2.DropUnusedResultsRequest
    ) -> list[store.unused_results.UnusedResult]:
        now = self._clock()
        return await store.unused_results.find_unused(self._database, now, now - _age(request))

    async def DownloadResult(  # noqa: N802 - the RPC's name
        self, request: result_pb2.DownloadResultRequest
    ) -> result_pb2.DownloadResultResponse:
        """Answer a piece of a result."""
        location = request.location
        if not (location.startswith(SCHEME) and _SHA256.fullmatch(location.removeprefix(SCHEME))):
            raise valid.invalid("location", location, f"{SCHEME} and 64 lower-case hexadecimal digits")
        offset = valid.number("offset", request.offset, 0, _MAX_OFFSET)
        length = valid.number("max_bytes", request.max_bytes, 0, MAX_CHUNK) or _DEFAULT_CHUNK
        chunk, size = await asyncio.to_thread(self._files.read, location, offset, length)
        return result_pb2.DownloadResultResponse(chunk=chunk, size=size)


def _age(request: result_pb2.ListUnusedResultsRequest | result_pb2.DropUnusedResultsRequest) -> int:
    """Return how old a state must be, in microseconds."""
    return (
        valid.duration("older_than", request.older_than) if request.HasField("older_than") else _DEFAULT_AGE
    )


def _render_unused(result: store.unused_results.UnusedResult) -> result_pb2.UnusedResult:
    return result_pb2.UnusedResult(
        state_id=result.state_id,
        location=result.location,
        size=result.size,
        cache_key=result.cache_key,
        created=render.timestamp(result.created),
    )

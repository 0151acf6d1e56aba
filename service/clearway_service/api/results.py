"""RPCs about results in the service's own storage, and about orphaned ones anywhere."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Collection
from contextlib import aclosing
from datetime import timedelta

from clearway.v1 import result_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import FRAMING_BYTES, MAX_ANSWER_BYTES, Handlers
from clearway_service.api.pages import Page
from clearway_service.api.parsing import microseconds, uuid_of
from clearway_service.core.locations import SERVICE_SCHEME
from clearway_service.engine.budget import Caller, current_call
from clearway_service.engine.clock import Clock
from clearway_service.engine.pipeline import Pipeline
from clearway_service.errors import ClearwayError, StoreUnavailableError
from clearway_service.result_files.files import ResultFiles
from clearway_service.result_files.folder import beside
from clearway_service.result_files.storage import ResultStorage
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database

_DEFAULT_CHUNK = 1024 * 1024
# How many are dropped in one transaction, at most, so that decisions are made in between.
_DROPPED_AT_ONCE = 500
_DEFAULT_AGE = timedelta(days=1) // timedelta(microseconds=1)
_PLACE = re.compile(r"(\d{1,18}) (\d{1,18}) (.{1,36})", re.ASCII)


class ResultHandlers(Handlers):
    """RPCs about results."""

    def __init__(
        self, pipeline: Pipeline, database: Database, settings: ServiceSettings, clock: Clock
    ) -> None:
        super().__init__(pipeline, database, settings, clock)
        folder = beside(settings.database)
        files = ResultFiles(folder, settings.max_result_bytes, settings.max_result_storage_bytes)
        self._results = ResultStorage(files)

    def close(self) -> None:
        """Refuse further calls about results."""
        self._results.close()

    async def UploadResult(  # noqa: N802 - the RPC's name
        self, request: result_pb2.UploadResultRequest
    ) -> result_pb2.UploadResultResponse:
        """Store a chunk of a result."""
        received, location = await self._results.upload(
            uuid_of(request.upload_id),
            request.sha256,
            request.size_bytes,
            request.offset,
            request.chunk,
            _caller(),
        )
        return result_pb2.UploadResultResponse(received_bytes=received, location=location)

    async def ListOrphanedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.ListOrphanedResultsRequest
    ) -> result_pb2.ListOrphanedResultsResponse:
        """Return a page of orphaned results, at most about 2 MiB of them."""
        page = Page.of(request)
        now = self._clock()
        # All pages use the same point in time.
        before, after = _place(page) or (now - _age(request), None)
        response = result_pb2.ListOrphanedResultsResponse()
        rest = MAX_ANSWER_BYTES
        found = store.orphaned_results.find_orphaned(self._database, now, before, after)
        async with aclosing(found):
            async for result in found:
                rendered = _render(result)
                rest -= rendered.ByteSize() + FRAMING_BYTES
                if after is not None and (rest < 0 or len(response.results) == page.size):
                    response.next_page_token = page.token(f"{before} {after[0]} {after[1]}")
                    break
                response.results.append(rendered)
                after = result.position
        return response

    async def DropOrphanedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.DropOrphanedResultsRequest
    ) -> result_pb2.DropOrphanedResultsResponse:
        """Drop orphaned results, deleting those in the service's own storage; or only list them."""
        wanted = list(dict.fromkeys(map(uuid_of, request.state_ids)))
        age = _age(request)
        # Half the age, since the clocks of states and of files differ.
        written_before = time.time() - age / 2 / 1_000_000
        done: list[store.orphaned_results.OrphanedResult] = []
        try:
            for first in range(0, len(wanted), _DROPPED_AT_ONCE):
                some, before = wanted[first : first + _DROPPED_AT_ONCE], self._clock() - age
                found = await self._run(store.orphaned_results.droppable(some, before))
                if request.check_only:
                    done += found.results
                    continue
                deleted, left = await self._delete(found.unreferenced, written_before)
                dropped = [result for result in found.results if result.digest not in left]
                ids = [result.reference.state_id for result in dropped]
                # Recorded first: if this call is cancelled, the rows may be dropped nevertheless.
                known, done = done, done + dropped
                done = known + await self._run(store.orphaned_results.drop_orphaned(ids, before, deleted))
        except (StoreUnavailableError, asyncio.CancelledError) as error:
            # Without a response, the client cannot delete the results in its own storages.
            if done and not request.check_only:
                restoring = self._pipeline.run(store.orphaned_results.restore(done), current_call.get())
                if isinstance(error, StoreUnavailableError):
                    await asyncio.wrap_future(restoring)
            raise
        return result_pb2.DropOrphanedResultsResponse(results=map(_render, done))

    async def _delete(self, digests: Collection[str], written_before: float) -> tuple[set[str], set[str]]:
        """Delete files; return the SHA-256 values of those that are gone, and of those written too recently.

        Raises:
            StoreUnavailableError: Some could not be deleted.
        """
        gone: set[str] = set()
        failed: list[ClearwayError] = []
        for digest in digests:
            try:
                if await self._results.delete(digest, written_before, _caller()):
                    gone.add(digest)
            except StoreUnavailableError as error:
                failed.append(error)
        if failed:
            raise StoreUnavailableError(f"{len(failed):,} results could not be deleted: {failed[0].message}")
        return gone, set(digests) - gone

    async def DownloadResult(  # noqa: N802 - the RPC's name
        self, request: result_pb2.DownloadResultRequest
    ) -> result_pb2.DownloadResultResponse:
        """Return a chunk of a result."""
        digest = request.location.removeprefix(SERVICE_SCHEME)
        length = request.max_chunk_bytes or _DEFAULT_CHUNK
        chunk, size = await self._results.download(digest, request.offset, length, _caller())
        return result_pb2.DownloadResultResponse(chunk=chunk, size_bytes=size)


def _caller() -> Caller | None:
    """Return the client of the current call, which has a share of the storage; None within the process."""
    call = current_call.get()
    return None if call is None else call.caller


def _age(request: result_pb2.ListOrphanedResultsRequest | result_pb2.DropOrphanedResultsRequest) -> int:
    """Return the minimum age of a state, in microseconds."""
    return microseconds(request.older_than) if request.HasField("older_than") else _DEFAULT_AGE


def _place(page: Page) -> tuple[int, store.orphaned_results.Position] | None:
    """Return a page's point in time, and where the previous page ended; None for the first page.

    Raises:
        InvalidArgumentError: The token does not contain such a position.
    """
    if not page.after:
        return None
    found = _PLACE.fullmatch(page.after)
    if found is None:
        raise page.bad_token()
    return int(found[1]), (int(found[2]), found[3])


def _render(result: store.orphaned_results.OrphanedResult) -> result_pb2.OrphanedResult:
    reference = result.reference
    return result_pb2.OrphanedResult(
        state_id=reference.state_id,
        location=reference.location,
        size_bytes=reference.size,
        cache_key=reference.cache_key,
        create_time=render.timestamp(reference.created),
        sha256=result.digest,
    )

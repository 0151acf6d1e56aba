"""RPCs about results that are kept in the service's own storage."""

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
from clearway_service.api import validation as valid
from clearway_service.api.base import FRAMING_BYTES, MAX_ANSWER_BYTES, Handlers
from clearway_service.api.pages import Page
from clearway_service.core.locations import SERVICE_SCHEME, is_digest
from clearway_service.engine.budget import Caller, current_call
from clearway_service.engine.clock import Clock
from clearway_service.engine.pipeline import Pipeline
from clearway_service.errors import ClearwayError, StoreUnavailableError
from clearway_service.result_files.files import ResultFiles
from clearway_service.result_files.folder import beside
from clearway_service.result_files.storage import ResultStorage
from clearway_service.settings import ServiceSettings
from clearway_service.store.database import Database

MAX_CHUNK = 4 * 1024 * 1024
_DEFAULT_CHUNK = 1024 * 1024
_MAX_OFFSET = 2**62
_MAX_UNUSED = 10_000
_DEFAULT_UNUSED = 1_000
# As many are dropped in one transaction, so that decisions are made in between.
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
        """Take no more calls about results."""
        self._results.close()

    async def UploadResult(  # noqa: N802 - the RPC's name
        self, request: result_pb2.UploadResultRequest
    ) -> result_pb2.UploadResultResponse:
        """Keep a piece of a result."""
        upload_id = valid.required_id("upload_id", request.upload_id)
        if not is_digest(request.sha256):
            raise valid.invalid("sha256", request.sha256, "64 lower-case hexadecimal digits")
        valid.number("size", request.size, 0, _MAX_OFFSET)  # how much is taken, the storage says
        valid.number("offset", request.offset, 0, _MAX_OFFSET)
        if len(request.chunk) > MAX_CHUNK:
            raise valid.invalid("chunk", f"{len(request.chunk):,} bytes", f"of {MAX_CHUNK:,} bytes at most")
        received, location = await self._results.upload(
            upload_id, request.sha256, request.size, request.offset, request.chunk, _caller()
        )
        return result_pb2.UploadResultResponse(received=received, location=location)

    async def ListUnusedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.ListUnusedResultsRequest
    ) -> result_pb2.ListUnusedResultsResponse:
        """Return a page of orphaned results, at most about 2 MiB of them."""
        page = Page.of(request, _DEFAULT_UNUSED, _MAX_UNUSED, "limit")
        now = self._clock()
        # All pages are about the same time.
        before, after = _place(page) or (now - _age(request), None)
        response = result_pb2.ListUnusedResultsResponse()
        rest = MAX_ANSWER_BYTES
        found = store.unused_results.find_unused(self._database, now, before, after)
        async with aclosing(found):
            async for result in found:
                rendered = _render_unused(result)
                rest -= rendered.ByteSize() + FRAMING_BYTES
                if after is not None and (rest < 0 or len(response.results) == page.size):
                    response.next_page_token = page.token(f"{before} {after[0]} {after[1]}")
                    break
                response.results.append(rendered)
                after = result.position
        return response

    async def DropUnusedResults(  # noqa: N802 - the RPC's name
        self, request: result_pb2.DropUnusedResultsRequest
    ) -> result_pb2.DropUnusedResultsResponse:
        """Forget results, after deleting those that are in the service's storage; or only say which."""
        if not request.state_ids:
            raise valid.missing("state_ids", f"1 to {_MAX_UNUSED:,} ids of ListUnusedResults")
        valid.items("state_ids", len(request.state_ids), _MAX_UNUSED)
        wanted = list(dict.fromkeys(valid.required_id("state_ids", id_) for id_ in request.state_ids))
        age = _age(request)
        # Half, as the clocks of states and of files differ.
        written_before = time.time() - age / 2 / 1_000_000
        done: list[store.unused_results.UnusedResult] = []
        try:
            for first in range(0, len(wanted), _DROPPED_AT_ONCE):
                some, before = wanted[first : first + _DROPPED_AT_ONCE], self._clock() - age
                found = await self._run(store.unused_results.droppable(some, before))
                if request.check_only:
                    done += found.results
                    continue
                deleted, left = await self._delete(found.orphaned, written_before)
                dropped = [result for result in found.results if result.digest not in left]
                ids = [result.reference.state_id for result in dropped]
                # Noted first: where this call is cancelled, the rows may be dropped all the same.
                known, done = done, done + dropped
                done = known + await self._run(store.unused_results.drop_unused(ids, before, deleted))
        except (StoreUnavailableError, asyncio.CancelledError) as error:
            # There is no response by which the client would delete what is in its own storages.
            if done and not request.check_only:
                restoring = self._pipeline.run(store.unused_results.restore(done), current_call.get())
                if isinstance(error, StoreUnavailableError):
                    await asyncio.wrap_future(restoring)
            raise
        return result_pb2.DropUnusedResultsResponse(results=map(_render_unused, done))

    async def _delete(self, digests: Collection[str], written_before: float) -> tuple[set[str], set[str]]:
        """Delete files; return the SHA-256 values of those that are gone, and of those written too late.

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
        """Return a piece of a result."""
        digest = request.location.removeprefix(SERVICE_SCHEME)
        if not (request.location.startswith(SERVICE_SCHEME) and is_digest(digest)):
            right = f"{SERVICE_SCHEME} and 64 lower-case hexadecimal digits"
            raise valid.invalid("location", request.location, right)
        offset = valid.number("offset", request.offset, 0, _MAX_OFFSET)
        length = valid.number("max_bytes", request.max_bytes, 0, MAX_CHUNK) or _DEFAULT_CHUNK
        chunk, size = await self._results.download(digest, offset, length, _caller())
        return result_pb2.DownloadResultResponse(chunk=chunk, size=size)


def _caller() -> Caller | None:
    """Return the client whose call is served, which has a share of the storage; None within the process."""
    call = current_call.get()
    return None if call is None else call.caller


def _age(request: result_pb2.ListUnusedResultsRequest | result_pb2.DropUnusedResultsRequest) -> int:
    """Return how old a state must be, in microseconds."""
    return (
        valid.duration("older_than", request.older_than) if request.HasField("older_than") else _DEFAULT_AGE
    )


def _place(page: Page) -> tuple[int, store.unused_results.Position] | None:
    """Return the time that a page is about, and where the page before ended; None for the first page.

    Raises:
        InvalidArgumentError: Its token has no such place.
    """
    if not page.after:
        return None
    found = _PLACE.fullmatch(page.after)
    if found is None:
        raise page.bad_token()
    return int(found[1]), (int(found[2]), found[3])


def _render_unused(result: store.unused_results.UnusedResult) -> result_pb2.UnusedResult:
    reference = result.reference
    return result_pb2.UnusedResult(
        state_id=reference.state_id,
        location=reference.location,
        size=reference.size,
        cache_key=reference.cache_key,
        created=render.timestamp(reference.created),
        sha256=result.digest,
    )

"""Deleting orphaned results: those that only ended cache entries referenced."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from google.protobuf.duration_pb2 import Duration

from clearway._base.locations import digest_in
from clearway._base.settings import get_settings
from clearway._base.timestamps import duration_to_proto, timestamp_from_proto
from clearway._results.known_storages import configured_places, place_of, why_foreign
from clearway._results.service_storage import ServiceStorage
from clearway._results.storage import Leftover, Storage
from clearway._results.storages import storage_for
from clearway._transport.current import connect
from clearway._transport.rpcs import DROP_ORPHANED_RESULTS, LIST_ORPHANED_RESULTS
from clearway.exceptions import ServerUnavailable
from clearway.v1.result_pb2 import DropOrphanedResultsRequest, ListOrphanedResultsRequest
from clearway.v1.result_pb2 import OrphanedResult as OrphanMessage

_log = logging.getLogger("clearway.results")
_PAGE = 1_000  # as many as one call may list
_DROPPED_AT_ONCE = 500
_UNFINISHED_SECONDS = 24 * 3600.0  # no writer takes so long


@dataclass(frozen=True, slots=True)
class OrphanedResult:
    """An orphaned result, which no run can be served any more, or a killed writer's unfinished file.

    Or a storage that could not be searched for unfinished files: ``is_storage``.

    Attributes:
        location: Its path or URL. It came from a client of the service: show it, and open nothing by it.
        size: Its bytes, as its state says.
        cache_key: The key of the cache entry that it was served by; empty for an unfinished file.
        created: When its run completed, or when the unfinished file was last written.
        problem: Why it could not be deleted; empty where it was, or was not to be.
        left_alone: Why it is not this process's to delete; empty where it is. It stays listed.
        is_storage: Whether it is a storage that could not be searched for unfinished files; nothing of it
            was to be deleted, and ``problem`` is why it could not be searched. False by default.
    """

    location: str
    size: int
    cache_key: str
    created: datetime
    problem: str = ""
    left_alone: str = ""
    is_storage: bool = False


class _Deletable(NamedTuple):
    message: OrphanMessage
    storage: Storage
    digest: str


def delete_orphaned_results(
    older_than: timedelta = timedelta(days=1), *, dry_run: bool = False
) -> Iterator[OrphanedResult]:
    """Delete the results of cached tasks whose entries were deleted, replaced or have expired.

    What a live entry, a younger state, or a run without a cache key references as well is left alone; so is
    what was written again in the younger half of ``older_than``, for a run that may be about to complete. The
    runs keep their states; reading the result of one of them raises ``MissingResult`` from then on.

    A result is deleted by its SHA-256 within a storage that this process is configured with, and nowhere
    else: the settings ``CLEARWAY_RESULT_STORAGE``, ``CLEARWAY_LOCAL_STORAGE_PATH`` and
    ``CLEARWAY_RESULT_EXTRA_STORAGES``, the ``result_storage`` of this process's flows and tasks, and the
    service's own. Links are not followed. What has another location is left alone, and yielded with the
    reason.

    Files that killed writers left unfinished in these storages are deleted as well, when they are older than
    a day.

    Args:
        older_than: How old a state must be for its result to be deleted. From 0, which is for when no flow
            runs.
        dry_run: Delete nothing.

    Yields:
        What was deleted, or would be, the oldest first, each file once; what could not be, with its
        ``problem``; what was ``left_alone``. Unfinished files come last, with the storages that could not be
        searched for them (``is_storage``).

    Raises:
        InvalidArgument: ``older_than`` is negative.
        ServerUnavailable: The service cannot be reached.
    """
    seen: set[tuple[str, bool]] = set()
    for result in _orphans(older_than, dry_run=dry_run):
        key = result.location, bool(result.left_alone)
        if key not in seen:
            seen.add(key)
            yield result
    yield from _unfinished(dry_run=dry_run)


def _orphans(older_than: timedelta, *, dry_run: bool) -> Iterator[OrphanedResult]:
    """Yield what becomes of all orphaned results; several states may have one of them."""
    age = duration_to_proto(older_than)
    transport = connect()
    written_before = time.time() - older_than.total_seconds() / 2  # half, as clocks differ
    token = ""
    while True:
        request = ListOrphanedResultsRequest(older_than=age, page_size=_PAGE, page_token=token)
        page = LIST_ORPHANED_RESULTS.start(transport, request).result()
        deletable: list[_Deletable] = []
        for result in page.results:
            found = _examined(result)
            if isinstance(found, OrphanedResult):
                yield found
            elif dry_run:
                yield _result(result)
            else:
                deletable.append(found)
        for chosen in _batches(deletable):
            own = isinstance(chosen[0].storage, ServiceStorage)
            try:
                orphaned = _drop(chosen, age, check_only=not own)
            except ServerUnavailable as error:
                yield from (_failed(it.message, error) for it in chosen)
                continue
            results = [(it, _deleted(it, written_before)) for it in orphaned]
            gone = [it for it, result in results if result is not None and not result.problem]
            if gone and not own:
                _forget(gone, age)
            yield from (result for _, result in results if result is not None)
        token = page.next_page_token
        if not token:
            return


def _examined(message: OrphanMessage) -> _Deletable | OrphanedResult:
    """Return where a result is to be deleted, or why it is not."""
    settings = get_settings()
    digest = message.sha256 or digest_in(message.location)  # early states have no SHA-256
    place = place_of(message.location, digest, settings)
    if place is None:
        return _result(message, left_alone=f"it {why_foreign(message.location, digest, settings)}")
    storage = storage_for(place)
    try:
        storage.check_deletable(digest)
    except OSError as error:
        return _failed(message, error)
    return _Deletable(message, storage, digest)


def _batches(deletable: list[_Deletable]) -> Iterator[list[_Deletable]]:
    """Yield what is dropped in one call: the service's own results, which it deletes, apart from others."""
    for own in (True, False):
        chosen = [it for it in deletable if isinstance(it.storage, ServiceStorage) is own]
        for first in range(0, len(chosen), _DROPPED_AT_ONCE):
            yield chosen[first : first + _DROPPED_AT_ONCE]


def _drop(chosen: list[_Deletable], age: Duration, *, check_only: bool = False) -> list[_Deletable]:
    """Have the service forget results, or only check them; return those that it still took for orphaned."""
    by_id = {it.message.state_id: it for it in chosen}
    request = DropOrphanedResultsRequest(state_ids=list(by_id), older_than=age, check_only=check_only)
    response = DROP_ORPHANED_RESULTS.start(connect(), request).result()
    return [by_id[result.state_id] for result in response.results if result.state_id in by_id]


def _forget(gone: list[_Deletable], age: Duration) -> None:
    """Have the service forget results whose files are deleted: last, so that an interruption loses none."""
    try:
        _drop(gone, age)
    except ServerUnavailable as error:
        _log.warning("%d deleted results stay listed until the next time: %s", len(gone), error)


def _deleted(it: _Deletable, written_before: float) -> OrphanedResult | None:
    """Delete a result; return what became of it, None where it was written too late to be deleted."""
    try:
        return _result(it.message) if it.storage.delete(it.digest, written_before) else None
    except OSError as error:
        return _failed(it.message, error)


def _unfinished(*, dry_run: bool) -> Iterator[OrphanedResult]:
    written_before = time.time() - _UNFINISHED_SECONDS
    for place in configured_places(get_settings()):
        try:
            for leftover in storage_for(place).sweep(written_before, dry_run=dry_run):
                yield _unfinished_file(leftover)
        except OSError as error:
            yield OrphanedResult(place, 0, "", datetime.now(UTC), problem=str(error), is_storage=True)


def _unfinished_file(leftover: Leftover) -> OrphanedResult:
    modified = datetime.fromtimestamp(leftover.modified or time.time(), UTC)
    return OrphanedResult(leftover.location, leftover.size, "", modified, leftover.problem)


def _failed(message: OrphanMessage, error: OSError) -> OrphanedResult:
    _log.warning("the orphaned result %s could not be deleted: %s", message.location, error)
    return _result(message, problem=error.strerror or str(error))


def _result(message: OrphanMessage, *, problem: str = "", left_alone: str = "") -> OrphanedResult:
    created = timestamp_from_proto(message.create_time)
    return OrphanedResult(
        message.location, message.size_bytes, message.cache_key, created, problem, left_alone
    )

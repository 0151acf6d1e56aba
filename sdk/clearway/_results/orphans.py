"""Deletes orphaned results: those that were referenced only by cache entries which no longer exist."""

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
_PAGE = 1_000  # the most that one call may list
_DROPPED_AT_ONCE = 500
_UNFINISHED_SECONDS = 24 * 3600.0  # no writer takes this long


@dataclass(frozen=True, slots=True)
class OrphanedResult:
    """An orphaned result, or an unfinished file that a killed writer left behind.

    With ``is_storage``, it is neither, but a storage that could not be searched for unfinished files.

    Attributes:
        location: The path or URL. It was reported by a client of the service, so show it but never open it.
        size: The size in bytes, as the run's state gives it.
        cache_key: The key of the cache entry that referenced the result; empty for an unfinished file.
        created: When the result's run completed, or when the unfinished file was last written.
        problem: Why it could not be deleted; empty if it was deleted, or with ``dry_run``.
        left_alone: Why this process must not delete it; empty if it may. The service keeps listing it.
        is_storage: True if this is a storage that could not be searched for unfinished files; ``problem`` is
            then the reason. Default False.
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
    """Delete the results of cached tasks whose cache entries were deleted, were replaced or have expired.

    A result is kept if a live cache entry, a state younger than ``older_than`` or a run without a cache key
    references it too. It is also kept if it was written again within the last half of ``older_than``, because
    a run that is about to complete may need it. The runs keep their states; reading a deleted result raises
    ``MissingResult``.

    Results are only deleted in storages that this process is configured with: the settings
    ``CLEARWAY_RESULT_STORAGE``, ``CLEARWAY_LOCAL_STORAGE_PATH`` and ``CLEARWAY_RESULT_EXTRA_STORAGES``, the
    ``result_storage`` options of this process's flows and tasks, and the service's own storage. Links are not
    followed. A result with any other location is left alone and yielded with the reason.

    Unfinished files that killed writers left in these storages are deleted too if they are older than a day.

    Args:
        older_than: The minimum age of a run's state for its result to be deleted; default one day. Zero is
            only safe while no flow is running.
        dry_run: True deletes nothing. Default False.

    Yields:
        Every result that was deleted, or would be, each file once, oldest first; those that could not be
        deleted, with their ``problem``; and those that were ``left_alone``. Unfinished files come last, with
        the storages that could not be searched for them (``is_storage``).

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
    """Delete all orphaned results and yield each outcome; one result may be yielded for several states."""
    age = duration_to_proto(older_than)
    transport = connect()
    written_before = time.time() - older_than.total_seconds() / 2  # half, because clocks differ
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
    """Return where a result can be deleted, or else why it cannot."""
    settings = get_settings()
    digest = message.sha256 or digest_in(message.location)  # states of early versions have no SHA-256
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
    """Yield the results to drop in each call; the service deletes its own, so they get calls of their own."""
    for own in (True, False):
        chosen = [it for it in deletable if isinstance(it.storage, ServiceStorage) is own]
        for first in range(0, len(chosen), _DROPPED_AT_ONCE):
            yield chosen[first : first + _DROPPED_AT_ONCE]


def _drop(chosen: list[_Deletable], age: Duration, *, check_only: bool = False) -> list[_Deletable]:
    """Make the service forget results, or only check them; return those that it still considers orphaned."""
    by_id = {it.message.state_id: it for it in chosen}
    request = DropOrphanedResultsRequest(state_ids=list(by_id), older_than=age, check_only=check_only)
    response = DROP_ORPHANED_RESULTS.start(connect(), request).result()
    return [by_id[result.state_id] for result in response.results if result.state_id in by_id]


def _forget(gone: list[_Deletable], age: Duration) -> None:
    """Make the service forget results after their files are deleted, so that an interruption loses none."""
    try:
        _drop(gone, age)
    except ServerUnavailable as error:
        _log.warning("%d deleted results will be listed again next time: %s", len(gone), error)


def _deleted(it: _Deletable, written_before: float) -> OrphanedResult | None:
    """Delete a result and return the outcome, or None if it was written too recently to be deleted."""
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

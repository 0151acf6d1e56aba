"""Deleting results that only ended cache entries spoke of."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from clearway._base.timestamps import duration_to_proto, timestamp_from_proto
from clearway._results.storages import storage_for
from clearway._transport.current import connect
from clearway._transport.rpcs import DROP_UNUSED_RESULTS, LIST_UNUSED_RESULTS
from clearway.v1.result_pb2 import DropUnusedResultsRequest, ListUnusedResultsRequest
from clearway.v1.result_pb2 import UnusedResult as UnusedResultMessage

_log = logging.getLogger("clearway.results")
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class UnusedResult:
    """A result in a storage that nobody can be served any more.

    Attributes:
        location: Its path or URL.
        size: Its bytes.
        cache_key: The key of the cache entry that it was served by.
        created: When its run completed.
        problem: Why it could not be deleted; empty where it was, or was not to be.
    """

    location: str
    size: int
    cache_key: str
    created: datetime
    problem: str = ""


def delete_unused_results(
    older_than: timedelta = timedelta(days=1), *, dry_run: bool = False
) -> Iterator[UnusedResult]:
    """Delete the results of cached tasks whose entries were deleted, replaced or have expired.

    What a live entry, a younger state, or a run without a cache key speaks of as well is left alone; so is
    what was written again in the younger half of ``older_than``, for a run that may be about to complete.
    The runs keep their states; reading the result of one of them raises ``MissingResult`` from then on.

    Args:
        older_than: How old a state must be for its result to be deleted. From 0, which is for when no flow
            runs.
        dry_run: Delete nothing.

    Yields:
        What was deleted, or would be, the oldest first, each file once.

    Raises:
        InvalidArgument: ``older_than`` is negative.
        ServerUnavailable: The service cannot be reached.
    """
    age = duration_to_proto(older_than)
    transport = connect()
    limit = 10 * _PAGE if dry_run else _PAGE
    written_before = time.time() - older_than.total_seconds() / 2  # half, as clocks differ
    seen: set[str] = set()
    while True:
        request = ListUnusedResultsRequest(older_than=age, limit=limit)
        unused = list(LIST_UNUSED_RESULTS.start(transport, request).result().results)
        if dry_run or not unused:
            for result in unused:
                if result.location not in seen:
                    seen.add(result.location)
                    yield _result(result)
            return
        ids = [result.state_id for result in unused]
        dropping = DropUnusedResultsRequest(state_ids=ids, older_than=age)
        dropped = DROP_UNUSED_RESULTS.start(transport, dropping).result().results
        if not dropped:
            return
        for result in dropped:
            if result.location in seen:
                continue
            seen.add(result.location)
            try:
                if storage_for(result.location).delete(result.location, written_before):
                    yield _result(result)
            except OSError as error:
                _log.warning("the unused result %s could not be deleted: %s", result.location, error)
                yield _result(result, str(error))


def _result(message: UnusedResultMessage, problem: str = "") -> UnusedResult:
    created = timestamp_from_proto(message.created)
    return UnusedResult(message.location, message.size, message.cache_key, created, problem)

"""What a client asks of the cache beside one look-up: lists, sums, and that entries are removed."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from clearway._base.timestamps import duration_to_proto, timestamp_to_proto
from clearway._client.operations import Call, Operation, pages
from clearway.context import checked_tags
from clearway.schemas import CacheEntry, CacheStats, CacheSummary
from clearway.v1 import cache_pb2


def read_cache_entries(  # noqa: D417 - the filters are described together
    *,
    key: str = "",
    key_prefix: str = "",
    task: str = "",
    tags: Iterable[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    older_than: timedelta | None = None,
    expired: bool | None = None,
    limit: int | None = 200,
) -> Operation[list[CacheEntry]]:
    """Return cache entries, the newest first. All that is given must hold; of ``tags``, all.

    ``task`` is a task's key or its name; ``older_than`` counts by the service's clock. Expired entries are
    there until they are swept; results that travel within their states are left out, see ``lookup_cache``.

    Args:
        limit: How many at most; None for all.
    """
    selection = _filter(key, key_prefix, task, tags, created_after, created_before, older_than, expired)
    request = cache_pb2.ListCacheEntriesRequest(filter=selection)
    found = yield from pages("ListCacheEntries", request, "entries", limit)
    return [CacheEntry.from_proto(message) for message in found]


def invalidate_cache(  # noqa: D417 - the filters are described together
    *,
    key: str = "",
    key_prefix: str = "",
    task: str = "",
    tags: Iterable[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    older_than: timedelta | None = None,
    expired: bool | None = None,
    all: bool = False,  # noqa: A002 - it is what one says
    dry_run: bool = False,
) -> Operation[int]:
    """Remove cache entries, so that the next runs with their keys run. The filters are as in the list.

    Args:
        all: Remove every entry; instead of a filter.
        dry_run: Only count.

    Returns:
        How many were removed, or would be.

    Raises:
        InvalidArgument: Nothing says which entries, or a filter was given as well as ``all``.
    """
    selection = _filter(key, key_prefix, task, tags, created_after, created_before, older_than, expired)
    request = cache_pb2.InvalidateCacheRequest(filter=selection, all=all, dry_run=dry_run)
    response = yield Call("InvalidateCache", request)
    return int(response.count)


def read_cache_stats() -> Operation[CacheSummary]:
    """Return how much the cache holds and serves, by task, and how much is being computed."""
    response = yield Call("GetCacheStats", cache_pb2.GetCacheStatsRequest())
    tasks = yield from pages("ListTaskCacheStats", cache_pb2.ListTaskCacheStatsRequest(), "tasks", None)
    return CacheSummary(
        total=CacheStats.from_proto(response.total),
        tasks=tuple(CacheStats.of_task(message) for message in tasks),
        computing=response.computing_count,
        waiting=response.waiting_count,
    )


def _filter(
    key: str,
    key_prefix: str,
    task: str,
    tags: Iterable[str],
    created_after: datetime | None,
    created_before: datetime | None,
    older_than: timedelta | None,
    expired: bool | None,
) -> cache_pb2.CacheFilter:
    """Return the message of a filter.

    Raises:
        TypeError: Something in it is of the wrong kind, such as one string for the tags.
        ValueError: A time has no time zone, or a tag is none.
    """
    for name, text in (("key", key), ("key_prefix", key_prefix), ("task", task)):
        if not isinstance(text, str):
            raise TypeError(f"{name} is {text!r}; it must be a string")
    for name, at in (("created_after", created_after), ("created_before", created_before)):
        if at is not None and not isinstance(at, datetime):
            raise TypeError(f"{name} is {at!r}; it must be a datetime with a time zone")
        if at is not None and at.utcoffset() is None:
            raise ValueError(
                f"{name} is {at!r}; it must have a time zone, such as datetime.now(timezone.utc)"
            )
    if older_than is not None and not isinstance(older_than, timedelta):
        raise TypeError(f"older_than is {older_than!r}; it must be a timedelta")
    return cache_pb2.CacheFilter(
        key=key,
        key_prefix=key_prefix,
        task=task,
        tags=sorted(checked_tags(tags if isinstance(tags, str) else tuple(tags))),
        created_after=None if created_after is None else timestamp_to_proto(created_after),
        created_before=None if created_before is None else timestamp_to_proto(created_before),
        older_than=None if older_than is None else duration_to_proto(older_than),
        expired=expired,
    )

"""The client's cache operations: listing and removing entries, and statistics."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from clearway._base.timestamps import duration_to_proto, timestamp_to_proto
from clearway._client.operations import Call, Operation, pages
from clearway.context import checked_tags
from clearway.schemas import CacheEntry, CacheStats, CacheSummary
from clearway.v1 import cache_pb2


def read_cache_entries(
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
    """Return the cache entries that match all given filters, newest first.

    Expired entries are included until the service deletes them. The entries' states come without results
    that are stored in the state itself; ``lookup_cache`` returns these too.

    Args:
        key: Entries with this cache key.
        key_prefix: Entries whose key starts with this.
        task: Entries written by the task with this key or name.
        tags: Entries written by runs that have all of these tags.
        created_after: Entries written at or after this time, which must have a time zone.
        created_before: Entries written before this time, which must have a time zone.
        older_than: Entries written at least this long ago, by the service's clock.
        expired: True for expired entries only, False for live ones only; None, the default, for both.
        limit: The maximum number of entries; default 200. None returns all.

    Raises:
        TypeError: A filter has the wrong type.
        ValueError: A time has no time zone, or a tag is not valid.
        InvalidArgument: The service does not allow a filter's value.
    """
    selection = _filter(key, key_prefix, task, tags, created_after, created_before, older_than, expired)
    request = cache_pb2.ListCacheEntriesRequest(filter=selection)
    found = yield from pages("ListCacheEntries", request, "entries", limit)
    return [CacheEntry.from_proto(message) for message in found]


def invalidate_cache(
    *,
    key: str = "",
    key_prefix: str = "",
    task: str = "",
    tags: Iterable[str] = (),
    created_after: datetime | None = None,
    created_before: datetime | None = None,
    older_than: timedelta | None = None,
    expired: bool | None = None,
    all: bool = False,  # noqa: A002 - the natural name
    dry_run: bool = False,
) -> Operation[int]:
    """Remove the cache entries that match all given filters, so that the next runs with their keys run again.

    Args:
        key: Entries with this cache key.
        key_prefix: Entries whose key starts with this.
        task: Entries written by the task with this key or name.
        tags: Entries written by runs that have all of these tags.
        created_after: Entries written at or after this time, which must have a time zone.
        created_before: Entries written before this time, which must have a time zone.
        older_than: Entries written at least this long ago, by the service's clock.
        expired: True for expired entries only, False for live ones only; None, the default, for both.
        all: True removes every entry; it cannot be combined with a filter. Default False.
        dry_run: True only counts the entries. Default False.

    Returns:
        How many entries were removed, or would be.

    Raises:
        TypeError: A filter has the wrong type.
        ValueError: A time has no time zone, or a tag is not valid.
        InvalidArgument: There is neither a filter nor ``all``, or there are both.
    """
    selection = _filter(key, key_prefix, task, tags, created_after, created_before, older_than, expired)
    request = cache_pb2.InvalidateCacheRequest(filter=selection, all=all, dry_run=dry_run)
    response = yield Call("InvalidateCache", request)
    return int(response.count)


def read_cache_stats() -> Operation[CacheSummary]:
    """Return statistics of the cache: entries, hits and sizes by task, and how much is being computed."""
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
    """Return a filter as a protocol message, after checking it.

    Raises:
        TypeError: A filter has the wrong type, such as a single string for the tags.
        ValueError: A time has no time zone, or a tag is not valid.
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

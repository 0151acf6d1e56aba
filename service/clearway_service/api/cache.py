"""RPCs about the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clearway.v1 import cache_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.pages import Page, pair
from clearway_service.api.parsing import microseconds, parse_tags
from clearway_service.store.rows import task_run_from

# How many entries are removed in one transaction, at most, so that others run in between.
_REMOVED = 1_000


class CacheHandlers(Handlers):
    """RPCs about the cache."""

    async def LookupCache(  # noqa: N802 - the RPC's name
        self, request: cache_pb2.LookupCacheRequest
    ) -> cache_pb2.LookupCacheResponse:
        """Return the live entry of a key, if there is one."""
        rows = await self._read(store.cache.select_entry(request.key, self._clock()))
        if not rows:
            return cache_pb2.LookupCacheResponse()
        return cache_pb2.LookupCacheResponse(entry=_render(rows[0]))

    async def ListCacheEntries(  # noqa: N802
        self, request: cache_pb2.ListCacheEntriesRequest
    ) -> cache_pb2.ListCacheEntriesResponse:
        """Return a page of entries, newest first."""
        now, page = self._clock(), Page.of(request)
        query = store.cache.select_page(_parse(request.filter, now), now, page.after_pair, page.size + 1)
        entries, token = await self._read_list(query, page, _listed, _place)
        return cache_pb2.ListCacheEntriesResponse(entries=entries, next_page_token=token)

    async def InvalidateCache(  # noqa: N802
        self, request: cache_pb2.InvalidateCacheRequest
    ) -> cache_pb2.InvalidateCacheResponse:
        """Remove entries, or count those that would be removed."""
        now = self._clock()
        wanted = _parse(request.filter, now)
        # Entries written meanwhile are not removed, or this might never finish.
        before = now + 1 if wanted.created_before is None else min(wanted.created_before, now + 1)
        wanted = replace(wanted, created_before=before)
        if request.dry_run:
            counted = await self._read(store.cache.select_count(wanted, now))
            return cache_pb2.InvalidateCacheResponse(count=counted[0][0])
        count = removed = await self._run(store.cache.invalidate(wanted, _REMOVED))
        while removed == _REMOVED:
            removed = await self._run(store.cache.invalidate(wanted, _REMOVED))
            count += removed
        return cache_pb2.InvalidateCacheResponse(count=count)

    async def GetCacheStats(  # noqa: N802
        self, request: cache_pb2.GetCacheStatsRequest
    ) -> cache_pb2.GetCacheStatsResponse:
        """Return statistics of the whole cache."""
        del request
        total = await self._read(store.cache.select_total(self._clock()))
        task_count = (await self._read(store.cache.select_task_count()))[0][0]
        computing, waiting = (await self._read(store.cache.select_in_flight()))[0]
        return cache_pb2.GetCacheStatsResponse(
            total=_stats(total[0]),
            task_count=task_count,
            computing_count=computing,
            waiting_count=waiting,
        )

    async def ListTaskCacheStats(  # noqa: N802
        self, request: cache_pb2.ListTaskCacheStatsRequest
    ) -> cache_pb2.ListTaskCacheStatsResponse:
        """Return a page of cache statistics by task."""
        page = Page.of(request)
        query = store.cache.select_task_stats(self._clock(), page.after_pair, page.size + 1)
        tasks, token = await self._read_list(query, page, _task_stats, _task_place)
        return cache_pb2.ListTaskCacheStatsResponse(tasks=tasks, next_page_token=token)


def _entry(row: Sequence[Any]) -> store.cache.EntryRow:
    return store.cache.EntryRow(*row[: len(store.cache.EntryRow._fields)])


def _render(row: Sequence[Any]) -> cache_pb2.CacheEntry:
    entry = _entry(row)
    run, progress = task_run_from(row[len(entry) :])
    return cache_pb2.CacheEntry(
        key=entry.key,
        state=render.render_state(progress.state, run),
        create_time=render.timestamp(entry.created),
        expire_time=render.optional_timestamp(entry.expires),
        hit_count=entry.hits,
        last_hit_time=render.optional_timestamp(entry.last_hit),
        size_bytes=entry.size,
        task_key=run.task_key,
        task_name=run.task_name,
        task_run_id=run.id,
        task_run_name=run.name,
        flow_run_id=run.flow_run_id,
        tags=run.tags,
    )


def _listed(row: Sequence[Any]) -> cache_pb2.CacheEntry:
    entry = _render(row)
    if entry.state.HasField("data"):
        entry.state.data.ClearField("inline")
    return entry


def _stats(row: Sequence[Any]) -> cache_pb2.CacheStats:
    sums = store.cache.StatsRow(*row)
    return cache_pb2.CacheStats(
        entry_count=sums.entries,
        expired_count=sums.expired,
        hit_count=sums.hits,
        size_bytes=sums.size,
        oldest_create_time=render.optional_timestamp(sums.oldest),
        newest_create_time=render.optional_timestamp(sums.newest),
    )


def _task_stats(row: Sequence[Any]) -> cache_pb2.TaskCacheStats:
    task_key, task_name, *sums = row
    return cache_pb2.TaskCacheStats(task_key=task_key, task_name=task_name, stats=_stats(sums))


def _task_place(row: Sequence[Any]) -> str:
    task_key, _name, *sums = row
    return pair(store.cache.StatsRow(*sums).entries, task_key)


def _place(row: Sequence[Any]) -> str:
    entry = _entry(row)
    return pair(entry.created, entry.key)


def _parse(wanted: cache_pb2.CacheFilter, now: int) -> store.cache.CacheFilter:
    before = microseconds(wanted.created_before) if wanted.HasField("created_before") else None
    if wanted.HasField("older_than"):
        # The bound is exclusive, so an entry of exactly this age is included.
        then = now - microseconds(wanted.older_than) + 1
        before = then if before is None else min(before, then)
    return store.cache.CacheFilter(
        key=wanted.key,
        key_prefix=wanted.key_prefix,
        task=wanted.task,
        tags=parse_tags(wanted.tags),
        created_after=microseconds(wanted.created_after) if wanted.HasField("created_after") else None,
        created_before=before,
        expired=wanted.expired if wanted.HasField("expired") else None,
    )

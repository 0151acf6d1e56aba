"""RPCs about the cache."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from clearway.v1 import cache_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api import validation as valid
from clearway_service.api.base import Handlers
from clearway_service.api.pages import Page, pair
from clearway_service.errors import InvalidArgumentError
from clearway_service.store.rows import task_run_from

# At most this many entries are removed in one transaction, between which others go on.
_REMOVED = 1_000
# Sums are returned for at most so many tasks.
_MOST_TASKS = 1_000


class CacheHandlers(Handlers):
    """RPCs about the cache."""

    async def LookupCache(  # noqa: N802 - the RPC's name
        self, request: cache_pb2.LookupCacheRequest
    ) -> cache_pb2.LookupCacheResponse:
        """Answer the live entry of a key, where there is one."""
        key = valid.required_text("key", request.key, valid.MAX_CACHE_KEY)
        rows = await self._read(store.cache.select_entry(key, self._clock()))
        if not rows:
            return cache_pb2.LookupCacheResponse()
        return cache_pb2.LookupCacheResponse(entry=_render(rows[0]))

    async def ListCacheEntries(  # noqa: N802
        self, request: cache_pb2.ListCacheEntriesRequest
    ) -> cache_pb2.ListCacheEntriesResponse:
        """Answer a page of entries, the newest first."""
        now, page = self._clock(), Page.of(request)
        query = store.cache.select_page(_parse(request.filter, now), now, page.after_pair, page.size + 1)
        entries, token = await self._read_list(query, page, _listed, _place)
        return cache_pb2.ListCacheEntriesResponse(entries=entries, next_page_token=token)

    async def InvalidateCache(  # noqa: N802
        self, request: cache_pb2.InvalidateCacheRequest
    ) -> cache_pb2.InvalidateCacheResponse:
        """Remove entries, or count those that would be."""
        now = self._clock()
        wanted = _parse(request.filter, now)
        nothing = store.cache.CacheFilter()
        if wanted == nothing and not request.all:
            raise valid.missing(
                "filter", "something that says which entries; or set `all` to remove every one"
            )
        if wanted != nothing and request.all:
            raise InvalidArgumentError("filter and all are both set; set the one that is meant", "all")
        # Not what is written while this goes on: it would otherwise have no end.
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
        """Say how much the cache holds and serves."""
        del request
        now = self._clock()
        total = await self._read(store.cache.select_total(now))
        tasks = await self._read_fitting(
            store.cache.select_stats(now), lambda row: _stats(store.cache.StatsRow(*row)), _MOST_TASKS
        )
        task_count = (await self._read(store.cache.select_task_count()))[0][0]
        computing, waiting = (await self._read(store.cache.select_in_flight()))[0]
        return cache_pb2.GetCacheStatsResponse(
            total=_stats(store.cache.StatsRow("", "", *total[0])),
            tasks=tasks.items,
            task_count=task_count,
            computing=computing,
            waiting=waiting,
        )


def _entry(row: Sequence[Any]) -> store.cache.EntryRow:
    return store.cache.EntryRow(*row[: len(store.cache.EntryRow._fields)])


def _render(row: Sequence[Any]) -> cache_pb2.CacheEntry:
    entry = _entry(row)
    run, progress = task_run_from(row[len(entry) :])
    return cache_pb2.CacheEntry(
        key=entry.key,
        state=render.render_state(progress.state, run),
        created=render.timestamp(entry.created),
        expires=render.optional_timestamp(entry.expires),
        hits=entry.hits,
        last_hit=render.optional_timestamp(entry.last_hit),
        size=entry.size,
        task_key=run.task_key,
        task_name=entry.task_name,
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


def _stats(row: store.cache.StatsRow) -> cache_pb2.CacheStats:
    return cache_pb2.CacheStats(
        task_key=row.task_key,
        task_name=row.task_name,
        entries=row.entries,
        expired=row.expired,
        hits=row.hits,
        size=row.size,
        oldest=render.optional_timestamp(row.oldest),
        newest=render.optional_timestamp(row.newest),
    )


def _place(row: Sequence[Any]) -> str:
    entry = _entry(row)
    return pair(entry.created, entry.key)


def _parse(wanted: cache_pb2.CacheFilter, now: int) -> store.cache.CacheFilter:
    before = (
        valid.timestamp("filter.created_before", wanted.created_before)
        if wanted.HasField("created_before")
        else None
    )
    if wanted.HasField("older_than"):
        # Written at least so long ago: a microsecond more than then is too late.
        then = now - valid.duration("filter.older_than", wanted.older_than) + 1
        before = then if before is None else min(before, then)
    return store.cache.CacheFilter(
        key=valid.key("filter.key", wanted.key, valid.MAX_CACHE_KEY),
        key_prefix=valid.key("filter.key_prefix", wanted.key_prefix, valid.MAX_CACHE_KEY),
        task=valid.key("filter.task", wanted.task, valid.MAX_NAME),
        tags=valid.tags("filter.tags", wanted.tags),
        created_after=(
            valid.timestamp("filter.created_after", wanted.created_after)
            if wanted.HasField("created_after")
            else None
        ),
        created_before=before,
        expired=wanted.expired if wanted.HasField("expired") else None,
    )

"""RPCs about the cache."""

from __future__ import annotations

from clearway.v1 import cache_pb2
from clearway_service.core.runs import TaskRunSpec
from clearway_service.core.states import State
from clearway_service.handlers import rendering as render
from clearway_service.handlers import validation as valid
from clearway_service.handlers.base import Handlers
from clearway_service.store.queries import select_cache_entry
from clearway_service.store.rows import task_run_from


class CacheHandlers(Handlers):
    """RPCs about the cache."""

    async def LookupCache(  # noqa: N802 - the RPC's name
        self, request: cache_pb2.LookupCacheRequest
    ) -> cache_pb2.LookupCacheResponse:
        """Answer the live entry of a key, where there is one."""
        key = valid.required_text("key", request.key, valid.MAX_CACHE_KEY)
        rows = await self._read(select_cache_entry(key, self._clock()))
        if not rows:
            return cache_pb2.LookupCacheResponse()
        created, expires, *columns = rows[0]
        run: TaskRunSpec
        run, progress = task_run_from(columns)
        state: State = progress.state
        entry = cache_pb2.CacheEntry(
            key=key,
            state=render.render_state(state, run),
            created=render.timestamp(created),
            expires=render.optional_timestamp(expires),
        )
        return cache_pb2.LookupCacheResponse(entry=entry)

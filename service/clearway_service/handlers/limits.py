"""RPCs about concurrency limits."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from clearway.v1 import concurrency_limit_pb2
from clearway_service import store
from clearway_service.errors import LimitNotFoundError
from clearway_service.handlers import rendering as render
from clearway_service.handlers import validation as valid
from clearway_service.handlers.base import Handlers, text_token, token_text

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

MAX_LIMIT = 1_000_000


class LimitHandlers(Handlers):
    """RPCs about concurrency limits."""

    async def CreateConcurrencyLimit(  # noqa: N802 - the RPC's name
        self, request: concurrency_limit_pb2.CreateConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.CreateConcurrencyLimitResponse:
        """Set the limit of a tag."""
        tag = valid.tag("tag", request.tag)
        if not request.HasField("limit"):
            raise valid.missing("limit", f"from 0 to {MAX_LIMIT}")
        slots = valid.number("limit", request.limit, 0, MAX_LIMIT)
        limit, holders, previous = await self._run(store.limits.set_limit(tag, slots))
        return concurrency_limit_pb2.CreateConcurrencyLimitResponse(
            concurrency_limit=render.render_limit(limit, holders), previous_limit=previous
        )

    async def GetConcurrencyLimitByTag(  # noqa: N802
        self, request: concurrency_limit_pb2.GetConcurrencyLimitByTagRequest
    ) -> concurrency_limit_pb2.GetConcurrencyLimitByTagResponse:
        """Answer the limit of a tag."""
        tag = valid.tag("tag", request.tag)
        limit = await self._find(store.schema.concurrency_limit.c.tag == tag)
        if limit is None:
            raise store.limits.no_limit(tag)
        return concurrency_limit_pb2.GetConcurrencyLimitByTagResponse(concurrency_limit=limit)

    async def GetConcurrencyLimit(  # noqa: N802
        self, request: concurrency_limit_pb2.GetConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.GetConcurrencyLimitResponse:
        """Answer a limit by its id."""
        id_ = valid.required_id("id", request.id)
        limit = await self._find(store.schema.concurrency_limit.c.id == id_)
        if limit is None:
            raise LimitNotFoundError(f"no concurrency limit has the id {id_}", "id")
        return concurrency_limit_pb2.GetConcurrencyLimitResponse(concurrency_limit=limit)

    async def _find(self, which: ColumnElement[bool]) -> concurrency_limit_pb2.ConcurrencyLimit | None:
        """Return a limit with its holders and the head of its queue."""
        rows = await self._read(store.limits.select_limits().where(which))
        if not rows:
            return None
        limit = store.limits.LimitRow(*rows[0])
        holders = [
            store.slots.Holder(*row) for row in await self._read(store.slots.select_holders([limit.tag]))
        ]
        waiters = [
            store.slots.Waiting(*row) for row in await self._read(store.slots.select_waiting(limit.tag))
        ]
        rendered, moment = render.render_limit(limit, holders), self._clock.read()
        rendered.holders.extend(render.render_holder(holder, moment) for holder in holders)
        rendered.waiters.extend(
            render.render_waiter(waiter, position) for position, waiter in enumerate(waiters, start=1)
        )
        return rendered

    async def ListConcurrencyLimits(  # noqa: N802
        self, request: concurrency_limit_pb2.ListConcurrencyLimitsRequest
    ) -> concurrency_limit_pb2.ListConcurrencyLimitsResponse:
        """Answer a page of limits, sorted by tag."""
        size = valid.page_size(request.page_size)
        tag = store.schema.concurrency_limit.c.tag
        query = (
            store.limits.select_limits()
            .where(tag > token_text(request.page_token))
            .order_by(tag)
            .limit(size + 1)
        )
        rows = await self._read(query)
        limits = [store.limits.LimitRow(*row) for row in rows[:size]]
        holders = defaultdict(list)
        for row in await self._read(store.slots.select_holders([limit.tag for limit in limits])):
            holders[row[0]].append(store.slots.Holder(*row))
        return concurrency_limit_pb2.ListConcurrencyLimitsResponse(
            concurrency_limits=[render.render_limit(limit, holders[limit.tag]) for limit in limits],
            next_page_token=text_token(limits[-1].tag) if len(rows) > size else "",
        )

    async def DeleteConcurrencyLimitByTag(  # noqa: N802
        self, request: concurrency_limit_pb2.DeleteConcurrencyLimitByTagRequest
    ) -> concurrency_limit_pb2.DeleteConcurrencyLimitByTagResponse:
        """Remove the limit of a tag."""
        await self._run(store.limits.delete_limit(valid.tag("tag", request.tag)))
        return concurrency_limit_pb2.DeleteConcurrencyLimitByTagResponse()

    async def ResetConcurrencyLimitByTag(  # noqa: N802
        self, request: concurrency_limit_pb2.ResetConcurrencyLimitByTagRequest
    ) -> concurrency_limit_pb2.ResetConcurrencyLimitByTagResponse:
        """Take back all slots of a tag by force."""
        freed = await self._run(store.limits.reset_limit(valid.tag("tag", request.tag)))
        moment = self._clock.read()
        return concurrency_limit_pb2.ResetConcurrencyLimitByTagResponse(
            freed=[render.render_holder(holder, moment) for holder in freed]
        )

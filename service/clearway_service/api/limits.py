"""RPCs about concurrency limits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clearway.v1 import concurrency_limit_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api import validation as valid
from clearway_service.api.base import FRAMING_BYTES, MAX_ANSWER_BYTES, Handlers
from clearway_service.api.pages import Page, pair
from clearway_service.errors import LimitNotFoundError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clearway_service.store.slots import Holder

MAX_LIMIT = 1_000_000
# How much of an answer with one limit its holders may fill; the rest is for their ids and for the waiters.
_HOLDER_BYTES = MAX_ANSWER_BYTES // 2


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
        limit, active_slots, previous = await self._run(store.limits.set_limit(tag, slots))
        return concurrency_limit_pb2.CreateConcurrencyLimitResponse(
            concurrency_limit=render.render_limit(limit, active_slots), previous_limit=previous
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
        """Return a limit with the first of its holders and the head of its queue."""
        rows = await self._read(store.limits.select_limits().where(which))
        if not rows:
            return None
        limit = store.limits.LimitRow(*rows[0])
        active_slots = [id_ for _tag, id_ in await self._read(store.slots.select_holder_ids([limit.tag]))]
        rendered = render.render_limit(limit, active_slots)
        shown = store.slots.SHOWN_HOLDERS
        holders = await self._read_fitting(
            store.slots.select_holders(limit.tag, shown), self._render_holder, shown, _HOLDER_BYTES
        )
        rendered.holders.extend(holders.items)
        waiters = await self._read(store.slots.select_waiting(limit.tag, store.slots.SHOWN_WAITERS))
        rendered.waiters.extend(_numbered(waiters, 1))
        return rendered

    async def ListConcurrencyLimits(  # noqa: N802
        self, request: concurrency_limit_pb2.ListConcurrencyLimitsRequest
    ) -> concurrency_limit_pb2.ListConcurrencyLimitsResponse:
        """Return a page of limits, sorted by tag."""
        page = Page.of(request)
        tag = store.schema.concurrency_limit.c.tag
        query = store.limits.select_limits().where(tag > page.after).order_by(tag).limit(page.size + 1)
        rows = await self._read(query)
        limits = [render.render_limit(store.limits.LimitRow(*row), []) for row in rows[: page.size]]
        fitting = await self._add_active_slots(limits)
        token = page.token(limits[fitting - 1].tag) if len(rows) > fitting else ""
        return concurrency_limit_pb2.ListConcurrencyLimitsResponse(
            concurrency_limits=limits[:fitting], next_page_token=token
        )

    async def _add_active_slots(self, limits: list[concurrency_limit_pb2.ConcurrencyLimit]) -> int:
        """Add to limits, sorted by tag, who holds their slots; return how many of the limits then fit."""
        by_tag = {limit.tag: index for index, limit in enumerate(limits)}
        left = MAX_ANSWER_BYTES - sum(limit.ByteSize() for limit in limits)
        fitting = len(limits)

        def take(row: tuple[Any, ...]) -> bool:
            nonlocal left, fitting
            tag, run_id = row
            left -= len(run_id) + FRAMING_BYTES
            index = by_tag[tag]
            if left < 0 and index:
                # The slots of this one are not all read: it is the first of the next page.
                fitting = index
                return False
            limits[index].active_slots.append(run_id)
            return True

        await self._read_while(store.slots.select_holder_ids(list(by_tag)), take)
        return fitting

    async def ListSlotHolders(  # noqa: N802
        self, request: concurrency_limit_pb2.ListSlotHoldersRequest
    ) -> concurrency_limit_pb2.ListSlotHoldersResponse:
        """Return a page of who holds slots of a tag, the longest first."""
        page, tag = Page.of(request), await self._known_tag(request.tag)
        holders, token = await self._read_list(
            store.slots.select_holders(tag, page.size + 1, page.after_pair), page, self._render_holder, _place
        )
        return concurrency_limit_pb2.ListSlotHoldersResponse(holders=holders, next_page_token=token)

    async def ListSlotWaiters(  # noqa: N802
        self, request: concurrency_limit_pb2.ListSlotWaitersRequest
    ) -> concurrency_limit_pb2.ListSlotWaitersResponse:
        """Return a page of who waits for a slot of a tag, the next one first."""
        page, tag = Page.of(request), await self._known_tag(request.tag)
        after = page.after_number
        before = 0 if after is None else (await self._read(store.slots.count_waiting(tag, after)))[0][0]
        positions = itertools.count(before + 1)
        waiters, token = await self._read_list(
            store.slots.select_waiting(tag, page.size + 1, after),
            page,
            lambda row: render.render_waiter(store.slots.Waiting(*row), next(positions)),
            lambda row: store.slots.Waiting(*row).place,
        )
        return concurrency_limit_pb2.ListSlotWaitersResponse(waiters=waiters, next_page_token=token)

    async def _known_tag(self, tag: str) -> str:
        """Return a tag that has a limit."""
        valid.tag("tag", tag)
        if not await self._read(store.limits.select_limits_of([tag])):
            raise store.limits.no_limit(tag)
        return tag

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
        tag = valid.tag("tag", request.tag)
        freed, total = await self._run(store.limits.reset_limit(tag, self._weigh, MAX_ANSWER_BYTES))
        return concurrency_limit_pb2.ResetConcurrencyLimitByTagResponse(
            freed=[render.render_holder(holder, self._clock.read()) for holder in freed], freed_count=total
        )

    def _weigh(self, holder: Holder) -> int:
        return render.render_holder(holder, self._clock.read()).ByteSize() + FRAMING_BYTES

    def _render_holder(self, row: Sequence[Any]) -> concurrency_limit_pb2.SlotHolder:
        return render.render_holder(store.slots.Holder(*row), self._clock.read())


def _place(row: Sequence[Any]) -> str:
    holder = store.slots.Holder(*row)
    return pair(holder.since, holder.task_run_id)


def _numbered(rows: Iterable[Sequence[Any]], first: int) -> Iterator[concurrency_limit_pb2.SlotWaiter]:
    for position, row in enumerate(rows, start=first):
        yield render.render_waiter(store.slots.Waiting(*row), position)

"""RPCs about concurrency limits."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clearway.v1 import concurrency_limit_pb2
from clearway_service import store
from clearway_service.api import rendering as render
from clearway_service.api.base import FRAMING_BYTES, MAX_ANSWER_BYTES, Handlers
from clearway_service.api.pages import Page, pair
from clearway_service.api.parsing import uuid_of
from clearway_service.errors import LimitNotFoundError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

    from clearway_service.store.slots import Holder

# How much of a response with one limit may be holders; the rest is for waiters.
_HOLDER_BYTES = MAX_ANSWER_BYTES // 2


class LimitHandlers(Handlers):
    """RPCs about concurrency limits."""

    async def SetConcurrencyLimit(  # noqa: N802 - the RPC's name
        self, request: concurrency_limit_pb2.SetConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.SetConcurrencyLimitResponse:
        """Set the limit of a tag."""
        limit, previous = await self._run(store.limits.set_limit(request.tag, request.limit))
        # Read after the commit, which may have granted slots to queued runs. The limit may be gone by then.
        found = await self._find(store.schema.concurrency_limit.c.id == limit.id)
        return concurrency_limit_pb2.SetConcurrencyLimitResponse(
            concurrency_limit=found or render.render_limit(limit), previous_limit=previous
        )

    async def GetConcurrencyLimit(  # noqa: N802
        self, request: concurrency_limit_pb2.GetConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.GetConcurrencyLimitResponse:
        """Return one limit, by tag or id."""
        columns = store.schema.concurrency_limit.c
        if request.HasField("tag"):
            limit, missing = await self._find(columns.tag == request.tag), store.limits.no_limit(request.tag)
        else:
            id_ = uuid_of(request.id)
            limit, missing = await self._find(columns.id == id_), _no_limit_with(id_)
        if limit is None:
            raise missing
        return concurrency_limit_pb2.GetConcurrencyLimitResponse(concurrency_limit=limit)

    async def _find(self, which: ColumnElement[bool]) -> concurrency_limit_pb2.ConcurrencyLimit | None:
        """Return a limit with its first holders and the head of its queue, or None."""
        rows = await self._read(store.limits.select_limits().where(which))
        if not rows:
            return None
        limit = store.limits.LimitRow(*rows[0])
        rendered = render.render_limit(limit)
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
        limits = [render.render_limit(store.limits.LimitRow(*row)) for row in rows[: page.size]]
        fitting = await self._add_holders(limits)
        token = page.token(limits[fitting - 1].tag) if len(rows) > fitting else ""
        return concurrency_limit_pb2.ListConcurrencyLimitsResponse(
            concurrency_limits=limits[:fitting], next_page_token=token
        )

    async def _add_holders(self, limits: list[concurrency_limit_pb2.ConcurrencyLimit]) -> int:
        """Add the first holders to limits sorted by tag; return how many limits then fit."""
        by_tag = {limit.tag: index for index, limit in enumerate(limits)}
        left = MAX_ANSWER_BYTES - sum(limit.ByteSize() for limit in limits)
        fitting = len(limits)

        def take(row: tuple[Any, ...]) -> bool:
            nonlocal left, fitting
            holder = self._render_holder(row)
            left -= holder.ByteSize() + FRAMING_BYTES
            index = by_tag[row[0]]
            if left >= 0:
                limits[index].holders.append(holder)
                return True
            # Not all holders of this limit fit: it becomes the first of the next page, with more room.
            # If it is the first of this one already, it keeps as many as fit.
            fitting = max(index, 1)
            return False

        await self._read_while(store.slots.select_first_holders(list(by_tag)), take)
        return fitting

    async def ListSlotHolders(  # noqa: N802
        self, request: concurrency_limit_pb2.ListSlotHoldersRequest
    ) -> concurrency_limit_pb2.ListSlotHoldersResponse:
        """Return a page of the holders of a tag's slots, longest-held first."""
        page, tag = Page.of(request), await self._known_tag(request.tag)
        holders, token = await self._read_list(
            store.slots.select_holders(tag, page.size + 1, page.after_pair), page, self._render_holder, _place
        )
        return concurrency_limit_pb2.ListSlotHoldersResponse(holders=holders, next_page_token=token)

    async def ListSlotWaiters(  # noqa: N802
        self, request: concurrency_limit_pb2.ListSlotWaitersRequest
    ) -> concurrency_limit_pb2.ListSlotWaitersResponse:
        """Return a page of the waiters for a tag's slots, in queue order."""
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
        """Return the tag, after checking that it has a limit."""
        if not await self._read(store.limits.select_limits_of([tag])):
            raise store.limits.no_limit(tag)
        return tag

    async def DeleteConcurrencyLimit(  # noqa: N802
        self, request: concurrency_limit_pb2.DeleteConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.DeleteConcurrencyLimitResponse:
        """Remove the limit of a tag."""
        await self._run(store.limits.delete_limit(request.tag))
        return concurrency_limit_pb2.DeleteConcurrencyLimitResponse()

    async def ResetConcurrencyLimit(  # noqa: N802
        self, request: concurrency_limit_pb2.ResetConcurrencyLimitRequest
    ) -> concurrency_limit_pb2.ResetConcurrencyLimitResponse:
        """Forcibly free all slots of a tag."""
        tag = request.tag
        released, total = await self._run(store.limits.reset_limit(tag, self._weigh, MAX_ANSWER_BYTES))
        return concurrency_limit_pb2.ResetConcurrencyLimitResponse(
            released=[render.render_holder(holder, self._clock.read()) for holder in released],
            released_count=total,
        )

    def _weigh(self, holder: Holder) -> int:
        return render.render_holder(holder, self._clock.read()).ByteSize() + FRAMING_BYTES

    def _render_holder(self, row: Sequence[Any]) -> concurrency_limit_pb2.SlotHolder:
        return render.render_holder(store.slots.Holder(*row), self._clock.read())


def _no_limit_with(id_: str) -> LimitNotFoundError:
    return LimitNotFoundError(f"no concurrency limit has the id {id_}", "id", limit_id=id_)


def _place(row: Sequence[Any]) -> str:
    holder = store.slots.Holder(*row)
    return pair(holder.since, holder.task_run_id)


def _numbered(rows: Iterable[Sequence[Any]], first: int) -> Iterator[concurrency_limit_pb2.SlotWaiter]:
    for position, row in enumerate(rows, start=first):
        yield render.render_waiter(store.slots.Waiting(*row), position)

"""Runs that wait at the service for what an async task run holds, whose event loop the caller would block."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final

from clearway._execution.shutdown.fencing import live_runs
from clearway._transport.protocol import Transport
from clearway._transport.rpcs import EXPLAIN_TASK_RUN, LIST_SLOT_HOLDERS
from clearway.exceptions import ClearwayError
from clearway.v1.concurrency_limit_pb2 import ListSlotHoldersRequest, SlotHolder
from clearway.v1.explanation_pb2 import ExplainTaskRunRequest, LimitExplanation

if TYPE_CHECKING:
    import asyncio

_ASK_SECONDS: Final = 5.0
_PAGE: Final = 1_000


def needing(loop: asyncio.AbstractEventLoop) -> dict[str, str]:
    """Return the names of this process's task runs that an event loop has to execute or continue, by UUID."""
    return {run_id: name for live in live_runs() for run_id, name in live.needing(loop).items()}


def held_by(transport: Transport, run_id: str, loop: asyncio.AbstractEventLoop) -> str:
    """Return what a run waits for at the service, if only the code on an event loop could give it back.

    Args:
        transport: The way to the service.
        run_id: The task run that waits.
        loop: The event loop.

    Returns:
        What it is and what holds it, to follow "waits for"; empty if there is something that may give it
        back, or if the service cannot be asked.
    """
    try:
        return _held_by(transport, run_id, needing(loop))
    except (ClearwayError, TimeoutError):
        return ""


def _held_by(transport: Transport, run_id: str, on_loop: dict[str, str]) -> str:
    if not on_loop:
        return ""
    request = ExplainTaskRunRequest(id=run_id)
    explained = _answer(EXPLAIN_TASK_RUN.start(transport, request, _ASK_SECONDS))
    cause = explained.WhichOneof("cause")
    if cause == "cache_leader" and explained.cache_leader.leader.task_run_id in on_loop:
        leader = on_loop[explained.cache_leader.leader.task_run_id]
        return f"its cache key, which the async task run {leader!r} computes"
    if cause != "limit":
        return ""
    for limit in explained.limits:
        if not (limit.blocks and limit.holders):
            continue
        if all(holder.task_run_id in on_loop for holder in _holders(transport, limit)):
            names = ", ".join(repr(on_loop[holder.task_run_id]) for holder in limit.holders[:3])
            more = f" and {limit.taken_count - 3} more" if limit.taken_count > 3 else ""  # noqa: PLR2004 - as above
            runs = "run" if limit.taken_count == 1 else "runs"
            return f"a slot of the tag {limit.tag!r}, held by the async task {runs} {names}{more}"
    return ""


def _holders(transport: Transport, limit: LimitExplanation) -> Iterable[SlotHolder]:
    yield from limit.holders
    request = ListSlotHoldersRequest(tag=limit.tag, page_size=_PAGE)
    while len(limit.holders) < limit.taken_count:
        page = _answer(LIST_SLOT_HOLDERS.start(transport, request, _ASK_SECONDS))
        yield from page.holders
        request.page_token = page.next_page_token
        if not request.page_token:
            return


def _answer(future: Any) -> Any:
    return future.result(2 * _ASK_SECONDS)

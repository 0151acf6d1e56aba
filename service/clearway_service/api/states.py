"""RPCs that propose one state: the unary counterpart of the stream."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TypeGuard

from clearway.v1 import proposal_pb2
from clearway_service.api import rendering as render
from clearway_service.api.base import Handlers
from clearway_service.api.field_checks import check_duration
from clearway_service.api.parsing import microseconds, parse_state, uuid_of
from clearway_service.core.proposals import Answer, Proposal, Refusal
from clearway_service.core.runs import RunKind
from clearway_service.engine.budget import current_call
from clearway_service.engine.clock import new_id
from clearway_service.engine.submitted import Failure, Result, size_of

_MICROSECONDS = 1_000_000
# A decision of at most this many bytes is covered by the memory counted for its call.
_SMALL_BYTES = 4096


class StateHandlers(Handlers):
    """RPCs that propose one state."""

    async def SetFlowRunState(  # noqa: N802 - the RPC's name
        self, request: proposal_pb2.SetFlowRunStateRequest
    ) -> proposal_pb2.SetFlowRunStateResponse:
        """Propose one state for a flow run."""
        proposal = _proposal(request, RunKind.FLOW, uuid_of(request.flow_run_id))
        decision = await self._decide(proposal, 0)
        decision.proposal_id = request.proposal_id or proposal.id
        return proposal_pb2.SetFlowRunStateResponse(decision=decision)

    async def SetTaskRunState(  # noqa: N802
        self, request: proposal_pb2.SetTaskRunStateRequest
    ) -> proposal_pb2.SetTaskRunStateResponse:
        """Propose one state for a task run, and queue for a slot if the caller asks for it."""
        wait = microseconds(request.wait_timeout)
        most = self._settings.max_slot_wait.total_seconds()
        check_duration(request.wait_timeout, "wait_timeout", most=most)
        keeps = 2 * (self._settings.slot_retry_after // timedelta(microseconds=1))
        proposal = _proposal(request, RunKind.TASK, uuid_of(request.task_run_id))._replace(
            queues=wait > 0, keeps=keeps if request.proposal_id else 0
        )
        decision = await self._decide(proposal, wait)
        decision.proposal_id = request.proposal_id or proposal.id
        return proposal_pb2.SetTaskRunStateResponse(decision=decision)

    async def _decide(self, proposal: Proposal, wait: int) -> proposal_pb2.Decision:
        """Return the decision; after a queued wait, the one that follows within ``wait`` microseconds."""
        loop = asyncio.get_running_loop()
        results: asyncio.Queue[Result] = asyncio.Queue()

        def reply(batch: list[Result]) -> None:
            for result in batch:
                loop.call_soon_threadsafe(results.put_nowait, result)

        call = current_call.get()
        self._pipeline.submit([proposal], reply, None if call is None else call.caller)
        try:
            result = await results.get()
        except asyncio.CancelledError:
            if proposal.queues:
                self._pipeline.withdraw([proposal.id], current_call.get())
            raise
        if _queued(result):
            result = await self._await_slot(proposal, result, results, wait / _MICROSECONDS)
        match result:
            case Answer():
                after = self._settings.slot_retry_after // timedelta(microseconds=1)
                decision = proposal_pb2.Decision()
                render.fill_decision(decision, result, after)
                return decision
            case Refusal():
                raise render.refusal_error(
                    result, f"{proposal.kind.value}_run_id", "proposal_id", "session_id"
                )
            case Failure(_, error):
                raise error

    async def _await_slot(
        self, proposal: Proposal, waiting: Answer, results: asyncio.Queue[Result], seconds: float
    ) -> Result:
        final: Result | None = None
        try:
            try:
                async with asyncio.timeout(seconds):
                    final = await _last(results)
            except TimeoutError:
                # Leave the queue, but keep a slot that was granted meanwhile.
                withdrawn = self._pipeline.withdraw([proposal.id], current_call.get())
                if proposal.id in await asyncio.wrap_future(withdrawn):
                    final = waiting._replace(queued=False, position=0)
                else:
                    final = await self._recorded(proposal, results)
        finally:
            if final is None:
                self._pipeline.withdraw([proposal.id], current_call.get())
        return final

    async def _recorded(self, proposal: Proposal, results: asyncio.Queue[Result]) -> Result:
        """Return the recorded decision on a proposal that no longer waits.

        The decision may have to wait until its client has room. A small one need not: it is covered by the
        memory counted for its call.
        """
        loop = asyncio.get_running_loop()

        def reply(batch: list[Result]) -> None:
            for result in batch:
                if size_of(result) <= _SMALL_BYTES:
                    loop.call_soon_threadsafe(results.put_nowait, result)

        self._pipeline.submit([proposal._replace(queues=False, keeps=0, unwanted=True)], reply)
        return await _last(results)


def _queued(result: Result) -> TypeGuard[Answer]:
    return isinstance(result, Answer) and result.queued


async def _last(results: asyncio.Queue[Result]) -> Result:
    """Return the final decision."""
    while _queued(result := await results.get()):
        pass
    return result


def _proposal(
    request: proposal_pb2.SetFlowRunStateRequest | proposal_pb2.SetTaskRunStateRequest,
    kind: RunKind,
    run_id: str,
) -> Proposal:
    id_ = uuid_of(request.proposal_id) or new_id()
    session_id = uuid_of(request.session_id)
    return Proposal(id_, kind, run_id, parse_state(request.state), session_id=session_id)

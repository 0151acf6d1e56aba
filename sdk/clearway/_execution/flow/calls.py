"""What a call of a flow comes to: run here and now, or awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from clearway._base.tracebacks import folded
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.flow.run import FlowRun
from clearway._execution.flow.steps import flow_steps
from clearway._execution.trampoline import drive, drive_async, named
from clearway._transport.current import connect
from clearway._waiting.blocked_loop import refuse_deadlock, running_loop, wait_told_on_loop
from clearway._waiting.sigint import shielded, wait_told, watched
from clearway.context import TaskRunContext
from clearway.exceptions import NestedTask
from clearway.states import State

if TYPE_CHECKING:
    from clearway._definition.base import FlowDefinition


def call_flow(
    flow: FlowDefinition,
    arguments: tuple[tuple[Any, ...], Mapping[str, Any]],
    wait_for: Iterable[Any] | None,
    *,
    return_state: bool,
) -> Any:
    """Run a flow: at the top, or as a subflow of the flow that the caller is in.

    Returns:
        Its result, or its state with ``return_state``; of an async flow that is not called by a sync one, a
        coroutine of that.
    """
    if TaskRunContext.get() is not None:
        raise NestedTask(
            f"the flow {flow.name!r} was called from within a task, which cannot have runs of its own; "
            "call the flow from a flow"
        )
    parameters, shape = flow.signature.bind(*arguments), flow.signature.shape(*arguments)
    parent = FlowAttempt.current()
    if parent is not None:
        parent.check_lost()
    run = FlowRun(flow, parent, parameters, wait_for, shape)
    if flow.is_async and (parent is None or parent.loops.is_async):
        return named(_awaited(run, return_state=return_state), flow.name)
    with watched(), shielded():
        run.transport = connect()
        state = _beside(parent, run) if flow.is_async and parent is not None else drive(flow_steps(run))
    return state if return_state else state.result()


async def _awaited(run: FlowRun, *, return_state: bool) -> Any:
    import asyncio  # noqa: PLC0415 - who awaits has loaded it

    try:
        # Opening the embedded database takes milliseconds, for which the caller's loop must not stand still.
        run.transport = await asyncio.to_thread(connect) if run.parent is None else run.parent.transport
        state = await drive_async(flow_steps(run))
        return state if return_state else state.result()
    except Exception as error:
        folded(error)
        raise


def _beside(parent: FlowAttempt, run: FlowRun) -> State[Any]:
    """Run an async subflow of a sync flow on the event loop beside it."""
    future = parent.loops.beside().submit(drive_async(flow_steps(run)))
    try:
        loop = running_loop()
        if loop is None:
            wait_told(future)
        else:
            wait_told_on_loop(future, partial(refuse_deadlock, partial(run.held_up_on, loop)))
        return future.result()
    except BaseException:
        future.cancel()  # an interrupt of this thread is to reach the subflow; otherwise it has ended already
        raise

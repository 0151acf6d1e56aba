"""The ways to call a flow: directly or awaited."""

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
    """Run a flow, as a subflow if the caller is in a flow run.

    Returns:
        The flow's result, or its final state with ``return_state``. For an async flow, a coroutine that
        returns it, unless a sync flow calls it.
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
    run.raises = not return_state
    if flow.is_async and (parent is None or parent.loops.is_async):
        return named(_awaited(run, return_state=return_state), flow.name)
    with watched(), shielded():
        run.transport = connect()
        state = _beside(parent, run) if flow.is_async and parent is not None else drive(flow_steps(run))
    return state if return_state else state.result()


async def _awaited(run: FlowRun, *, return_state: bool) -> Any:
    import asyncio  # noqa: PLC0415 - loaded already by the code that awaits

    try:
        # Opening the embedded database takes milliseconds, which must not block the caller's loop.
        run.transport = await asyncio.to_thread(connect) if run.parent is None else run.parent.transport
        state = await drive_async(flow_steps(run))
        return state if return_state else state.result()
    except BaseException as error:
        folded(error)
        raise


def _beside(parent: FlowAttempt, run: FlowRun) -> State[Any]:
    """Run an async subflow of a sync flow on the event loop thread beside it."""
    future = parent.loops.beside().submit(drive_async(flow_steps(run)))
    try:
        loop = running_loop()
        if loop is None:
            wait_told(future)
        else:
            wait_told_on_loop(future, partial(refuse_deadlock, partial(run.held_up_on, loop)))
        return future.result()
    except BaseException as error:
        run.interrupted_by = error
        future.cancel()  # an interrupt of this thread is to reach the subflow; otherwise it has ended already
        raise

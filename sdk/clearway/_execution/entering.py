"""Entering a run: its code finds it in ``clearway.context``, and what it prints is logged where it wants."""

from __future__ import annotations

from contextlib import AbstractContextManager

from clearway.context import (
    FlowRunContext,
    RunningAttempt,
    TaskRunContext,
    flow_run_entered,
    task_run_entered,
)


def in_task_run(context: TaskRunContext) -> AbstractContextManager[TaskRunContext]:
    """Make a task run the one that the code in the block belongs to."""
    if context.log_prints:
        _look_after_prints()
    return task_run_entered(context)


def in_flow_run(
    context: FlowRunContext, in_force: frozenset[str], attempt: RunningAttempt | None = None
) -> AbstractContextManager[FlowRunContext]:
    """Make a flow run the one that the code in the block belongs to; see ``flow_run_entered``."""
    if context.log_prints:
        _look_after_prints()
    return flow_run_entered(context, in_force, attempt)


def _look_after_prints() -> None:
    from clearway._execution.prints import replace_print  # noqa: PLC0415 - most runs leave print() alone

    replace_print()

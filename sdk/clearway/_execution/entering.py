"""Entering a run: makes it the current run of ``clearway.context``, and logs its prints if it wants that."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TypeVar

from clearway.context import (
    FlowRunContext,
    RunningAttempt,
    TaskRunContext,
    flow_run_entered,
    task_run_entered,
)

C = TypeVar("C", FlowRunContext, TaskRunContext)


def in_task_run(context: TaskRunContext) -> AbstractContextManager[TaskRunContext]:
    """Make a task run the current one in the block."""
    entered = task_run_entered(context)
    return _logging_prints(context, entered) if context.log_prints else entered


def in_flow_run(
    context: FlowRunContext, in_force: frozenset[str], attempt: RunningAttempt | None = None
) -> AbstractContextManager[FlowRunContext]:
    """Make a flow run the current one in the block; see ``flow_run_entered``."""
    entered = flow_run_entered(context, in_force, attempt)
    return _logging_prints(context, entered) if context.log_prints else entered


@contextmanager
def _logging_prints(context: C, entered: AbstractContextManager[C]) -> Iterator[C]:
    from clearway._execution.prints import (  # noqa: PLC0415 - most runs leave print() alone
        log_begun_lines,
        replace_print,
    )

    replace_print()
    with entered:
        try:
            yield context
        finally:
            log_begun_lines(context)

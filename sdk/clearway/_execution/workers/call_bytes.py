"""Serializing the code of a task run for another process, and reading the reply."""

from __future__ import annotations

import copy
import pickle
from contextvars import Context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clearway._definition.references import can_be_imported
from clearway._execution.effects import Outcome
from clearway._execution.workers import pickling as _portable
from clearway._execution.workers.errors import unpack
from clearway.context import flow_run_in, tags_in
from clearway.exceptions import NotPicklable

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._definition.signature import CallShape
    from clearway.context import FlowRunContext, TaskRunContext

_FLOW_RUN = "flow run"
_MAX_PARAMETER = 16_384  # bytes of a flow argument that is sent along with each task call


def dump_call(
    run: TaskRunContext,
    shape: CallShape | None,
    context: Context,
    kept: dict[str | TaskDefinition, bytes],
) -> bytes:
    """Serialize a call for ``clearway.task_runners.run_call``.

    Args:
        run: The task run.
        shape: Which arguments were positional and which by keyword; None if it makes no difference.
        context: The caller's context variables.
        kept: The serialized parts that a flow run's calls share: each task, and the flow run. Added to here.

    Raises:
        NotPicklable: The task or an argument cannot be pickled.
    """
    if run.task not in kept:
        kept[run.task] = _dump_task(run)
    if _FLOW_RUN not in kept:
        kept[_FLOW_RUN] = _portable.dumps(_light(flow_run_in(context)))
    alone = replace(run, task=None, parameters={})  # type: ignore[arg-type]  # the other process restores them
    try:
        body = _portable.dumps((alone, run.parameters, shape, tags_in(context)))
    except Exception as error:
        raise _not_picklable(run, error) from error
    return pickle.dumps((kept[run.task], kept[_FLOW_RUN], body))


def _dump_task(run: TaskRunContext) -> bytes:
    try:
        return _portable.dumps(run.task if can_be_imported(run.task) else _code_of(run.task))
    except Exception as error:
        raise NotPicklable(
            f"the task {run.task.name!r} cannot be sent to a worker process: {_said(error)}; "
            "look at what its function uses from around it, such as locks, open files and connections: "
            "make them within the function, or run the flow with a ThreadPoolTaskRunner"
        ) from error


def _code_of(task: TaskDefinition) -> TaskDefinition:
    """Return a copy of a task without the functions that only the flow's process calls."""
    code = copy.copy(task)
    code.hooks = {}
    code.cache_key_fn = code.retry_condition_fn = code.task_run_name = None
    return code


def _not_picklable(run: TaskRunContext, error: Exception) -> NotPicklable:
    for name, value in run.parameters.items():
        try:
            _portable.dumps(value)
        except Exception as its_error:  # noqa: BLE001 - a user's class may raise whatever it likes
            return NotPicklable(
                f"the argument {name!r} of the task run {run.task_run_name!r}, of type {_kind(value)}, "
                f"cannot be sent to a worker process: {_said(its_error)}; give it something that can be "
                "pickled, such as plain data, or run the flow with a ThreadPoolTaskRunner"
            )
    return NotPicklable(
        f"the arguments of the task run {run.task_run_name!r} cannot be sent to a worker process: "
        f"{_said(error)}"
    )


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _light(flow_run: FlowRunContext) -> FlowRunContext:
    """Return a flow run's context without large values and those that belong to this process."""
    flow = flow_run.flow
    if not can_be_imported(flow):
        flow = flow.stand_in(_elsewhere)
    parameters = {name: value for name, value in flow_run.parameters.items() if _is_small(value)}
    return replace(flow_run, flow=flow, parameters=parameters)


def _is_small(value: Any) -> bool:
    try:
        return len(_portable.dumps(value)) <= _MAX_PARAMETER
    except Exception:  # noqa: BLE001 - a user's class may raise whatever it likes
        return False


def _elsewhere() -> None:
    """The function of a flow that a worker process cannot import."""
    raise RuntimeError("the flow's code is in the process that runs the flow, not in this worker process")


def read_reply(reply: bytes) -> Outcome:
    """Return the outcome of a task run's code from the reply of ``run_call``.

    Raises:
        NotPicklable: The returned value cannot be unpickled here.
        BaseException: What ended the code, if it does not count as a task's failure, such as ``SystemExit``.
    """
    kind, body = pickle.loads(reply)  # noqa: S301 - from a worker of this flow
    if kind == "value":
        try:
            return Outcome(_portable.loads(body))
        except Exception as error:
            raise NotPicklable(
                f"what the task returned cannot be read in the flow's process: {_said(error)}"
            ) from error
    ended_by = unpack(body)
    if isinstance(ended_by, Exception):
        return Outcome(error=ended_by, timed_out=kind == "late", unread=kind == "unread")
    raise ended_by

"""Running the code of a task run in a worker process."""

from __future__ import annotations

import pickle
from contextvars import copy_context
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from clearway._execution.effects import Execute, Outcome
from clearway._execution.entering import in_flow_run, in_task_run
from clearway._execution.returned import as_data
from clearway._execution.workers import pickling as _portable
from clearway._execution.workers.errors import pack
from clearway.exceptions import NotPicklable

if TYPE_CHECKING:
    from collections.abc import Callable

    from clearway._definition.base import TaskDefinition
    from clearway.context import TaskRunContext

_MAX_KEPT = 256

_kept: dict[bytes, Any] = {}


def run_call(data: bytes) -> bytes:
    """Run the code of a task run in its run's context.

    Args:
        data: The result of ``TaskCall.to_bytes``. Unpickling it can run code.

    Returns:
        The argument of ``TaskCall.finish``. It includes any exception; nothing is raised.
    """
    try:
        outcome = copy_context().run(_run, data)
        if outcome.error is not None:
            return pickle.dumps(("late" if outcome.timed_out else "error", pack(outcome.error)))
    except BaseException as error:  # noqa: BLE001 - the flow's process decides what it means
        return pickle.dumps(("error", pack(error)))
    value = outcome.value
    try:
        return pickle.dumps(("value", _portable.dumps(value)))
    except Exception as error:  # noqa: BLE001 - as above
        return pickle.dumps(("unread", pack(_not_picklable(value, error))))


def _run(data: bytes) -> Outcome:
    of_task, of_flow_run, body = pickle.loads(data)  # noqa: S301 - from this worker's flow
    task, flow_run = _load(of_task), _load(of_flow_run)
    alone, parameters, shape, in_force = _portable.loads(body)
    context: TaskRunContext = replace(alone, task=task, parameters=parameters)
    with in_flow_run(flow_run, in_force), in_task_run(context):
        if not task.is_async:
            return _code(task, lambda: as_data(task.signature.call(parameters, shape), task)).block()

        async def call() -> Any:
            return as_data(await task.signature.call(parameters, shape), task)

        return _awaited(_code(task, call))


def _code(task: TaskDefinition, call: Callable[[], Any]) -> Execute:
    if task.timeout_seconds is None:
        return Execute(call)
    from clearway._execution.deadlines.timeouts import TimedExecute  # noqa: PLC0415 - most tasks have no timeout

    return TimedExecute(call, task.timeout_seconds, "Task")


def _awaited(code: Execute) -> Outcome:
    import asyncio  # noqa: PLC0415 - most tasks are sync

    return asyncio.run(code.wait())


def _load(body: bytes) -> Any:
    """Unpickle ``body``; equal bytes give the same object, so that a task keeps its globals between calls."""
    if body not in _kept:
        if len(_kept) >= _MAX_KEPT:
            _kept.clear()
        _kept[body] = _portable.loads(body)
    return _kept[body]


def _not_picklable(value: Any, error: Exception) -> NotPicklable:
    kind = f"{type(value).__module__}.{type(value).__qualname__}"
    return NotPicklable(
        f"what the task returned, of type {kind}, cannot be sent back from its worker process: "
        f"{type(error).__name__}: {error}; return something that can be pickled, such as plain data, or run "
        "the flow with a ThreadPoolTaskRunner"
    )

"""The ways to call a task: directly, awaited, submitted or mapped."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext, suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Any

from clearway._base.tracebacks import folded
from clearway._execution.flow.attempt import FlowAttempt
from clearway._execution.inputs.run_inputs import as_list
from clearway._execution.task.run import TaskRun
from clearway._execution.task.steps import task_steps
from clearway._execution.trampoline import drive, drive_async, named
from clearway._waiting.sigint import shielded, watched
from clearway.context import TaskRunContext, current_tags
from clearway.exceptions import ClearwayError, MissingContext, NestedTask
from clearway.futures import Future
from clearway.states import State

if TYPE_CHECKING:
    from clearway._definition.base import TaskDefinition
    from clearway._definition.signature import CallShape
    from clearway._execution.inputs.found import Upstream
    from clearway._execution.task.submission import Submitter

Arguments = tuple[tuple[Any, ...], Mapping[str, Any]]


def call_task(
    task: TaskDefinition, arguments: Arguments, wait_for: Iterable[Any] | None, *, return_state: bool
) -> Any:
    """Run a task in the caller's flow run.

    Returns:
        The task's result, or its final state with ``return_state``. For an async task in an async flow, a
        coroutine that returns it.
    """
    with shielded():
        attempt = _attempt_for(task)
        parameters, shape = task.signature.bind(*arguments), task.signature.shape(*arguments)
        early = not return_state
        run = TaskRun(task, attempt, parameters, _tags(task), wait_for, shape=shape, settles_early=early)
        if not task.is_async:
            with watched() if attempt.loops.is_async else nullcontext(), shielded():
                state = drive(task_steps(run))
        elif attempt.loops.is_async:
            return named(_awaited(run, return_state=return_state), task.name)
        else:
            future = _submitter(on_loop=True).submit(run)
            future.block()
            state = future.current_state()
    return state if return_state else _result(run, state)


async def _awaited(run: TaskRun, *, return_state: bool) -> Any:
    run.on_loop = True
    try:
        state = await drive_async(task_steps(run))
        return state if return_state else _result(run, state)
    except BaseException as error:
        folded(error)
        raise


def _result(run: TaskRun, state: State[Any]) -> Any:
    result = state.result()
    if result is not state.data:  # read from storage, as for a cached run
        run.flow_attempt.provenance.note(result, run.run_id)
    return result


def submit_task(
    task: TaskDefinition, arguments: Arguments, wait_for: Iterable[Any] | None, *, return_state: bool
) -> Any:
    """Submit a task in the caller's flow run.

    Returns:
        The run's future, or its final state with ``return_state``. For an async task in an async flow, a
        coroutine that returns it.
    """
    attempt = _attempt_for(task)
    parameters, shape = task.signature.bind(*arguments), task.signature.shape(*arguments)
    run = TaskRun(task, attempt, parameters, _tags(task), wait_for, shape=shape)
    submitter = _submitter()
    if task.is_async and attempt.loops.is_async:
        return named(_submitted(run, submitter, return_state=return_state), f"{task.name}.submit")
    with shielded():
        future = _begun(run, submitter)
    return _state(future) if return_state and future.block() else future


async def _submitted(run: TaskRun, submitter: Submitter, *, return_state: bool) -> Any:
    future = await _begun_async(run, submitter)
    return _state(future) if return_state and await future.wait_done() else future


def map_task(
    task: TaskDefinition, arguments: Arguments, wait_for: Iterable[Any] | None, *, return_state: bool
) -> Any:
    """Submit one task run per element of the mapped arguments, in the caller's flow run.

    Returns:
        The runs' futures, or their final states with ``return_state``. For an async task in an async flow,
        a coroutine that returns them.
    """
    attempt = _attempt_for(task)
    parameters = task.signature.bind(*arguments, defaults=False)
    shape = task.signature.shape(*arguments)
    upstreams = None if wait_for is None else as_list(wait_for)
    if task.is_async and attempt.loops.is_async:
        mapping = _mapped_async(task, attempt, parameters, shape, upstreams, return_state=return_state)
        return named(mapping, f"{task.name}.map")
    for upstream in _mapped_upstreams(task, parameters):
        if isinstance(upstream, Future):
            upstream.block()
    with shielded():
        submitter = _submitter()
        futures = [_begun(run, submitter) for run in _each_run(task, attempt, parameters, shape, upstreams)]
    return [_state(future) for future in futures if future.block()] if return_state else futures


async def _mapped_async(
    task: TaskDefinition,
    attempt: FlowAttempt,
    parameters: dict[str, Any],
    shape: CallShape | None,
    upstreams: list[Any] | None,
    *,
    return_state: bool,
) -> Any:
    for upstream in _mapped_upstreams(task, parameters):
        if isinstance(upstream, Future):
            await upstream.wait_done()
    submitter = _submitter()
    futures = [
        await _begun_async(run, submitter) for run in _each_run(task, attempt, parameters, shape, upstreams)
    ]
    return [_state(future) for future in futures if await future.wait_done()] if return_state else futures


def _mapped_upstreams(task: TaskDefinition, parameters: dict[str, Any]) -> list[Upstream]:
    """Return the futures and states whose results are mapped over, and so have to be known first."""
    from clearway._execution.inputs.mapping import mapped_upstreams  # noqa: PLC0415 - most calls map nothing

    return mapped_upstreams(task.signature, parameters)


def _each_run(
    task: TaskDefinition,
    attempt: FlowAttempt,
    parameters: dict[str, Any],
    shape: CallShape | None,
    upstreams: list[Any] | None,
) -> Iterator[TaskRun]:
    from clearway._execution.inputs.mapping import Mapped  # noqa: PLC0415 - most calls map nothing

    tags = _tags(task)
    mapped = Mapped(task.signature, parameters, attempt.provenance)
    shared = mapped.shared(upstreams)
    for one in mapped:
        yield TaskRun(task, attempt, one, tags, upstreams, shape=shape, mapped=mapped.makers, shared=shared)


def _submitter(*, on_loop: bool = False) -> Submitter:
    """Return a submitter whose runs see the caller's context variables."""
    from clearway._execution.task.submission import Submitter  # noqa: PLC0415 - direct calls need no threads

    return Submitter(copy_context(), on_loop=on_loop)


def _begun(run: TaskRun, submitter: Submitter) -> Future[Any]:
    """Start a run in the background; with a sequential task runner, run it to its end."""
    if not run.flow_attempt.runner.sequential:
        return submitter.submit(run)
    if run.task.is_async:
        submitter.submit(run).block()
    else:
        with suppress(ClearwayError):  # the future's state holds it
            drive(task_steps(run))
    return run.future


async def _begun_async(run: TaskRun, submitter: Submitter) -> Future[Any]:
    """Start a run of an async task; as ``_begun``, without blocking the event loop."""
    if not run.flow_attempt.runner.sequential:
        return submitter.submit(run)
    run.on_loop = True
    with suppress(ClearwayError):
        await drive_async(task_steps(run))
    return run.future


def _state(future: Future[Any]) -> State[Any]:
    return future.current_state()


def _attempt_for(task: TaskDefinition) -> FlowAttempt:
    if TaskRunContext.get() is not None:
        raise NestedTask(
            f"the task {task.name!r} was called from within a task, which cannot have task runs of its own; "
            f"call its function instead: {_fn(task)}"
        )
    attempt = FlowAttempt.current()
    if attempt is None:
        message = (
            f"the task {task.name!r} was called outside a flow; call it within a function decorated with "
            f"@flow, or call its function without orchestration: {_fn(task)}"
        )
        if threading.current_thread() is not threading.main_thread():
            message += (
                "; in a thread that a flow starts, call it in a copy of the flow's context: give the thread "
                "contextvars.copy_context().run and the task"
            )
        raise MissingContext(message)
    attempt.check_lost()
    return attempt


def _fn(task: TaskDefinition) -> str:
    return f"{getattr(task.fn, '__name__', 'my_task')}.fn(...)"


def _tags(task: TaskDefinition) -> frozenset[str]:
    in_force = current_tags()
    return task.tags | in_force if in_force else task.tags
